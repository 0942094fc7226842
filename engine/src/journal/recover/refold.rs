//! What recovery makes of the heads that it found: terms, metadata for raft, and the fold of what is
//! committed.

use super::walk::Walked;
use crate::entry::EntryKind;
use crate::entry::item::Item;
use crate::ids::{Index, Term};
use crate::journal::ledger::heads::Head;
use crate::journal::ledger::state::State;
use crate::journal::log::segment::{Rolled, Sealing};
use crate::partition::fold;
use crate::raft::EntryMeta;
use std::collections::VecDeque;

pub(in crate::journal) fn rolled_of(segment: Walked) -> Rolled {
    Rolled {
        base: segment.base,
        last: segment.index.last(),
        bytes: segment.index.totals().data_bytes,
        file: segment.file,
        index: segment.index,
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

/// Folds what is known to be committed; takes the checkpoints of segments that end on the way. A lost
/// entry is passed over, or with `stops_at_lost` ends it: other replicas have it.
pub(in crate::journal) fn fold_committed(
    state: &mut State,
    heads: &mut VecDeque<Head>,
    rolled: &mut VecDeque<Rolled>,
    commit: Index,
    stops_at_lost: bool,
) -> Result<(), String> {
    let is_next = |head: &Head| head.index() <= commit && !(stops_at_lost && head.known().is_none());
    while heads.front().is_some_and(is_next) {
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
            state.fold.expire_producers();
            segment.sealing = Sealing::Checkpoint(state.encode());
        }
    }
}
