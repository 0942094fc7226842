//! Generations: how they begin and whom they wait for.

use super::super::request::{Answer, Described};
use super::*;
use crate::groups::state::State;

/// A stable group of two; the leader first.
fn pair(world: &mut World) -> (Joined, Joined) {
    let requests = [world.join(consumer("a")), world.join(consumer("b"))];
    world.pass_ms(10);
    let [a, b] = requests.map(|request| world.joined(request));
    let (leader, other) = if a.leader == a.member { (a, b) } else { (b, a) };
    let early = world.sync(&other, &[]);
    assert!(world.answer(early).is_none(), "the leader has not assigned yet");
    let request = world.sync(&leader, &[(&leader.member, b"1"), (&other.member, b"2"), ("stranger", b"3")]);
    assert_eq!(&*world.synced(request).expect("synced").assignment, b"1");
    assert_eq!(&*world.synced(early).expect("synced").assignment, b"2");
    (leader, other)
}

#[test]
fn only_the_leader_sees_all_members() {
    let mut world = World::new();
    let (leader, other) = pair(&mut world);
    assert_eq!((leader.members.len(), other.members.len()), (2, 0));
    assert_eq!((leader.generation, other.generation), (1, 1));
    assert_eq!(world.state_of("g"), Some(State::Stable));
}

#[test]
fn the_first_rebalance_waits_for_members_that_come_together() {
    let mut world = World::with(GroupConfig::default());
    let first = world.join(consumer("a"));
    world.pass_ms(2_000);
    let second = world.join(consumer("b"));
    world.pass_ms(2_000);
    assert!(world.answer(first).is_none(), "a member came, so it waits 3 s more");
    world.pass_ms(2_020);
    assert_eq!((world.joined(first).generation, world.joined(second).generation), (1, 1));
}

#[test]
fn the_first_rebalance_waits_no_longer_than_the_rebalance_timeout() {
    let mut world = World::with(GroupConfig::default());
    let hurried = |name: &str| Join { rebalance_timeout_ms: 7_000, ..consumer(name) };
    let first = world.join(hurried("a"));
    for name in ["b", "c", "d"] {
        world.pass_ms(2_300);
        world.join(hurried(name));
    }
    world.pass_ms(200);
    assert_eq!(world.joined(first).generation, 1);
}

#[test]
fn a_later_rebalance_waits_for_all_and_no_longer() {
    let mut world = World::new();
    let (leader, other) = pair(&mut world);
    let third = world.join(consumer("c"));
    assert_eq!(world.heartbeat(&other), Err(GroupError::RebalanceInProgress));
    let again = world.join(Join { member: leader.member.to_string(), ..consumer("a") });
    assert!(world.answer(third).is_none());
    let last = world.join(Join { member: other.member.to_string(), ..consumer("b") });
    let generations = [third, again, last].map(|request| world.joined(request).generation);
    assert_eq!(generations, [2, 2, 2]);
}

#[test]
fn the_rebalance_timeout_is_not_the_session_timeout() {
    let mut world = World::new();
    let (leader, other) = pair(&mut world);
    let third = world.join(consumer("c"));
    // The leader beats on and joins late, as one does that is busy with its records.
    for _ in 0..6 {
        world.pass_ms(9_000);
        assert_eq!(world.heartbeat(&leader), Err(GroupError::RebalanceInProgress));
        assert_eq!(world.heartbeat(&other), Err(GroupError::RebalanceInProgress));
    }
    assert!(world.answer(third).is_none(), "60 s are not over");
    world.pass_ms(6_010);
    let joined = world.joined(third);
    assert_eq!((joined.generation, joined.members.len()), (2, 1), "those who did not join are out");
    assert_eq!(world.heartbeat(&other), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_new_member_that_waits_is_not_thrown_out_by_its_session() {
    let mut world = World::new();
    let (leader, other) = pair(&mut world);
    let third = world.join(consumer("c"));
    for _ in 0..4 {
        world.pass_ms(9_000);
        let _ = world.heartbeat(&leader);
        let _ = world.heartbeat(&other);
    }
    assert!(world.answer(third).is_none(), "its session of 10 s does not count yet");
}

#[test]
fn an_id_that_was_given_is_waited_for() {
    let mut world = World::new();
    let joined = world.lone_member("a");
    let id = world.new_member(&consumer("b"));
    assert_eq!(world.heartbeat(&joined), Ok(()), "no rebalance before it joins");
    let second = world.join(Join { member: id, ..consumer("b") });
    let _id = world.new_member(&consumer("c"));
    let again = world.join(Join { member: joined.member.to_string(), ..consumer("a") });
    assert!(world.answer(again).is_none(), "c was given an id and is about to come");
    world.pass_ms(10_010);
    assert_eq!(world.joined(again).generation, 2);
    assert_eq!(world.joined(second).generation, 2);
}

#[test]
fn a_leader_that_joins_again_wants_a_rebalance_and_a_follower_does_not() {
    let mut world = World::new();
    let (leader, other) = pair(&mut world);
    let name = |joined: &Joined| joined.member.split('-').next().expect("a name").to_owned();
    let follower = Join { member: other.member.to_string(), ..consumer(&name(&other)) };
    let request = world.join(follower.clone());
    assert_eq!(world.joined(request).generation, 1);
    let request = world.join(Join { member: leader.member.to_string(), ..consumer(&name(&leader)) });
    assert!(world.answer(request).is_none());
    assert_eq!(world.state_of("g"), Some(State::PreparingRebalance));
    let last = world.join(follower);
    assert_eq!((world.joined(request).generation, world.joined(last).generation), (2, 2));
}

#[test]
fn a_member_with_new_metadata_sets_off_a_rebalance() {
    let mut world = World::new();
    let (_, other) = pair(&mut world);
    let changed = vec![("range".to_owned(), Arc::from(&b"\0\0\0\0\0\0"[..]))];
    let join = Join { member: other.member.to_string(), protocols: changed, ..consumer("b") };
    let request = world.join(join);
    assert!(world.answer(request).is_none());
    assert_eq!(world.state_of("g"), Some(State::PreparingRebalance));
}

#[test]
fn the_protocol_is_the_one_that_most_want_and_all_have() {
    let mut world = World::new();
    let with = |name: &str, protocols: &[&str]| Join {
        protocols: protocols.iter().map(|name| (name.to_string(), Arc::default())).collect(),
        ..consumer(name)
    };
    let a = world.join(with("a", &["cooperative", "range", "sticky"]));
    let b = world.join(with("b", &["sticky", "range"]));
    let c = world.join(with("c", &["range", "sticky"]));
    world.pass_ms(10);
    let protocols = [a, b, c].map(|request| world.joined(request).protocol);
    assert_eq!(protocols, [Some("range".to_owned()), Some("range".to_owned()), Some("range".to_owned())]);
}

#[test]
fn who_joins_and_never_syncs_is_thrown_out() {
    let mut world = World::new();
    let requests = [world.join(consumer("a")), world.join(consumer("b"))];
    world.pass_ms(10);
    let [a, b] = requests.map(|request| world.joined(request));
    let (leader, other) = if a.leader == a.member { (a, b) } else { (b, a) };
    let waiting = world.sync(&other, &[]);
    for _ in 0..6 {
        // The leader lives and does not assign.
        world.pass_ms(9_500);
        let _ = world.heartbeat(&leader);
    }
    world.pass_ms(3_100);
    assert_eq!(world.synced(waiting), Err(GroupError::RebalanceInProgress));
    assert_eq!(world.heartbeat(&leader), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_member_that_did_not_hear_the_answer_gets_it_again() {
    let mut world = World::new();
    let request = world.join(consumer("a"));
    world.pass_ms(10);
    let joined = world.joined(request);
    let again = world.join(Join { member: joined.member.to_string(), ..consumer("a") });
    assert_eq!(world.joined(again), joined);
}

#[test]
fn a_sync_names_the_protocol_of_the_group() {
    let mut world = World::new();
    let request = world.join(consumer("a"));
    world.pass_ms(10);
    let joined = world.joined(request);
    let sync = |protocol_type: &str, protocol: &str| {
        Request::Sync(Sync {
            member: identity(&joined),
            protocol_type: Some(protocol_type.to_owned()),
            protocol: Some(protocol.to_owned()),
            assignments: Vec::new(),
        })
    };
    for (kind, protocol) in [("connect", "range"), ("consumer", "sticky")] {
        let refused = Answer::Synced(Err(GroupError::InconsistentGroupProtocol));
        assert_eq!(world.now_answered(sync(kind, protocol)), refused);
    }
    let Answer::Synced(Ok(synced)) = world.now_answered(sync("consumer", "range")) else { panic!() };
    assert_eq!(
        (synced.protocol_type.as_deref(), synced.protocol.as_deref()),
        (Some("consumer"), Some("range"))
    );
    assert!(synced.assignment.is_empty(), "who is assigned nothing is told so");
}

#[test]
fn an_assignment_is_told_when_it_is_committed() {
    let mut world = World::new();
    let request = world.join(consumer("a"));
    world.pass_ms(10);
    let joined = world.joined(request);
    world.commits_at_once = false;
    let request = world.sync(&joined, &[(&joined.member, b"x")]);
    assert!(world.answer(request).is_none());
    world.commit_all();
    assert_eq!(&*world.synced(request).expect("synced").assignment, b"x");
}

#[test]
fn a_generation_has_one_assignment() {
    let mut world = World::new();
    let request = world.join(consumer("a"));
    world.pass_ms(10);
    let joined = world.joined(request);
    world.commits_at_once = false;
    let first = world.sync(&joined, &[(&joined.member, b"x")]);
    let again = world.sync(&joined, &[(&joined.member, b"y")]);
    assert_eq!(world.synced(first), Err(GroupError::RebalanceInProgress), "the connection was lost");
    world.commits_at_once = true;
    world.commit_all();
    assert_eq!(&*world.synced(again).expect("synced").assignment, b"x");
    world.fail_over();
    let request = world.sync(&joined, &[]);
    assert_eq!(&*world.synced(request).expect("synced").assignment, b"x");
}

#[test]
fn an_assignment_that_cannot_be_written_sets_off_a_rebalance() {
    let mut world = World::new();
    let request = world.join(consumer("a"));
    world.pass_ms(10);
    let joined = world.joined(request);
    world.commits_at_once = false;
    let request = world.sync(&joined, &[(&joined.member, b"x")]);
    world.fail_next(AppendError::Unavailable);
    assert_eq!(world.synced(request), Err(GroupError::CoordinatorNotAvailable));
    assert_eq!(world.state_of("g"), Some(State::PreparingRebalance));
}

#[test]
fn a_rebalance_while_the_assignment_is_written_wins() {
    let mut world = World::new();
    let request = world.join(consumer("a"));
    world.pass_ms(10);
    let joined = world.joined(request);
    world.commits_at_once = false;
    let sync = world.sync(&joined, &[(&joined.member, b"x")]);
    let second = world.join(consumer("b"));
    assert_eq!(world.synced(sync), Err(GroupError::RebalanceInProgress));
    world.commit_all();
    assert_eq!(world.state_of("g"), Some(State::PreparingRebalance));
    let again = world.join(Join { member: joined.member.to_string(), ..consumer("a") });
    assert_eq!((world.joined(again).generation, world.joined(second).generation), (2, 2));
}

#[test]
fn a_stable_group_is_read_back_whole() {
    let mut world = World::new();
    let (leader, other) = pair(&mut world);
    let describe = Request::Describe { group: "g".to_owned() };
    let Answer::Described(Ok(before)) = world.now_answered(describe.clone()) else { panic!() };
    world.fail_over();
    let Answer::Described(Ok(after)) = world.now_answered(describe) else { panic!() };
    assert_eq!(before, after);
    let Described { members, .. } = after;
    assert_eq!(members.len(), 2);
    assert_eq!((world.heartbeat(&leader), world.heartbeat(&other)), (Ok(()), Ok(())));
    // Sessions run again.
    world.pass_ms(10_010);
    assert_eq!(world.state_of("g"), Some(State::Empty));
}

#[test]
fn generations_grow_over_a_fail_over() {
    let mut world = World::new();
    world.lone_member("a");
    world.pass_ms(10_010);
    assert_eq!(world.state_of("g"), Some(State::Empty));
    world.fail_over();
    let request = world.join(consumer("b"));
    world.pass_ms(10);
    assert_eq!(world.joined(request).generation, 3, "1 was a's, 2 the empty one");
}

#[test]
fn while_groups_are_read_back_members_are_told_to_wait() {
    let mut world = World::new();
    let joined = world.lone_member("a");
    world.term = Term(2);
    world.step(Input::Lead { partition: 0, term: Term(2) });
    let request = world.join(consumer("b"));
    assert_eq!(world.refused(request).error, GroupError::CoordinatorLoadInProgress);
    let request = world.commit(identity(&joined), 1);
    assert_eq!(world.committed(request), Err(GroupError::CoordinatorLoadInProgress));
    assert_eq!(world.heartbeat(&joined), Ok(()), "clients take any error for fatal here");
}

#[test]
fn without_the_leadership_all_are_sent_on() {
    let mut world = World::new();
    let joined = world.lone_member("a");
    let waiting = world.join(consumer("b"));
    world.commits_at_once = false;
    let commit = world.commit(identity(&joined), 1);
    world.step(Input::Resign { partition: 0 });
    assert_eq!(world.refused(waiting).error, GroupError::NotCoordinator);
    assert_eq!(world.committed(commit), Ok(vec![Err(GroupError::NotCoordinator)]));
    assert_eq!(world.heartbeat(&joined), Err(GroupError::NotCoordinator));
}

#[test]
fn an_append_that_finds_another_leader_ends_the_leadership() {
    let mut world = World::new();
    let joined = world.lone_member("a");
    world.commits_at_once = false;
    let commit = world.commit(identity(&joined), 1);
    world.fail_next(AppendError::NotLeader);
    assert_eq!(world.committed(commit), Ok(vec![Err(GroupError::NotCoordinator)]));
    world.step(Input::Lead { partition: 0, term: Term(1) });
    assert_eq!(world.heartbeat(&joined), Err(GroupError::NotCoordinator), "that term is over");
    world.commits_at_once = true;
    world.fail_over();
    assert_eq!(world.heartbeat(&joined), Ok(()));
}

#[test]
fn what_was_begun_in_an_earlier_stay_is_nobodys() {
    let mut world = World::new();
    world.commits_at_once = false;
    let commit = world.commit(nobody("h"), 1);
    let (late, earlier) = (world.appends.pop_front().expect("an append").0, world.tenure);
    world.step(Input::Resign { partition: 0 });
    assert_eq!(world.committed(commit), Ok(vec![Err(GroupError::NotCoordinator)]));
    // The same term once more: the topic was deleted and made anew.
    world.step(Input::Lead { partition: 0, term: Term(1) });
    world.step(Input::Loaded { tenure: earlier });
    let request = world.commit(nobody("h"), 2);
    assert_eq!(world.committed(request), Err(GroupError::CoordinatorLoadInProgress));
    world.step(Input::Loaded { tenure: world.tenure });
    world.commit(nobody("h"), 3);
    world.step(Input::Appended { append: late, result: Ok(Offset(0)) });
    assert_eq!(world.offset_of("h"), -1);
    world.commit_all();
    assert_eq!(world.offset_of("h"), 3);
}
