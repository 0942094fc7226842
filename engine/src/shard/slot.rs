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
