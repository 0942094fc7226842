//! Groups that change between the protocols while their members run.

use super::super::config::Migration;
use super::super::request::{ConsumerHeartbeat, Leave};
use super::consumer::Client;
use super::*;

/// A classic consumer of "t" that says what it has: `owned` are partitions of "t".
fn classic(name: &str, owned: &[i32]) -> Join {
    let mut metadata = vec![0, 1, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff];
    metadata.extend_from_slice(&[0, 0, 0, u8::from(!owned.is_empty())]);
    if !owned.is_empty() {
        metadata.extend_from_slice(&[0, 1, b't']);
        metadata.extend_from_slice(&(owned.len() as i32).to_be_bytes());
        owned.iter().for_each(|number| metadata.extend_from_slice(&number.to_be_bytes()));
    }
    Join { protocols: vec![("cooperative-sticky".to_owned(), metadata.into())], ..consumer(name) }
}

fn assignment(numbers: &[i32]) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 0, 0, 1, 0, 1, b't'];
    bytes.extend_from_slice(&(numbers.len() as i32).to_be_bytes());
    numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_be_bytes()));
    bytes.extend_from_slice(&[0xff; 4]);
    bytes
}

/// The partitions of an assignment of one topic.
fn numbers(assignment: &[u8]) -> Vec<i32> {
    if assignment.len() < 13 {
        return Vec::new();
    }
    let four = |chunk: &[u8]| i32::from_be_bytes(chunk.try_into().expect("four bytes"));
    let count = four(&assignment[9..13]) as usize;
    assignment[13..13 + 4 * count].chunks(4).map(four).collect()
}

/// A stable classic group of one, who has all three.
fn old_group(policy: Migration) -> (World, Joined) {
    let config = GroupConfig { initial_rebalance_delay_ms: 0, migration: policy, ..GroupConfig::default() };
    let mut world = World::with(config);
    world.topic("t", 3);
    let request = world.join(classic("old", &[]));
    world.pass_ms(10);
    let joined = world.joined(request);
    let request = world.sync(&joined, &[(&joined.member, &assignment(&[0, 1, 2]))]);
    world.synced(request).expect("synced");
    (world, joined)
}

/// The classic member joins again with what it has.
fn again(world: &mut World, member: &Joined, owned: &[i32]) -> Joined {
    let request = world.join(Join { member: member.member.to_string(), ..classic("old", owned) });
    world.joined(request)
}

fn sync(world: &mut World, member: &Joined) -> Vec<i32> {
    let request = world.sync(member, &[]);
    numbers(&world.synced(request).expect("synced").assignment)
}

/// The group is of the consumer protocol, with a member of each.
fn upgraded() -> (World, Joined, Client) {
    let (mut world, old) = old_group(Migration::Bidirectional);
    let mut new = Client::new("new", &["t"]);
    world.beat(&mut new).expect("in");
    assert!(new.owned.is_empty(), "all is the old one's");
    assert_eq!(world.heartbeat(&old), Err(GroupError::RebalanceInProgress));
    let asked = again(&mut world, &old, &[0, 1, 2]);
    assert_eq!(asked.generation, old.generation, "it is to give up first");
    let kept = sync(&mut world, &asked);
    assert_eq!(kept.len(), 2);
    let old = again(&mut world, &asked, &kept);
    assert_eq!(sync(&mut world, &old), kept);
    assert_eq!(world.heartbeat(&old), Ok(()));
    world.beat(&mut new).expect("in");
    assert_eq!(new.owned.len(), 1);
    assert!(!kept.contains(&new.numbers()[0]));
    (world, old, new)
}

#[test]
fn a_classic_group_becomes_a_consumer_group_while_its_member_runs() {
    let (mut world, old, mut new) = upgraded();
    let described = world.described();
    assert_eq!((described.state, described.members.len()), ("Stable", 2));
    world.fail_over();
    assert_eq!(world.described(), described);
    assert_eq!(world.heartbeat(&old), Ok(()));
    world.beat(&mut new).expect("in");
    let request = world.commit(identity(&old), 4);
    assert_eq!(world.committed(request), Ok(vec![Ok(())]));
    let behind = Identity { generation: old.generation - 1, ..identity(&old) };
    let request = world.commit(behind, 5);
    assert_eq!(world.committed(request), Err(GroupError::IllegalGeneration));
    let leave = Leave { group: "g".to_owned(), members: vec![(old.member.to_string(), None)] };
    assert_eq!(world.now_answered(Request::Leave(leave)), Answer::Left(Ok(vec![Ok(())])));
    world.settle(&mut [&mut new]);
    assert_eq!(new.owned.len(), 3);
}

#[test]
fn it_becomes_a_classic_one_again_when_the_last_of_the_others_goes() {
    let (mut world, old, new) = upgraded();
    let leave = ConsumerHeartbeat { epoch: -1, owned: None, ..new.beat.clone() };
    assert!(matches!(world.now_answered(Request::ConsumerHeartbeat(leave)), Answer::Beat(Ok(_))));
    for fails_over in [true, false] {
        assert!(world.state_of("g").is_some(), "it is a classic one");
        if fails_over {
            world.fail_over();
        }
    }
    // Whoever reads it back finds a stable group that it may go on with.
    let request = world.join(Join { member: old.member.to_string(), ..classic("old", &[0]) });
    world.pass_ms(10);
    let joined = world.joined(request);
    assert!(joined.generation >= old.generation && joined.leader == joined.member);
    let request = world.sync(&joined, &[(&joined.member, &assignment(&[0, 1, 2]))]);
    assert_eq!(numbers(&world.synced(request).expect("synced").assignment), [0, 1, 2]);
}

#[test]
fn the_policy_says_which_way_a_group_may_go() {
    let (mut world, old) = old_group(Migration::Downgrade);
    assert_eq!(world.beat(&mut Client::new("new", &["t"])), Err(GroupError::GroupIdNotFound));
    assert_eq!(world.heartbeat(&old), Ok(()));
    let (mut world, _) = old_group(Migration::Upgrade);
    let mut new = Client::new("new", &["t"]);
    world.beat(&mut new).expect("in");
    let leave = ConsumerHeartbeat { epoch: -1, owned: None, ..new.beat.clone() };
    assert!(matches!(world.now_answered(Request::ConsumerHeartbeat(leave)), Answer::Beat(Ok(_))));
    assert_eq!(world.described().members.len(), 1, "it stays what it became");
}

#[test]
fn a_group_without_members_is_of_whichever_protocol_comes() {
    let mut world = World::new();
    world.topic("t", 3);
    let mut new = Client::new("new", &["t"]);
    for _ in 0..2 {
        new.epoch = 0;
        new.owned = Default::default();
        world.beat(&mut new).expect("in");
        let leave = ConsumerHeartbeat { epoch: -1, owned: None, ..new.beat.clone() };
        world.now_answered(Request::ConsumerHeartbeat(leave));
        let joined = world.lone_member("a");
        assert_eq!(world.state_of("g"), Some(super::super::state::State::Stable));
        let leave = Leave { group: "g".to_owned(), members: vec![(joined.member.to_string(), None)] };
        world.now_answered(Request::Leave(leave));
        world.pass_ms(20);
    }
    world.fail_over();
    assert_eq!(world.state_of("g"), Some(super::super::state::State::Empty));
}

#[test]
fn an_upgrade_that_is_not_written_leaves_the_classic_group_as_it_was() {
    let (mut world, old) = old_group(Migration::Bidirectional);
    world.commits_at_once = false;
    let request = world.ask(Client::new("new", &["t"]).request());
    world.fail_next(AppendError::Unavailable);
    assert_eq!(world.answer(request), Some(Answer::Beat(Err(GroupError::CoordinatorNotAvailable))));
    world.commits_at_once = true;
    assert_eq!(world.heartbeat(&old), Ok(()));
    assert_eq!(sync(&mut world, &old), [0, 1, 2]);
}
