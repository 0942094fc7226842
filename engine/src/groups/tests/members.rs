//! Who is let in, who is thrown out.

use super::super::request::{Answer, Leave, Request};
use super::*;
use crate::groups::state::State;

#[test]
fn a_new_member_is_given_its_id_first() {
    let mut world = World::new();
    let id = world.new_member(&consumer("a"));
    assert!(id.starts_with("a-") && id.len() == 2 + 36, "{id}");
    // Known now, and let in.
    let request = world.join(Join { member: id.clone(), requires_known_member: true, ..consumer("a") });
    world.pass_ms(10);
    let joined = world.joined(request);
    assert_eq!((&*joined.member, joined.generation, &*joined.leader), (id.as_str(), 1, id.as_str()));
    assert_eq!(joined.members.len(), 1);
}

#[test]
fn an_id_that_nobody_was_given_is_unknown() {
    let mut world = World::new();
    let request = world.join(Join { member: "a-x".to_owned(), ..consumer("a") });
    assert_eq!(world.refused(request).error, GroupError::UnknownMemberId);
    world.lone_member("a");
    let request = world.join(Join { member: "a-x".to_owned(), ..consumer("a") });
    assert_eq!(world.refused(request).error, GroupError::UnknownMemberId);
}

#[test]
fn an_id_that_is_not_used_in_time_is_forgotten() {
    let mut world = World::new();
    let id = world.new_member(&consumer("a"));
    assert_eq!(world.state_of("g"), Some(State::Empty));
    world.pass_ms(10_010);
    let request = world.join(Join { member: id, requires_known_member: true, ..consumer("a") });
    assert_eq!(world.refused(request).error, GroupError::UnknownMemberId);
    assert_eq!(world.state_of("g"), None, "nothing is known of the group");
}

#[test]
fn session_timeouts_have_bounds() {
    let mut world = World::new();
    for (session_timeout_ms, let_in) in [(5_999, false), (6_000, true), (1_800_000, true), (1_800_001, false)]
    {
        let request = world.join(Join { session_timeout_ms, ..consumer("a") });
        world.pass_ms(10);
        match world.answer(request) {
            Some(Answer::Joined(Err(refused))) => {
                assert_eq!((refused.error, let_in), (GroupError::InvalidSessionTimeout, false));
            }
            _ => assert!(let_in),
        }
    }
}

#[test]
fn a_group_has_a_name_a_type_and_protocols() {
    let mut world = World::new();
    let refused = |world: &mut World, join| {
        let request = world.join(join);
        world.refused(request).error
    };
    let nameless = Join { group: String::new(), ..consumer("a") };
    assert_eq!(refused(&mut world, nameless), GroupError::InvalidGroupId);
    let bare = Join { protocols: Vec::new(), ..consumer("a") };
    assert_eq!(refused(&mut world, bare), GroupError::InconsistentGroupProtocol);
    world.lone_member("a");
    let other = Join { protocol_type: "connect".to_owned(), ..consumer("b") };
    assert_eq!(refused(&mut world, other), GroupError::InconsistentGroupProtocol);
    let other = Join { protocols: vec![("sticky".to_owned(), Arc::default())], ..consumer("b") };
    assert_eq!(refused(&mut world, other), GroupError::InconsistentGroupProtocol);
}

#[test]
fn type_and_metadata_are_opaque() {
    let mut world = World::new();
    let connect = |name: &str| Join {
        protocol_type: "connect".to_owned(),
        protocols: vec![("compatible".to_owned(), Arc::from(&[0xff, 0xfe, 0][..]))],
        ..consumer(name)
    };
    let request = world.join(connect("a"));
    world.pass_ms(10);
    let joined = world.joined(request);
    assert_eq!(joined.protocol_type.as_deref(), Some("connect"));
    assert_eq!(&*joined.members[0].metadata, [0xff, 0xfe, 0]);
    let request = world.sync(&joined, &[(&joined.member, &[0, 0xff])]);
    assert_eq!(&*world.synced(request).expect("synced").assignment, [0, 0xff]);
}

#[test]
fn a_silent_member_is_thrown_out_and_a_beating_one_stays() {
    let mut world = World::new();
    let joined = world.lone_member("a");
    for _ in 0..5 {
        world.pass_ms(9_000);
        assert_eq!(world.heartbeat(&joined), Ok(()));
    }
    world.pass_ms(9_990);
    assert_eq!(world.state_of("g"), Some(State::Stable));
    world.pass_ms(20);
    assert_eq!(world.state_of("g"), Some(State::Empty));
    assert_eq!(world.heartbeat(&joined), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_heartbeat_is_of_this_generation() {
    let mut world = World::new();
    let joined = world.lone_member("a");
    let old = Joined { generation: 0, ..joined.clone() };
    assert_eq!(world.heartbeat(&old), Err(GroupError::IllegalGeneration));
    let stranger = Joined { member: "x".into(), ..joined };
    assert_eq!(world.heartbeat(&stranger), Err(GroupError::UnknownMemberId));
}

#[test]
fn who_leaves_is_gone_at_once() {
    let mut world = World::new();
    let joined = world.lone_member("a");
    let leave = |member: &str| {
        Request::Leave(Leave { group: "g".to_owned(), members: vec![(member.to_owned(), None)] })
    };
    assert_eq!(world.now_answered(leave("x")), Answer::Left(Ok(vec![Err(GroupError::UnknownMemberId)])));
    assert_eq!(world.now_answered(leave(&joined.member)), Answer::Left(Ok(vec![Ok(())])));
    assert_eq!(world.state_of("g"), Some(State::Empty));
    let unknown = Request::Leave(Leave { group: "h".to_owned(), members: vec![("m".to_owned(), None)] });
    assert_eq!(world.now_answered(unknown), Answer::Left(Ok(vec![Err(GroupError::UnknownMemberId)])));
}

#[test]
fn a_group_has_no_more_members_than_it_may() {
    let config = GroupConfig { group_size_max: 2, initial_rebalance_delay_ms: 0, ..GroupConfig::default() };
    let mut world = World::with(config);
    let first = world.join(consumer("a"));
    let second = world.join(consumer("b"));
    let third = world.join(consumer("c"));
    assert_eq!(world.refused(third).error, GroupError::GroupMaxSizeReached);
    world.pass_ms(10);
    assert_eq!(world.joined(first).generation, world.joined(second).generation);
    let late = world.join(consumer("d"));
    assert_eq!(world.refused(late).error, GroupError::GroupMaxSizeReached);
}

#[test]
fn metadata_of_all_members_is_bounded() {
    let mut world = World::new();
    let large = |name: &str| Join {
        protocols: vec![("range".to_owned(), vec![0; 3 << 20].into())],
        ..consumer(name)
    };
    let first = world.join(large("a"));
    let second = world.join(large("b"));
    assert_eq!(world.refused(second).error, GroupError::GroupTooLarge);
    world.pass_ms(10);
    let joined = world.joined(first);
    let request = world.sync(&joined, &[(&joined.member, &vec![0; 5 << 20])]);
    assert_eq!(world.synced(request), Err(GroupError::GroupTooLarge));
}
