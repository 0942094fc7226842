//! The log as raft sees it: what it is given, and what it must wait for.

use super::*;
use crate::entry::EntryKind;
use crate::ids::RaftId;
use crate::raft::Membership;

fn meta(index: u64, term: u64, entry_bytes: u32) -> EntryMeta {
    let (index, term) = (Index(index), Term(term));
    EntryMeta { index, term, kind: EntryKind::Batches, checksum: 9, entry_bytes }
}

/// Entries 5 to 8, the last two of term 3; two stay in the window once they are applied.
fn view() -> LogView {
    LogView::new(&ReplicaStart {
        id: RaftId(1),
        members: Membership::first(&[RaftId(1)]),
        term: Term(3),
        vote: None,
        commit: Index(4),
        first: Index(5),
        last: Index(8),
        terms: vec![(Index(4), Term(2)), (Index(7), Term(3))],
        window: [(5, 2), (6, 2), (7, 3), (8, 3)].map(|(index, term)| meta(index, term, 4096)).to_vec(),
        window_entries: 2,
        floor: None,
        seed: 7,
    })
}

fn terms(view: &LogView) -> Vec<Option<u64>> {
    (3..=9).map(|index| view.term_of(index).map(|term| term.0)).collect()
}

fn to_send(view: &LogView, index: u64) -> Option<u64> {
    view.entries(index, index + 1, None, GetEntriesContext::empty(true)).ok().map(|entries| entries[0].index)
}

#[test]
fn terms_are_known_from_the_entry_before_the_first_to_the_last() {
    let view = view();
    assert_eq!(terms(&view), [None, Some(2), Some(2), Some(2), Some(3), Some(3), None]);
    assert!(matches!(view.term(3), Err(Error::Store(StorageError::Compacted))));
    assert!(matches!(view.term(9), Err(Error::Store(StorageError::Unavailable))));
}

#[test]
fn what_is_appended_within_replaces_what_was_there() {
    let mut view = view();
    assert_eq!(view.append(&[meta(9, 3, 1).to_raft()]), None);
    assert_eq!(view.append(&[meta(7, 4, 1).to_raft()]), Some(Index(7)));
    assert_eq!(terms(&view), [None, Some(2), Some(2), Some(2), Some(4), None, None]);
    assert_eq!((view.last_index().ok(), view.window_first()), (Some(7), Index(5)));
}

#[test]
#[should_panic(expected = "a hole before 10")]
fn a_hole_is_a_bug() {
    view().append(&[meta(10, 3, 1).to_raft()]);
}

#[test]
fn what_is_applied_leaves_the_window_but_for_the_newest() {
    let mut view = view();
    view.trim_window(Index(5));
    assert_eq!(view.window_first(), Index(6), "the others are not applied");
    view.trim_window(Index(8));
    assert_eq!(view.window_first(), Index(7));
    view.compact(Index(8));
    assert_eq!((view.first_index().ok(), view.window_first()), (Some(8), Index(8)));
    assert_eq!(terms(&view), [None, None, None, None, Some(3), Some(3), None]);
}

#[test]
fn an_entry_is_sent_once_its_bytes_are_in_memory() {
    let mut view = view();
    assert_eq!(to_send(&view, 6), None);
    let wanted = view.take_wanted();
    assert_eq!((wanted.len(), wanted[0].0), (1, 6));
    view.add_fetched(&meta(6, 2, 4096));
    assert_eq!(to_send(&view, 6), Some(6));
    view.forget_fetched(Index(6));
    assert_eq!(to_send(&view, 6), None);
    view.set_hot(Index(6));
    assert_eq!(to_send(&view, 6), Some(6));
}

#[test]
fn a_burst_is_bounded_in_bytes_and_never_empty() {
    let mut view = view();
    let large = CREDIT_BYTES as u32 / 2 + 1;
    view.append(&[9, 10, 11].map(|index| meta(index, 3, large).to_raft()));
    view.set_hot(Index(5));
    view.begin_burst();
    assert_eq!([9, 10].map(|index| to_send(&view, index)), [Some(9), None]);
    assert_eq!(to_send(&view, 11), Some(11), "the last one always goes: nothing would ask for it again");
    view.begin_burst();
    assert_eq!(to_send(&view, 10), Some(10));
}

#[test]
fn who_needs_what_is_gone_is_noted_once() {
    let view = view();
    assert!(view.snapshot(0, 2).is_err() && view.snapshot(0, 2).is_err() && view.snapshot(0, 3).is_err());
    assert_eq!(view.take_lagging(), [2, 3]);
    assert!(view.take_lagging().is_empty());
    assert!(matches!(
        view.entries(4, 5, None, GetEntriesContext::empty(true)),
        Err(Error::Store(StorageError::Compacted))
    ));
}
