//! What a journal's step asks of its shard.

use super::format::hard_state::HardState;
use super::heal::install::Offered;
use super::heal::lending::Asked;
use super::heal::mending::Judged;
use super::keep::retention::RetentionDone;
use super::ledger::waiters::Asker;
use super::log::covering::Covering;
use super::log::procedures::{Made, SealDone, SealError};
use super::log::segment::Sealed;
use super::read::by_time::Found;
use super::read::cold::{Gathered, ReadFault};
use super::read::scrub::Scrubbed;
use super::recover::recovery::{Recovered, RecoveryError};
use crate::control::ControlRefusal;
use crate::disk::DiskError;
use crate::entry::EntryBytes;
use crate::folder::FolderError;
use crate::ids::{FileId, Index, JournalId, NodeId, PartitionId, RaftId};
use crate::peer::Committed;
use crate::port::{Output, Query, RequestId};
use crate::register::{Begun, NodeRecord};
use core::future::Future;
use core::pin::Pin;
use std::rc::Rc;

/// A procedure that the shard runs; its end comes back to the journal.
pub type Procedure = Pin<Box<dyn Future<Output = Done>>>;

/// Collected while a journal takes one input.
#[derive(Default)]
pub struct Effects {
    pub out: Vec<Output>,
    pub procedures: Vec<Procedure>,
    /// Partitions whose watermark rose, and by how many bytes.
    pub raised: Vec<(PartitionId, u64)>,
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
    Recovered {
        journal: JournalId,
        result: Box<Result<Recovered, RecoveryError>>,
    },
    Made {
        journal: JournalId,
        result: Result<Made, DiskError>,
    },
    Prepared {
        journal: JournalId,
        result: Result<FileId, DiskError>,
    },
    Lengthened {
        journal: JournalId,
        result: Result<(), DiskError>,
    },
    /// On an error the checkpoint's body comes back, to be tried again.
    Sealed {
        journal: JournalId,
        result: Result<SealDone, (SealError, Vec<u8>)>,
    },
    /// A sealed segment's index was made again; nothing came of it where that is `None`.
    IndexRebuilt {
        journal: JournalId,
        result: Result<Option<Rc<Sealed>>, DiskError>,
    },
    HardState {
        journal: JournalId,
        result: Result<HardState, DiskError>,
    },
    LocalCheckpoint {
        journal: JournalId,
        index: Index,
        result: Result<u64, DiskError>,
    },
    Retention {
        journal: JournalId,
        result: Result<RetentionDone, ReadFault>,
    },
    /// Segments that a cut made void were removed.
    StaleRemoved {
        journal: JournalId,
        result: Result<(), DiskError>,
    },
    /// A leader looked at its log's start, to offer it.
    Offered {
        journal: JournalId,
        to: RaftId,
        first: Index,
        result: Offered,
    },
    /// A piece of a checkpoint was read for another replica, unless it is not there.
    PieceRead {
        journal: JournalId,
        to: NodeId,
        last: Index,
        position: u64,
        bytes: Option<Vec<u8>>,
    },
    /// A checkpoint of another replica is durable: the journal is to be opened anew. False when it does
    /// not fit what is kept.
    Installed {
        journal: JournalId,
        last: Index,
        result: Result<bool, DiskError>,
    },
    /// An entry was read for followers.
    Supplied {
        journal: JournalId,
        index: Index,
        result: Box<Result<EntryBytes, ReadFault>>,
    },
    /// An entry was read for another replica.
    Lent {
        journal: JournalId,
        asked: Asked,
        bytes: usize,
        result: Box<Result<EntryBytes, ReadFault>>,
    },
    /// Sealed entries were read again.
    Scrubbed {
        journal: JournalId,
        scrubbed: Scrubbed,
    },
    /// What is known here of an entry to be repaired.
    Judged {
        journal: JournalId,
        judged: Judged,
    },
    /// An entry was written again: its header checksum and that of the one before it.
    Mended {
        journal: JournalId,
        checksums: (u32, u32),
        result: Result<bool, DiskError>,
    },
    /// A checkpoint of another replica was stored, for a journal that cannot be opened without.
    CheckpointStored {
        journal: JournalId,
        last: Index,
        result: Result<(), DiskError>,
    },
    /// Checkpoints were read that are to cover what is deleted.
    Covered {
        journal: JournalId,
        covering: Covering,
    },
    Deleted {
        journal: JournalId,
        result: Result<(), DiskError>,
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
