//! A journal of the shard, and how far it is.

use crate::health::ReplicaState;
use crate::ids::{LaneId, NodeId, RaftId};
use crate::journal::Journal;
use crate::journal::format::meta_record::JournalMeta;
use crate::journal::heal::checkpoint_fetch::CheckpointFetch;
use crate::journal::recover::recovery::Recovered;
use crate::register::Amnesia;

/// Which node has which replica of a journal.
pub(in crate::shard) type Members = Vec<(RaftId, NodeId)>;

/// A journal and how far it is.
pub enum Slot {
    /// Being made or recovered.
    Opening {
        meta: JournalMeta,
        members: Members,
        since_ns: u64,
        stage: Stage,
        created: bool,
        /// Whole, with this start in its hard state; the register is to say so, too.
        recovered: Option<Box<Recovered>>,
        retry_ns: Option<u64>,
    },
    Running(Box<Journal>),
    /// It has forgotten what it promised and takes no part.
    Lost {
        lane: LaneId,
        why: Amnesia,
    },
    /// It cannot be opened as it is.
    Closed(Box<Closed>),
}

/// What is done next, or under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// What is left of a lost replica is moved away; then it is made.
    SetAside,
    Make,
    /// It is whole on disk; the register is to say so.
    Enter,
    Recover,
    /// It is recovered, and waits for the register.
    Admit,
}

impl Slot {
    pub fn journal(&self) -> Option<&Journal> {
        match self {
            Slot::Running(journal) => Some(journal),
            Slot::Opening { .. } | Slot::Lost { .. } | Slot::Closed(_) => None,
        }
    }

    pub fn lane(&self) -> LaneId {
        match self {
            Slot::Running(journal) => journal.lane(),
            Slot::Opening { meta, .. } => meta.lane,
            Slot::Lost { lane, .. } => *lane,
            Slot::Closed(closed) => closed.meta.lane,
        }
    }

    /// Nothing more is to be waited for: it serves, or says why it does not.
    pub(in crate::shard) fn has_started(&self) -> bool {
        match self {
            Slot::Running(journal) => journal.has_started(),
            Slot::Opening { retry_ns, .. } => retry_ns.is_some(),
            Slot::Lost { .. } | Slot::Closed(_) => true,
        }
    }

    pub fn journal_mut(&mut self) -> Option<&mut Journal> {
        match self {
            Slot::Running(journal) => Some(journal),
            Slot::Opening { .. } | Slot::Lost { .. } | Slot::Closed(_) => None,
        }
    }
}

/// A journal that is here and not open.
pub struct Closed {
    pub meta: JournalMeta,
    pub members: Members,
    pub(in crate::shard) fetch: Option<CheckpointFetch>,
    pub(in crate::shard) told_too_long: bool,
}

impl Closed {
    pub(in crate::shard) fn replica_state(&self) -> ReplicaState {
        if self.members.len() > 1 { ReplicaState::Quarantined } else { ReplicaState::Damaged { ranges: 1 } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::samples::record;

    fn opening(retry_ns: Option<u64>) -> Slot {
        let (meta, members) = (record(&[1, 2, 3]), Members::new());
        Slot::Opening {
            meta,
            members,
            since_ns: 0,
            stage: Stage::Make,
            created: true,
            recovered: None,
            retry_ns,
        }
    }

    fn closed(nodes: u32) -> Closed {
        let members = (0..nodes).map(|node| (RaftId(u64::from(node) + 1), NodeId(node))).collect();
        Closed { meta: record(&[1, 2, 3]), members, fetch: None, told_too_long: false }
    }

    #[test]
    fn the_shard_waits_for_what_is_being_opened_and_for_nothing_that_cannot_be() {
        assert!(!opening(None).has_started());
        assert!(opening(Some(9)).has_started(), "it waits itself, for room on the disk");
        let lost = Slot::Lost { lane: LaneId(3), why: Amnesia::FolderMissing };
        assert!(lost.has_started() && Slot::Closed(Box::new(closed(1))).has_started());
        assert_eq!(lost.lane(), LaneId(3));
    }

    #[test]
    fn only_a_running_one_is_a_journal() {
        for mut slot in [opening(None), Slot::Closed(Box::new(closed(1)))] {
            assert!(slot.journal().is_none() && slot.journal_mut().is_none());
            assert_eq!(slot.lane(), record(&[1]).lane);
        }
    }

    #[test]
    fn what_is_closed_is_damaged_alone_and_quarantined_among_others() {
        assert_eq!(closed(1).replica_state(), ReplicaState::Damaged { ranges: 1 });
        assert_eq!(closed(3).replica_state(), ReplicaState::Quarantined);
    }
}
