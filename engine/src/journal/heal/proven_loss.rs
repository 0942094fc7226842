//! A peer's word that this replica lost what it had acknowledged: kept in the hard state, so that no
//! start forgets it, and recovery finds what is to be repaired.
//!
//! The bounds of a hard state say what must be there. Raised to what the peer says, they make what is
//! missing, or another entry than the one that they name, damage like any other.

use crate::ids::Index;
use crate::journal::format::hard_state::{HardState, SyncedBound};

/// So many entries behind the log's end are noted at most: four of the longest segments would not hold
/// more. A peer whose word is wrong must not make recovery look for 2^48.
const MISSING_ENTRIES_MAX: u64 = 1 << 20;

/// What a message proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProvenLoss {
    /// The log was longer: all up to this index was durable here.
    End(Index),
    /// Another entry is committed where this replica has its own.
    Entry(SyncedBound),
}

impl ProvenLoss {
    /// Bounds for the hard state, given those that it would have and the log's last entry.
    pub fn bounds(self, (commit, synced): (Index, SyncedBound), last: Index) -> (Index, SyncedBound) {
        match self {
            Self::End(end) => (commit.max(end.min(Index(last.0 + MISSING_ENTRIES_MAX))), synced),
            Self::Entry(named) => (commit.max(named.index), named),
        }
    }

    /// Whether a hard state says so already.
    pub fn is_in(self, state: &HardState, last: Index) -> bool {
        self.bounds((state.commit, state.synced), last) == (state.commit, state.synced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Term;

    fn state(commit: u64, synced: SyncedBound) -> HardState {
        HardState { commit: Index(commit), synced, ..HardState::default() }
    }

    #[test]
    fn bounds_rise_to_what_was_lost() {
        let synced = SyncedBound { index: Index(9), term: Term(2), checksum: 5 };
        let before = (Index(7), synced);
        assert_eq!(ProvenLoss::End(Index(12)).bounds(before, Index(9)), (Index(12), synced));
        assert_eq!(ProvenLoss::End(Index(3)).bounds(before, Index(9)), before);
        let far = ProvenLoss::End(Index(1 << 48)).bounds(before, Index(9));
        assert_eq!(far, (Index(9 + MISSING_ENTRIES_MAX), synced));
        let other = SyncedBound { index: Index(6), term: Term(3), checksum: 8 };
        assert_eq!(ProvenLoss::Entry(other).bounds(before, Index(9)), (Index(7), other));
    }

    #[test]
    fn what_is_written_is_known() {
        let synced = SyncedBound { index: Index(9), term: Term(2), checksum: 5 };
        let loss = ProvenLoss::End(Index(12));
        assert!(!loss.is_in(&state(7, synced), Index(9)));
        assert!(loss.is_in(&state(12, synced), Index(9)));
        let other = ProvenLoss::Entry(SyncedBound { index: Index(6), term: Term(3), checksum: 8 });
        assert!(!other.is_in(&state(7, synced), Index(9)));
        assert!(
            other.is_in(&state(7, SyncedBound { index: Index(6), term: Term(3), checksum: 8 }), Index(9))
        );
    }
}
