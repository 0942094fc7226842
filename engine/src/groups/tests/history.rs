//! History is bounded, and nothing is lost by that.

use super::super::record::Key;
use super::*;
use crate::batch::records::Records;

fn short_history() -> World {
    World::with(GroupConfig {
        initial_rebalance_delay_ms: 0,
        history_bytes_min: 16 << 10,
        ..GroupConfig::default()
    })
}

fn log_bytes(world: &World) -> usize {
    world.log.iter().map(|(_, batch)| batch.len()).sum()
}

#[test]
fn the_log_stays_short_and_holds_all_that_lives() {
    let mut world = short_history();
    let joined = world.lone_member("a");
    for offset in 0..5_000 {
        world.commit(identity(&joined), offset);
        world.commit(nobody(&format!("by-hand-{}", offset % 40)), offset);
        assert!(log_bytes(&world) < 33 << 10, "{} bytes after {offset}", log_bytes(&world));
    }
    world.fail_over();
    assert_eq!(world.offset_of("g"), 4_999);
    assert_eq!(world.offset_of("by-hand-39"), 4_999);
    assert_eq!(world.offset_of("by-hand-0"), 4_960);
    assert_eq!(world.heartbeat(&joined), Ok(()), "the group is there, too");
}

/// Answers outcomes late and in groups, so that there is always something on its way.
#[test]
fn commits_on_their_way_are_not_overtaken_by_older_ones() {
    let mut world = short_history();
    world.commits_at_once = false;
    let mut sent = 0;
    for round in 0..400 {
        for _ in 0..7 {
            world.commit(nobody("g"), sent);
            sent += 1;
        }
        for _ in 0..(round * 5 % 17).min(world.appends.len()) {
            world.commit_first();
        }
    }
    world.commits_at_once = true;
    world.commit_all();
    world.fail_over();
    assert_eq!(world.offset_of("g"), sent - 1);
    assert!(log_bytes(&world) < 64 << 10, "{}", log_bytes(&world));
}

#[test]
fn a_rewrite_that_fails_frees_nothing_and_is_tried_again() {
    let mut world = short_history();
    world.commits_at_once = false;
    let mut offset = 0;
    // Until a batch is written that no request asked for.
    while world.appends.is_empty() {
        world.commit(nobody("g"), offset);
        offset += 1;
        world.commit_first();
    }
    let before = world.log.len();
    world.fail_next(AppendError::Unavailable);
    assert_eq!(world.log.len(), before);
    world.commits_at_once = true;
    world.pass_ms(10_010);
    assert!(world.log.len() < before / 2, "{} of {before} batches", world.log.len());
    world.fail_over();
    assert_eq!(world.offset_of("g"), offset - 1);
}

#[test]
fn a_log_without_anything_alive_is_freed_too() {
    let mut world = short_history();
    for round in 0..200 {
        let group = format!("short-lived-{round}");
        world.commit(nobody(&group), 1);
        world.ask(Request::Delete { group });
    }
    assert!(log_bytes(&world) < 17 << 10, "{}", log_bytes(&world));
    world.fail_over();
    assert_eq!(world.state_of("short-lived-199"), None);
}

#[test]
fn records_that_nobody_here_can_read_are_passed_over() {
    let mut world = World::new();
    world.commit(nobody("g"), 5);
    let mut batch = crate::batch::BatchBuilder::new(1);
    let unknown = crate::batch::NewRecord { key: Some(&[0, 9]), value: Some(b"x"), ..Default::default() };
    batch.base_offset(1).push(unknown);
    world.log.push((1, batch.build()));
    world.fail_over();
    assert_eq!(world.offset_of("g"), 5);
    let opened = Records::open(&world.log[0].1, 0).expect("our own");
    let key = opened.iter().next().expect("one").expect("good").key.map(Key::decode);
    let expected = Key::Offset { group: "g".to_owned(), topic: "t".to_owned(), partition: 0 };
    assert_eq!(key, Some(Ok(expected)));
}
