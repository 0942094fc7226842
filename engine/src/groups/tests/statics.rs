//! Static members (KIP-345).

use super::super::request::{Answer, Leave};
use super::*;
use crate::groups::state::State;

/// A stable group of two static members, "a" and "b"; the leader first.
fn pair(world: &mut World) -> (Joined, Joined) {
    let requests = [world.join(instance("a")), world.join(instance("b"))];
    world.pass_ms(10);
    let [a, b] = requests.map(|request| world.joined(request));
    let (leader, other) = if a.leader == a.member { (a, b) } else { (b, a) };
    let early = world.sync(&other, &[]);
    let request = world.sync(&leader, &[(&leader.member, b"1"), (&other.member, b"2")]);
    assert!(world.synced(request).is_ok() && world.synced(early).is_ok());
    (leader, other)
}

fn name_of(joined: &Joined) -> String {
    joined.member.split('-').next().expect("a name").to_owned()
}

#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    let mut world = World::new();
    let (leader, other) = pair(&mut world);
    let request = world.join(Join { requires_known_member: true, ..instance(&name_of(&other)) });
    let back = world.joined(request);
    assert_eq!((back.generation, back.leader.clone()), (1, leader.member.clone()));
    assert_ne!(back.member, other.member);
    let request = world.sync(&back, &[]);
    assert_eq!(&*world.synced(request).expect("synced").assignment, b"2", "it has what it had");
    assert_eq!(world.heartbeat(&leader), Ok(()));
    // Another coordinator knows the new id.
    world.fail_over();
    assert_eq!(world.heartbeat(&back), Ok(()));
    assert_eq!(world.heartbeat(&other), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_static_leader_that_comes_back_does_not_assign_anew() {
    let mut world = World::new();
    let (leader, _) = pair(&mut world);
    let request = world.join(instance(&name_of(&leader)));
    let back = world.joined(request);
    assert_eq!((&back.leader, back.members.len()), (&leader.member, 0), "it does not know that it leads");
    let request = world.join(Join { may_skip_assignment: true, ..instance(&name_of(&leader)) });
    let back = world.joined(request);
    assert!(back.skip_assignment && back.leader == back.member);
    assert_eq!(back.members.len(), 2, "it may watch the group's topics");
}

#[test]
fn whoever_uses_the_old_id_is_fenced() {
    let mut world = World::new();
    let (_, other) = pair(&mut world);
    let request = world.join(instance(&name_of(&other)));
    world.joined(request);
    let mut old = identity(&other);
    old.instance = Some(name_of(&other));
    let fenced = Answer::Heartbeat(Err(GroupError::FencedInstanceId));
    assert_eq!(world.now_answered(Request::Heartbeat(Heartbeat { member: old.clone() })), fenced);
    let request = world.commit(old, 5);
    assert_eq!(world.committed(request), Err(GroupError::FencedInstanceId));
    let join = Join { member: other.member.to_string(), ..instance(&name_of(&other)) };
    let request = world.join(join);
    assert_eq!(world.refused(request).error, GroupError::FencedInstanceId);
}

#[test]
fn two_of_the_same_instance_in_one_rebalance_fence_the_first() {
    let mut world = World::with(GroupConfig::default());
    let first = world.join(instance("a"));
    let second = world.join(instance("a"));
    assert_eq!(world.refused(first).error, GroupError::FencedInstanceId);
    world.pass_ms(6_020);
    assert_eq!(world.joined(second).members.len(), 1);
}

#[test]
fn a_static_member_keeps_its_place_until_its_session_ends() {
    let mut world = World::new();
    let (leader, other) = pair(&mut world);
    let third = world.join(instance("c"));
    let again = world.join(Join { member: leader.member.to_string(), ..instance(&name_of(&leader)) });
    // The other is away; the rebalance goes on without it, and it is still a member.
    for _ in 0..6 {
        world.pass_ms(9_000);
        let _ = world.heartbeat(&other);
    }
    world.pass_ms(6_010);
    let joined = world.joined(again);
    assert_eq!(joined.generation, 2);
    let members = if joined.members.is_empty() { world.joined(third).members } else { joined.members };
    assert_eq!(members.len(), 3, "the one that is away is assigned to, too");
}

#[test]
fn new_metadata_of_a_static_member_sets_off_a_rebalance() {
    let mut world = World::new();
    let (_, other) = pair(&mut world);
    let name = name_of(&other);
    let changed = Join { protocols: vec![("sticky".to_owned(), Arc::default())], ..instance(&name) };
    let request = world.join(changed);
    assert_eq!(world.refused(request).error, GroupError::InconsistentGroupProtocol);
    let more = consumer(&name).protocols.into_iter().chain([("sticky".to_owned(), Arc::default())]);
    let request = world.join(Join { protocols: more.collect(), ..instance(&name) });
    assert_eq!(world.joined(request).generation, 1, "the protocol stays the same");
}

#[test]
fn an_administrator_removes_static_members_by_instance() {
    let mut world = World::new();
    pair(&mut world);
    let members = ["a", "b", "c"].map(|name| (String::new(), Some(name.to_owned()))).to_vec();
    let left = world.now_answered(Request::Leave(Leave { group: "g".to_owned(), members }));
    assert_eq!(left, Answer::Left(Ok(vec![Ok(()), Ok(()), Err(GroupError::UnknownMemberId)])));
    assert_eq!(world.state_of("g"), Some(State::Empty));
}

#[test]
fn the_new_id_is_told_when_it_is_committed() {
    let mut world = World::new();
    let (_, other) = pair(&mut world);
    world.commits_at_once = false;
    let request = world.join(instance(&name_of(&other)));
    assert!(world.answer(request).is_none());
    world.fail_next(AppendError::Unavailable);
    assert_eq!(world.refused(request).error, GroupError::CoordinatorNotAvailable);
    world.commits_at_once = true;
    let request = world.join(instance(&name_of(&other)));
    assert_eq!(world.joined(request).generation, 1);
}
