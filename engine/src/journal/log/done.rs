//! How the disk work of the log ended.

use super::covering::Covering;
use super::procedures::{SealDone, SealError};
use crate::disk::DiskError;
use crate::ids::{FileId, Index};
use crate::journal::format::hard_state::HardState;
use crate::journal::read::container::Sealed;
use std::rc::Rc;

pub enum LogDone {
    /// The next segment is allocated.
    Prepared(Result<FileId, DiskError>),
    /// The active segment has its whole length again.
    Lengthened(Result<(), DiskError>),
    /// On an error the checkpoint's body comes back, to be tried again.
    Sealed(Result<SealDone, (SealError, Rc<Vec<u8>>)>),
    /// A sealed segment's index was made again; nothing came of it where that is `None`.
    IndexRebuilt(Result<Option<Rc<Sealed>>, DiskError>),
    HardState(Result<HardState, DiskError>),
    /// The checkpoint of a clean stop: its bytes.
    LocalCheckpoint {
        index: Index,
        result: Result<u64, DiskError>,
    },
    /// Segments that a cut made void were removed.
    StaleRemoved(Result<(), DiskError>),
    /// Checkpoints were read that are to cover what is deleted.
    Covered(Covering),
    Deleted(Result<(), DiskError>),
}
