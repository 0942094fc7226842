//! Why a journal cannot be opened.

use crate::disk::{DiskError, DiskErrorKind};
use crate::folder;
use crate::framing::FormatError;
use crate::ids::Index;
use crate::journal::heal::checkpoint_fetch::NoCheckpoint;
use crate::register::Amnesia;

/// Why a journal cannot be recovered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error("{0}")]
    Data(String),
    /// What stands before the entries that are there is not known.
    #[error(
        "{}: entries begin at {} and no readable checkpoint covers those before ({} are there and bad)",
        folder::journal_dir(.0.meta.journal), .0.bases.first().copied().unwrap_or(Index(1)), .0.bad
    )]
    NoCheckpoint(Box<NoCheckpoint>),
    /// The replica has forgotten what it promised: it must not take part under its raft id.
    #[error("{0}")]
    Amnesia(Amnesia),
}

impl RecoveryError {
    /// Tried again when there is room; of any other failed write the process ends at once.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::Disk(error) if error.kind == DiskErrorKind::NoSpace)
    }
}
