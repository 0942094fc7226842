//! What recovery makes of the heads that it found: terms, metadata for raft, and the fold of what is
//! committed.

use super::walk::Walked;
use crate::entry::EntryKind;
use crate::entry::item::Item;
use crate::ids::{Index, RaftId, Term};
use crate::journal::ledger::heads::Head;
use crate::journal::ledger::state::State;
use crate::journal::log::segment::{Rolled, Sealing};
use crate::partition::fold;
use crate::raft::EntryMeta;
use std::collections::VecDeque;
use std::rc::Rc;

pub(in crate::journal) fn rolled_of(segment: Walked) -> Rolled {
    Rolled {
        base: segment.base,
        last: segment.index.last(),
        bytes: segment.index.totals().data_bytes,
        file: segment.file,
        index: Rc::new(segment.index),
        sealing: Sealing::Waiting,
    }
}

/// The items of an entry whose head is known and understood.
pub(in crate::journal) fn items_of(head: &Head) -> Vec<Item> {
    let items = head.known().map(|(header, bytes)| fold::items_of(header, bytes));
    items.and_then(Result::ok).unwrap_or_default()
}

pub(in crate::journal) fn note_terms(terms: &mut Vec<(Index, Term)>, heads: &VecDeque<Head>) {
    if terms.is_empty()
        && let Some(Head::Lost { index, .. }) = heads.front()
    {
        // Nothing tells its term any more: it is of none.
        terms.push((*index, Term(0)));
    }
    for head in heads {
        let Some((header, _)) = head.known() else { continue };
        if terms.last().is_none_or(|(_, term)| *term < header.term()) {
            terms.push((header.index(), header.term()));
        }
    }
}

pub(in crate::journal) fn meta_of(head: &Head, terms: &[(Index, Term)]) -> Option<EntryMeta> {
    match head.known() {
        Some((header, _)) => Some(EntryMeta::of(header)),
        None => {
            let index = head.index();
            let term = terms.iter().rfind(|(first, _)| *first <= index).map_or(Term(0), |(_, term)| *term);
            Some(EntryMeta { index, term, kind: EntryKind::Batches, checksum: 0, entry_bytes: 0 })
        }
    }
}

/// Folds what is committed; takes the checkpoints of segments that end on the way. That is what is known to be, up
/// to `commit`, and behind it what a replica has while the members folded so far are that replica alone: it was synced
/// before, and nobody else counts. The entry that makes it otherwise is the last one of these. A lost entry is passed
/// over, or with `stops_at_lost` ends it: other replicas have it.
pub(in crate::journal) fn fold_committed(
    state: &mut State,
    heads: &mut VecDeque<Head>,
    rolled: &mut VecDeque<Rolled>,
    commit: Index,
    own: RaftId,
    stops_at_lost: bool,
) -> Result<(), String> {
    while let Some(front) = heads.front() {
        let is_committed = front.index() <= commit || state.members.is_only(own);
        if !is_committed || (stops_at_lost && front.known().is_none()) {
            break;
        }
        let head = heads.pop_front().expect("there is a front");
        take_checkpoint_before(head.index(), state, rolled);
        match head.known() {
            Some((header, bytes)) => {
                let index = header.index();
                state.apply(header, bytes).map_err(|text| format!("entry {index}: {text}"))?;
            }
            None => {
                let Head::Lost { index, term } = head else { unreachable!("known heads are above") };
                state.skip_lost(index, term);
            }
        }
    }
    Ok(())
}

/// At a segment's last entry every replica forgets the same producers and takes the same
/// checkpoint. Called when the entry behind it is committed, and so it is certain that the segment
/// ends there.
pub fn take_checkpoint_before(index: Index, state: &mut State, rolled: &mut VecDeque<Rolled>) {
    for segment in rolled.iter_mut() {
        if segment.last.next() == index && matches!(segment.sealing, Sealing::Waiting) {
            assert_eq!(state.fold.applied, segment.last);
            let mut taking = state.begin_checkpoint();
            while !taking.step(&mut state.fold) {}
            segment.sealing = Sealing::Checkpoint(Rc::new(state.end_checkpoint(taking)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::samples::{batches, change, opening, record};
    use crate::raft::Change;

    const OWN: RaftId = RaftId(1);
    const ADD: Change = Change::AddLearner(RaftId(2));

    /// What is folded of a log whose third entry adds a learner, where entries up to `commit` are known to be
    /// committed.
    fn folded(founders: &[u64], commit: u64) -> (State, VecDeque<Head>) {
        let mut heads: VecDeque<Head> = [
            opening(Index(1), Term(1)),
            batches(Index(2), Term(1), 0, 10),
            change(Index(3), Term(1), ADD),
            batches(Index(4), Term(1), 10, 10),
        ]
        .into();
        let mut state = State::new(&record(founders));
        fold_committed(&mut state, &mut heads, &mut VecDeque::new(), Index(commit), OWN, false)
            .expect("all are understood");
        (state, heads)
    }

    #[test]
    fn alone_all_counts_up_to_the_entry_that_lets_another_one_in() {
        let (state, heads) = folded(&[1], 0);
        assert_eq!((state.fold.applied, heads.front().map(Head::index)), (Index(3), Some(Index(4))));
        assert!(!state.members.is_only(OWN));
        let (state, _) = folded(&[1], 4);
        assert_eq!(state.fold.applied, Index(4), "what is known to be committed is");
        let (state, heads) = folded(&[1, 3, 4], 1);
        assert_eq!((state.fold.applied, heads.len()), (Index(1), 3), "among others only what is known");
    }

    #[test]
    fn the_rest_counts_once_it_is_known_that_the_others_left() {
        let log = |commit: u64| {
            let swap = Change::Swap { out: RaftId(2), into: OWN };
            let mut heads: VecDeque<Head> = [
                change(Index(1), Term(1), Change::AddLearner(OWN)),
                change(Index(2), Term(1), swap),
                change(Index(3), Term(1), Change::Leave),
                opening(Index(4), Term(1)),
            ]
            .into();
            let mut state = State::new(&record(&[2]));
            fold_committed(&mut state, &mut heads, &mut VecDeque::new(), Index(commit), OWN, true)
                .expect("all are understood");
            state.fold.applied
        };
        assert_eq!([0, 1, 2, 3].map(log), [0, 1, 2, 4].map(Index));
    }

    #[test]
    fn a_lost_entry_ends_it_where_others_have_it_and_is_passed_over_alone() {
        let log = |stops_at_lost| {
            let lost = Head::Lost { index: Index(2), term: Some(Term(1)) };
            let mut heads =
                VecDeque::from([opening(Index(1), Term(1)), lost, batches(Index(3), Term(1), 5, 1)]);
            let mut state = State::new(&record(&[1]));
            fold_committed(&mut state, &mut heads, &mut VecDeque::new(), Index(3), OWN, stops_at_lost)
                .expect("all are understood");
            state.fold.applied
        };
        assert_eq!((log(true), log(false)), (Index(1), Index(3)));
    }
}
