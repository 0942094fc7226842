//! How the disk work of healing ended, a replica's own and what it does for others.

use super::lending::Asked;
use super::mending::Judged;
use super::run_fetch::{RunChecked, WantedRun};
use super::run_lending::AskedPiece;
use crate::disk::DiskError;
use crate::entry::EntryBytes;
use crate::ids::{Index, NodeId, RaftId};
use crate::journal::read::run::OpenRun;
use crate::journal::read::want::ReadFault;
use std::rc::Rc;

/// What a leader can offer: the checksum before its first entry, and the checkpoint's length.
pub type Offered = Option<(u32, u64)>;

/// What a run's file came to that was fetched.
pub enum RunFetched {
    /// It has its name, and is open.
    Here(Rc<OpenRun>),
    Bad {
        position: u64,
    },
}

pub enum HealDone {
    /// A leader looked at its log's start, to offer it.
    Offered { to: RaftId, first: Index, result: Offered },
    /// A piece of a checkpoint was read for another replica, unless it is not there.
    PieceRead { to: NodeId, last: Index, position: u64, bytes: Option<Vec<u8>> },
    /// An entry was read for another replica.
    Lent { asked: Asked, bytes: usize, result: Box<Result<EntryBytes, ReadFault>> },
    /// What is known here of an entry to be repaired.
    Judged(Judged),
    /// How much of a run is durable here was looked at.
    RunResumed { wanted: WantedRun, result: Result<u64, DiskError> },
    /// A piece of a run was written.
    RunPieceWritten { result: Result<(), DiskError> },
    /// A run that came was proven, or not.
    RunChecked { wanted: WantedRun, result: Result<RunFetched, DiskError> },
    /// A run that is here and was bad was looked at.
    RunLookedAt { wanted: WantedRun, result: Result<RunChecked, DiskError> },
    /// A piece of a run was read for another replica.
    RunPieceRead { asked: AskedPiece, result: Result<Option<Vec<u8>>, DiskError> },
    /// Parts of runs that nobody wants were removed.
    RunPartsSwept(Result<(), DiskError>),
    /// An entry was written again: its header checksum and that of the one before it.
    Mended { checksums: (u32, u32), result: Result<bool, DiskError> },
}
