//! Offsets within transactions: pending until the marker, kept by failovers and by history that is freed.

use super::super::request::{CommitInTransaction, FetchOffsets};
use super::super::words::GroupNews;
use super::*;
use crate::batch::{EndMarker, Ending};
use crate::coordinator::InTransaction;

const PRODUCER: i64 = 7;

fn commit_in(member: Identity, offset: i64) -> Request {
    let commit =
        Commit { member, offsets: vec![new_offset("t", 0, offset)], retention_ms: None, knows_epochs: true };
    let within = InTransaction { producer: PRODUCER, epoch: 0, guard: None };
    Request::CommitInTransaction(CommitInTransaction { commit, within })
}

impl World {
    fn stable_offset_of(&mut self, group: &str) -> Result<i64, GroupError> {
        let wanted = Some(vec![(Arc::from("t"), 0)]);
        let fetch =
            FetchOffsets { group: group.to_owned(), wanted, require_stable: true, ..Default::default() };
        match self.now_answered(Request::FetchOffsets(fetch)) {
            Answer::Offsets(Ok(offsets)) => offsets[0].error.map_or(Ok(offsets[0].offset), Err),
            other => panic!("{other:?}"),
        }
    }

    /// The marker is committed.
    fn end(&mut self, ending: Ending) {
        let marker = EndMarker { producer: PRODUCER, epoch: 1, ending, coordinator_epoch: 1 };
        self.put(marker.encode(START_MS));
        self.hear(ending);
    }

    fn hear(&mut self, ending: Ending) {
        let news = GroupNews::TransactionEnded { producer: PRODUCER, epoch: 1, ending };
        self.step(Input::Heard { partition: 0, news });
    }
}

#[test]
fn an_offset_counts_when_its_transaction_is_committed() {
    for (ending, offset) in [(Ending::Commit, 9), (Ending::Abort, 5)] {
        let mut world = World::new();
        world.commit(nobody("g"), 5);
        let request = world.ask(commit_in(nobody("g"), 9));
        assert_eq!(world.committed(request), Ok(vec![Ok(())]));
        for fails_over in [false, true] {
            if fails_over {
                world.fail_over();
            }
            assert_eq!(world.offset_of("g"), 5, "nobody sees it yet");
            assert_eq!(world.stable_offset_of("g"), Err(GroupError::UnstableOffsetCommit));
        }
        world.end(ending);
        assert_eq!((world.offset_of("g"), world.stable_offset_of("g")), (offset, Ok(offset)));
        world.fail_over();
        assert_eq!((world.offset_of("g"), world.stable_offset_of("g")), (offset, Ok(offset)));
    }
}

#[test]
fn the_newest_in_the_log_counts_whoever_wrote_it() {
    let mut world = World::new();
    world.ask(commit_in(nobody("g"), 9));
    world.commit(nobody("g"), 12);
    world.end(Ending::Commit);
    assert_eq!(world.offset_of("g"), 12, "the transaction's record is before it");
    world.fail_over();
    assert_eq!(world.offset_of("g"), 12);
}

#[test]
fn a_group_that_only_a_transaction_knows_is_there_until_that_is_aborted() {
    let mut world = World::new();
    world.ask(commit_in(nobody("new"), 9));
    let deleted = world.now_answered(Request::Delete { group: "new".to_owned() });
    assert_eq!(deleted, Answer::Deleted(Err(GroupError::NonEmptyGroup)));
    world.fail_over();
    assert!(world.state_of("new").is_some());
    world.end(Ending::Abort);
    assert_eq!(world.state_of("new"), None);
}

#[test]
fn members_are_fenced_and_strangers_are_not_asked() {
    let mut world = World::new();
    let joined = world.lone_member("a");
    let old = Identity { generation: joined.generation - 1, ..identity(&joined) };
    let answer = |world: &mut World, member: Identity| {
        let request = world.ask(commit_in(member, 9));
        world.committed(request)
    };
    assert_eq!(answer(&mut world, old), Err(GroupError::IllegalGeneration));
    let stranger = Identity { member: "x".to_owned(), ..identity(&joined) };
    assert_eq!(answer(&mut world, stranger), Err(GroupError::UnknownMemberId));
    assert_eq!(answer(&mut world, identity(&joined)), Ok(vec![Ok(())]));
    assert_eq!(answer(&mut world, nobody("g")), Ok(vec![Ok(())]), "a producer that knows no generation");
    let of_no_group = Identity { group: "no".to_owned(), ..identity(&joined) };
    assert_eq!(answer(&mut world, of_no_group), Err(GroupError::IllegalGeneration));
}

#[test]
fn a_marker_that_is_told_sooner_than_the_append_counts() {
    for (ending, offset) in [(Ending::Commit, 9), (Ending::Abort, -1)] {
        let mut world = World::new();
        world.commits_at_once = false;
        let request = world.ask(commit_in(nobody("g"), 9));
        world.hear(ending);
        world.commit_first();
        assert_eq!(world.committed(request), Ok(vec![Ok(())]));
        assert_eq!((world.offset_of("g"), world.stable_offset_of("g")), (offset, Ok(offset)));
    }
}

#[test]
fn a_producer_that_is_fenced_is_told_so() {
    let mut world = World::new();
    world.commits_at_once = false;
    let request = world.ask(commit_in(nobody("g"), 9));
    world.fail_next(AppendError::Fenced);
    assert_eq!(world.committed(request), Ok(vec![Err(GroupError::ProducerFenced)]));
    assert_eq!(world.state_of("g"), None);
}

#[test]
fn history_that_a_pending_offset_needs_is_kept() {
    let config =
        GroupConfig { initial_rebalance_delay_ms: 0, history_bytes_min: 16 << 10, ..GroupConfig::default() };
    let mut world = World::with(config);
    world.ask(commit_in(nobody("g"), 9));
    for offset in 0..1_000 {
        world.commit(nobody("other"), offset);
    }
    assert_eq!(world.log.first().map(|(base, _)| *base), Some(0), "its record is there");
    world.fail_over();
    world.end(Ending::Commit);
    assert_eq!((world.offset_of("g"), world.offset_of("other")), (9, 999));
    for offset in 0..1_000 {
        world.commit(nobody("other"), offset);
    }
    let bytes: usize = world.log.iter().map(|(_, batch)| batch.len()).sum();
    assert!(bytes < 33 << 10, "{bytes} bytes: it is freed when it is decided");
    world.fail_over();
    assert_eq!(world.offset_of("g"), 9);
}

/// Until a batch is written that no request asked for: all that lives, again.
fn until_a_rewrite_begins(world: &mut World) {
    world.commits_at_once = false;
    let mut offset = 0;
    while world.appends.is_empty() {
        world.commit(nobody("other"), offset);
        offset += 1;
        world.commit_first();
    }
}

fn with_short_history() -> World {
    World::with(GroupConfig {
        initial_rebalance_delay_ms: 0,
        history_bytes_min: 8 << 10,
        ..GroupConfig::default()
    })
}

#[test]
fn a_marker_that_comes_while_history_is_written_again_frees_no_record_that_counts_by_it() {
    for (ending, offset) in [(Ending::Commit, 9), (Ending::Abort, 5)] {
        let mut world = with_short_history();
        world.commit(nobody("g"), 5);
        world.ask(commit_in(nobody("g"), 9));
        until_a_rewrite_begins(&mut world);
        world.end(ending);
        world.commits_at_once = true;
        world.commit_all();
        assert_eq!(world.offset_of("g"), offset);
        world.fail_over();
        assert_eq!(world.offset_of("g"), offset);
    }
}

#[test]
fn what_is_written_again_is_not_newer_than_an_offset_that_was_pending_before() {
    for (ending, offset) in [(Ending::Commit, 9), (Ending::Abort, 5)] {
        let mut world = with_short_history();
        world.commit(nobody("g"), 5);
        for _ in 0..3 {
            world.ask(commit_in(nobody("g"), 9));
            until_a_rewrite_begins(&mut world);
            world.commits_at_once = true;
            world.commit_all();
            world.fail_over();
            assert_eq!(world.offset_of("g"), 5, "nothing is decided");
        }
        world.end(ending);
        world.fail_over();
        assert_eq!(world.offset_of("g"), offset);
    }
}

#[test]
fn an_offset_that_is_always_undecided_somewhere_keeps_no_history_for_ever() {
    let mut world = with_short_history();
    world.commit(nobody("g"), 5);
    for offset in 0..3_000 {
        // Decided and undecided by turns, while its committed offset stays as old as it is.
        if offset % 2 == 0 {
            world.ask(commit_in(nobody("g"), 9));
        } else {
            world.end(Ending::Abort);
        }
        world.commit(nobody("other"), offset);
        let bytes: usize = world.log.iter().map(|(_, batch)| batch.len()).sum();
        assert!(bytes < 40 << 10, "{bytes} bytes after {offset}");
    }
    world.end(Ending::Abort);
    world.fail_over();
    assert_eq!((world.offset_of("g"), world.offset_of("other")), (5, 2_999));
}

#[test]
fn a_marker_finds_every_group_that_its_producer_wrote_to() {
    for fails_over in [false, true] {
        let mut world = World::new();
        for group in ["a", "b", "c"] {
            world.commit(nobody(group), 5);
        }
        for group in ["a", "b"] {
            let request = world.ask(commit_in(nobody(group), 9));
            assert_eq!(world.committed(request), Ok(vec![Ok(())]));
        }
        if fails_over {
            world.fail_over();
        }
        world.end(Ending::Commit);
        assert_eq!(["a", "b", "c"].map(|group| world.offset_of(group)), [9, 9, 5], "{fails_over}");
        // The next one of the same producer is found, too.
        world.ask(commit_in(nobody("c"), 7));
        world.end(Ending::Commit);
        assert_eq!(["a", "b", "c"].map(|group| world.stable_offset_of(group)), [Ok(9), Ok(9), Ok(7)]);
    }
}
