//! What a journal's step asks of its shard.

use super::keep::retention::Visited;
use super::ledger::asker::Asker;
use super::log::procedures::Made;
use super::read::by_time::Found;
use super::read::catalog::Entering;
use super::read::scrub::Scrubbed;
use super::read::sealed_index::IndexError;
use super::read::want::{Gathered, ReadFault};
use super::recover::recovery::{Recovered, RecoveryError};
use crate::control::ControlRefusal;
use crate::disk::DiskError;
use crate::entry::EntryBytes;
use crate::folder::FolderError;
use crate::ids::{Index, JournalId, PartitionId};
use crate::journal::heal::done::HealDone;
use crate::journal::log::done::LogDone;
use crate::journal::rewriting::done::RewriteDone;
use crate::peer::Committed;
use crate::port::{Output, Query, RequestId};
use crate::register::{Begun, NodeRecord};
use core::future::Future;
use core::pin::Pin;

/// A procedure that the shard runs; its end comes back to the journal.
pub type Procedure = Pin<Box<dyn Future<Output = Done>>>;

/// Collected while a journal takes one input.
#[derive(Default)]
pub struct Effects {
    pub out: Vec<Output>,
    pub procedures: Vec<Procedure>,
    /// Partitions whose watermark rose, and by how many bytes.
    pub raised: Vec<Raised>,
    /// Commands were applied.
    pub metadata_changed: bool,
    /// Partitions were opened or dropped, or the journal began to lead.
    pub partitions_changed: bool,
    /// A journal has another leader, or none.
    pub leaders_changed: bool,
    /// Commands that are done, and who asked for them.
    pub commands: Vec<(Asker, Result<Committed, ControlRefusal>)>,
    /// Questions about time whose turn it is.
    pub time_questions: Vec<Query>,
}

impl Effects {
    pub fn start(&mut self, procedure: impl Future<Output = Done> + 'static) {
        self.procedures.push(Box::pin(procedure));
    }
}

/// Which partition of a fetch, by its place in it, its journal, and what was read.
pub type ColdPart = (usize, JournalId, Gathered);

/// How a procedure ended.
pub enum Done {
    /// One of a running journal.
    Journal {
        journal: JournalId,
        done: JournalDone,
    },
    Recovered {
        journal: JournalId,
        result: Box<Result<Recovered, RecoveryError>>,
    },
    Made {
        journal: JournalId,
        result: Result<Made, DiskError>,
    },
    /// A checkpoint of another replica is durable: the journal is to be opened anew. False when it does
    /// not fit what is kept.
    Installed {
        journal: JournalId,
        last: Index,
        result: Result<bool, DiskError>,
    },
    /// A checkpoint of another replica was stored, for a journal that cannot be opened without.
    CheckpointStored {
        journal: JournalId,
        last: Index,
        result: Result<(), DiskError>,
    },
    /// Sealed entries were read again.
    Scrubbed {
        journal: JournalId,
        scrubbed: Scrubbed,
    },
    Read {
        request: RequestId,
        parts: Vec<ColdPart>,
    },
    FoundTime {
        journal: JournalId,
        request: RequestId,
        slot: u32,
        result: Result<Option<Found>, ReadFault>,
    },
    /// The reserve file was given up, or was not there.
    ReserveGone,
    /// `node.meta` was stored.
    NodeStored {
        record: Box<NodeRecord>,
        result: Result<(), DiskError>,
    },
    Folder(Box<Result<Begun, FolderError>>),
}

impl Done {
    pub fn of(journal: JournalId, done: impl Into<JournalDone>) -> Self {
        Self::Journal { journal, done: done.into() }
    }
}

/// How a procedure of a running journal ended: the room that began it takes it.
pub enum JournalDone {
    Log(LogDone),
    Heal(HealDone),
    Rewrite(RewriteDone),
    /// An entry was read for followers.
    Supplied {
        index: Index,
        result: Box<Result<EntryBytes, ReadFault>>,
    },
    /// Partitions of a container were read, to be entered into the catalog.
    Entering(Result<Entering, IndexError>),
    /// Others had their turn between two steps of taking a checkpoint.
    CheckpointGoesOn,
    /// Partitions were looked at.
    Visited(Result<Visited, IndexError>),
}

impl From<LogDone> for JournalDone {
    fn from(done: LogDone) -> Self {
        Self::Log(done)
    }
}

impl From<RewriteDone> for JournalDone {
    fn from(done: RewriteDone) -> Self {
        Self::Rewrite(done)
    }
}

impl From<HealDone> for JournalDone {
    fn from(done: HealDone) -> Self {
        Self::Heal(done)
    }
}

/// What is shown of a partition grew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised {
    pub partition: PartitionId,
    /// All ones for more than is known.
    pub bytes: u64,
    /// Also to those who read only what is committed.
    pub is_stable: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn procedures_start_in_the_order_in_which_they_were_asked_for() {
        let mut effects = Effects::default();
        for last in [1, 2] {
            let done = Done::CheckpointStored { journal: JournalId(3), last: Index(last), result: Ok(()) };
            effects.start(async move { done });
        }
        let mut context = core::task::Context::from_waker(core::task::Waker::noop());
        let lasts =
            effects.procedures.iter_mut().map(|procedure| match procedure.as_mut().poll(&mut context) {
                core::task::Poll::Ready(Done::CheckpointStored { last, .. }) => last,
                _ => panic!("it waits for nothing"),
            });
        assert!(lasts.eq([Index(1), Index(2)]));
    }
}
