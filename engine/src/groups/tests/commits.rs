//! Offsets: who may commit, what is answered, what goes.

use super::super::request::{DeleteOffsets, FetchOffsets, FetchedOffset};
use super::*;

const MINUTE_MS: u64 = 60_000;

fn expiring() -> World {
    World::with(GroupConfig {
        initial_rebalance_delay_ms: 0,
        offsets_retention_ms: 5 * MINUTE_MS as i64,
        retention_check_interval_ms: MINUTE_MS,
        ..GroupConfig::default()
    })
}

#[test]
fn offsets_of_a_group_that_is_not_there_are_no_error() {
    let mut world = World::new();
    assert_eq!(world.offset_of("nobody"), -1);
    let all =
        FetchOffsets { group: "nobody".to_owned(), wanted: None, require_stable: true, ..Default::default() };
    assert_eq!(world.now_answered(Request::FetchOffsets(all)), Answer::Offsets(Ok(vec![])));
    assert_eq!(world.state_of("nobody"), None, "asking makes no group");
}

#[test]
fn a_group_without_members_takes_commits_of_anybody_without_a_generation() {
    let mut world = World::new();
    let request = world.commit(nobody("by-hand"), 7);
    assert_eq!(world.committed(request), Ok(vec![Ok(())]));
    assert_eq!(world.offset_of("by-hand"), 7);
    let member = Identity { generation: 3, ..nobody("new") };
    let request = world.commit(member, 7);
    assert_eq!(world.committed(request), Err(GroupError::IllegalGeneration));
    assert_eq!(world.state_of("new"), None);
}

#[test]
fn a_group_with_members_takes_commits_of_those_alone() {
    let mut world = World::new();
    let joined = world.lone_member("a");
    let request = world.commit(nobody("g"), 7);
    assert_eq!(world.committed(request), Err(GroupError::UnknownMemberId));
    let request = world.commit(identity(&Joined { generation: 0, ..joined.clone() }), 7);
    assert_eq!(world.committed(request), Err(GroupError::IllegalGeneration));
    let request = world.commit(identity(&joined), 7);
    assert_eq!(world.committed(request), Ok(vec![Ok(())]));
    // While the others join it may still save what it did; between join and sync nobody may.
    let second = world.join(consumer("b"));
    let request = world.commit(identity(&joined), 8);
    assert_eq!(world.committed(request), Ok(vec![Ok(())]));
    let again = world.join(Join { member: joined.member.to_string(), ..consumer("a") });
    let joined = world.joined(again);
    world.joined(second);
    let request = world.commit(identity(&joined), 9);
    assert_eq!(world.committed(request), Err(GroupError::RebalanceInProgress));
    assert_eq!(world.offset_of("g"), 8);
}

#[test]
fn metadata_above_the_limit_is_refused_alone() {
    let mut world = World::new();
    let mut offsets = vec![new_offset("t", 0, 1), new_offset("t", 1, 2), new_offset("t", 2, 3)];
    offsets[1].metadata = "x".repeat(4097);
    offsets[2].metadata = "x".repeat(4096);
    let commit = Commit { member: nobody("g"), offsets, retention_ms: None, knows_epochs: true };
    let request = world.ask(Request::Commit(commit));
    let too_large = Err(GroupError::OffsetMetadataTooLarge);
    assert_eq!(world.committed(request), Ok(vec![Ok(()), too_large, Ok(())]));
    let all =
        FetchOffsets { group: "g".to_owned(), wanted: None, require_stable: false, ..Default::default() };
    let Answer::Offsets(Ok(offsets)) = world.now_answered(Request::FetchOffsets(all)) else { panic!() };
    let partitions: Vec<i32> = offsets.iter().map(|offset| offset.partition).collect();
    assert_eq!(partitions, [0, 2]);
}

#[test]
fn a_commit_is_answered_and_seen_when_it_is_in_the_log() {
    let mut world = World::new();
    world.commits_at_once = false;
    let request = world.commit(nobody("g"), 5);
    assert!(world.answer(request).is_none());
    assert_eq!(world.offset_of("g"), -1);
    let unstable = |world: &mut World| {
        let wanted = Some(vec![(Arc::from("t"), 0)]);
        let fetch =
            FetchOffsets { group: "g".to_owned(), wanted, require_stable: true, ..Default::default() };
        match world.now_answered(Request::FetchOffsets(fetch)) {
            Answer::Offsets(Ok(mut offsets)) => offsets.pop().expect("one"),
            other => panic!("{other:?}"),
        }
    };
    let FetchedOffset { offset, error, .. } = unstable(&mut world);
    assert_eq!((offset, error), (-1, Some(GroupError::UnstableOffsetCommit)));
    world.commit_all();
    assert_eq!(world.committed(request), Ok(vec![Ok(())]));
    let FetchedOffset { offset, leader_epoch, metadata, error, .. } = unstable(&mut world);
    assert_eq!((offset, leader_epoch, &*metadata, error), (5, 3, "m", None));
}

#[test]
fn a_commit_that_is_not_in_the_log_is_not_seen() {
    let mut world = World::new();
    world.commits_at_once = false;
    let request = world.commit(nobody("g"), 5);
    world.fail_next(AppendError::Unavailable);
    assert_eq!(world.committed(request), Ok(vec![Err(GroupError::CoordinatorNotAvailable)]));
    assert_eq!(world.state_of("g"), None);
    let request = world.commit(nobody("g"), 5);
    world.fail_next(AppendError::TooLarge);
    assert_eq!(world.committed(request), Ok(vec![Err(GroupError::InvalidCommitOffsetSize)]));
}

#[test]
fn committed_offsets_survive_the_coordinator() {
    let mut world = World::new();
    for offset in 0..100 {
        world.commit(nobody("g"), offset);
        world.commit(nobody("h"), offset * 2);
    }
    world.fail_over();
    assert_eq!((world.offset_of("g"), world.offset_of("h")), (99, 198));
}

#[test]
fn unused_offsets_expire_with_their_group() {
    let mut world = expiring();
    world.commit(nobody("by-hand"), 1);
    world.pass_ms(4 * MINUTE_MS);
    assert_eq!(world.offset_of("by-hand"), 1);
    world.pass_ms(3 * MINUTE_MS);
    assert_eq!((world.offset_of("by-hand"), world.state_of("by-hand")), (-1, None));
    world.fail_over();
    assert_eq!(world.offset_of("by-hand"), -1, "there are tombstones");
}

#[test]
fn offsets_of_a_group_with_members_stay_where_it_is_subscribed() {
    let mut world = expiring();
    let joined = world.lone_member("a");
    world.commit(identity(&joined), 1);
    let offsets = vec![new_offset("unsubscribed", 0, 1)];
    world.ask(Request::Commit(Commit {
        member: identity(&joined),
        offsets,
        retention_ms: None,
        knows_epochs: true,
    }));
    for _ in 0..60 {
        world.pass_ms(8_000);
        assert_eq!(world.heartbeat(&joined), Ok(()));
    }
    let all = || Request::FetchOffsets(FetchOffsets { group: "g".to_owned(), ..FetchOffsets::default() });
    let Answer::Offsets(Ok(left)) = world.now_answered(all()) else { panic!() };
    assert_eq!(left.iter().map(|offset| &*offset.topic).collect::<Vec<_>>(), ["t"]);
    // From the moment that it has no members its time runs.
    world.pass_ms(10_010);
    world.pass_ms(4 * MINUTE_MS);
    assert_eq!(world.offset_of("g"), 1);
    world.pass_ms(3 * MINUTE_MS);
    assert_eq!((world.offset_of("g"), world.state_of("g")), (-1, None));
}

#[test]
fn a_commit_may_bring_its_own_retention() {
    let mut world = World::new();
    let offsets = vec![new_offset("t", 0, 1)];
    world.ask(Request::Commit(Commit {
        member: nobody("g"),
        offsets,
        retention_ms: Some(60_000),
        knows_epochs: false,
    }));
    world.fail_over();
    assert_eq!(world.offset_of("g"), 1);
    world.pass_ms(610_000);
    assert_eq!(world.offset_of("g"), -1);
}

#[test]
fn offsets_are_deleted_where_nobody_reads() {
    let mut world = World::new();
    let delete = |group: &str, topic: &str| {
        let partitions = vec![(Arc::from(topic), 0)];
        Request::DeleteOffsets(DeleteOffsets { group: group.to_owned(), partitions })
    };
    let missing = Answer::OffsetsDeleted(Err(GroupError::GroupIdNotFound));
    assert_eq!(world.now_answered(delete("g", "t")), missing);
    let joined = world.lone_member("a");
    world.commit(identity(&joined), 1);
    let subscribed = Answer::OffsetsDeleted(Ok(vec![Err(GroupError::GroupSubscribedToTopic)]));
    assert_eq!(world.now_answered(delete("g", "t")), subscribed);
    assert_eq!(world.now_answered(delete("g", "other")), Answer::OffsetsDeleted(Ok(vec![Ok(())])));
    world.pass_ms(10_010);
    assert_eq!(world.now_answered(delete("g", "t")), Answer::OffsetsDeleted(Ok(vec![Ok(())])));
    world.fail_over();
    assert_eq!(world.offset_of("g"), -1);
}

#[test]
fn a_group_is_deleted_when_it_is_empty() {
    let mut world = World::new();
    let delete = || Request::Delete { group: "g".to_owned() };
    assert_eq!(world.now_answered(delete()), Answer::Deleted(Err(GroupError::GroupIdNotFound)));
    let joined = world.lone_member("a");
    world.commit(identity(&joined), 1);
    assert_eq!(world.now_answered(delete()), Answer::Deleted(Err(GroupError::NonEmptyGroup)));
    world.pass_ms(10_010);
    world.commits_at_once = false;
    let request = world.ask(delete());
    assert!(world.answer(request).is_none(), "it is answered when it is committed");
    let late = world.commit(nobody("g"), 2);
    assert_eq!(world.committed(late), Err(GroupError::CoordinatorNotAvailable));
    world.fail_next(AppendError::Unavailable);
    assert_eq!(world.answer(request), Some(Answer::Deleted(Err(GroupError::CoordinatorNotAvailable))));
    assert_eq!(world.offset_of("g"), 1);
    world.commits_at_once = true;
    assert_eq!(world.now_answered(delete()), Answer::Deleted(Ok(())));
    assert_eq!((world.state_of("g"), world.offset_of("g")), (None, -1));
    world.fail_over();
    assert_eq!(world.offset_of("g"), -1);
}

#[test]
fn offsets_of_a_deleted_topic_are_gone() {
    let mut world = World::new();
    world.commit(nobody("g"), 5);
    world.step(Input::TopicDeleted { topic: "t".into() });
    assert_eq!(world.offset_of("g"), -1);
    world.commit(nobody("g"), 6);
    world.step(Input::Lead { partition: 0, term: Term(2) });
    world.step(Input::TopicDeleted { topic: "t".into() });
    for (_, batch) in world.log.clone() {
        world.step(Input::Read { tenure: world.tenure, batches: &batch });
    }
    world.step(Input::Loaded { tenure: world.tenure });
    assert_eq!(world.offset_of("g"), -1, "also when it was deleted while groups were read back");
}

#[test]
fn groups_are_found_by_javas_hash() {
    // Worked out with Java's String.hashCode and Kafka's Utils.abs.
    for (group, partition) in [("g", 3), ("my-group", 12), ("", 0), ("ü😀", 21)] {
        assert_eq!(crate::coordinator::partition_of(group, 50), partition, "{group}");
    }
    // The hash of this one is the least number there is.
    assert_eq!(crate::coordinator::partition_of("polygenelubricants", 50), 0);
}

#[test]
fn another_shards_group_is_sent_on() {
    let mut world = World::new();
    world.step(Input::Partitions(50));
    let request = world.commit(nobody("my-group"), 1);
    assert_eq!(world.committed(request), Err(GroupError::NotCoordinator));
}
