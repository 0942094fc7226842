//! Whether a replica is the only one of its journal: then what it has on its disk is committed, and what it forgot
//! nobody counts on.
//!
//! The voters that a journal was founded with say nothing of that: it may have grown since, or shrunk. What counts
//! is every membership that the replica may have acted under since its checkpoint:
//!
//! ```text
//! checkpoint {1} ── entries ── AddLearner 2 ── entries ── Swap 1 for 2 ── ...
//!            alone             no more, whether or not that is known to be committed
//! ```

use crate::ids::RaftId;
use crate::journal::format::hard_state::HardStateRead;
use crate::journal::format::meta_record::JournalMeta;
use crate::journal::ledger::heads::Head;
use crate::planted::{Bug, is_planted};
use crate::raft::{Change, Membership};

/// Alone by the members of the checkpoint and by each change behind it. A change that is not understood, or does
/// not fit, may be any.
pub fn is_alone_throughout<'a>(
    record: &JournalMeta,
    members: &Membership,
    heads: impl IntoIterator<Item = &'a Head>,
) -> bool {
    let own = record.raft_id;
    if is_planted(Bug::AloneByFounders) {
        return Membership::first(&record.voters).is_only(own);
    }
    let changes = heads.into_iter().filter_map(Head::change).map(Result::ok);
    members.is_only(own) && is_alone_after(own, members.clone(), changes)
}

fn is_alone_after(own: RaftId, members: Membership, changes: impl Iterator<Item = Option<Change>>) -> bool {
    let mut members = members;
    for change in changes {
        match change.and_then(|change| members.changed(change)) {
            Some(changed) if changed.is_only(own) => members = changed,
            _ => return false,
        }
    }
    true
}

/// Whether a replica may have given a vote that it does not know of any more, so that it must not vote again under
/// its raft id. Alone, a vote counts for nothing.
pub fn may_hide_a_vote(read: &HardStateRead, is_alone: bool) -> bool {
    read.may_forget_a_vote() && !is_alone && !is_planted(Bug::AmnesiacBelieved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::EntryKind;
    use crate::ids::{Index, Term};
    use crate::journal::samples::{batches, change, opening, record};

    const ADD: Change = Change::AddLearner(RaftId(2));

    fn is_alone(founders: &[u64], members: &Membership, heads: &[Head]) -> bool {
        is_alone_throughout(&record(founders), members, heads)
    }

    #[test]
    fn the_members_of_checkpoint_and_tail_count_and_not_the_founders() {
        let alone = Membership::first(&[RaftId(1)]);
        let quiet = [opening(Index(1), Term(1)), batches(Index(2), Term(1), 0, 1)];
        assert!(is_alone(&[1], &alone, &quiet));
        assert!(is_alone(&[1, 2, 3], &alone, &quiet), "it shrank, and a checkpoint says so");
        let three = Membership::first(&[1, 2, 3].map(RaftId));
        assert!(!is_alone(&[1], &three, &quiet), "it grew, and a checkpoint says so");
        assert!(!is_alone(&[2], &Membership::first(&[RaftId(2)]), &quiet), "another one is alone");
        let [first, second] = quiet;
        assert!(!is_alone(&[1], &alone, &[first, change(Index(2), Term(1), ADD), second]));
    }

    #[test]
    fn one_that_was_not_alone_for_a_while_and_a_change_that_is_not_understood_are_not_alone() {
        let alone = Membership::first(&[RaftId(1)]);
        let learned =
            [change(Index(1), Term(1), ADD), change(Index(2), Term(1), Change::RemoveLearner(RaftId(2)))];
        assert!(!is_alone(&[1], &alone, &learned), "in between a vote counted");
        let misfit = change(Index(1), Term(1), Change::Leave);
        assert!(!is_alone(&[1], &alone, &[misfit]));
        let newer = crate::journal::samples::head(1, 1, EntryKind::Membership, 1, b"\x09\0");
        assert!(!is_alone(&[1], &alone, &[newer]));
        let lost = Head::Lost { index: Index(1), term: None };
        assert!(is_alone(&[1], &alone, &[lost]), "what stands behind it would not fit");
    }

    #[test]
    fn only_one_with_peers_hides_a_vote() {
        let bad = HardStateRead { newest: None, bad_copies: 4, hides_a_generation: true };
        assert!(may_hide_a_vote(&bad, false) && !may_hide_a_vote(&bad, true));
        let good = HardStateRead { newest: Some(Default::default()), ..HardStateRead::default() };
        assert!(!may_hide_a_vote(&good, false));
    }
}
