//! The disk seam: single operations that the engine asks for and the driver carries out.
//!
//! The seam holds no order of its own: operations in flight together may complete in any order,
//! and every ordering that durability needs is made above it. Paths are relative to the data
//! folder, with `/` between parts.

mod block;
pub mod buffer;
pub mod glommio_disk;
pub mod io;
#[cfg(test)]
pub mod memory;
pub mod open_files;

pub use block::{BLOCK, IO_BYTES_MAX};
pub use buffer::{Buffer, BufferMut, BufferPool};

use crate::ids::FileId;
use core::fmt;

/// Names one operation until its completion comes back; never reused within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// One operation for the driver.
#[derive(Debug)]
pub enum DiskRequest {
    /// Opens `path` for reading and writing with O_DIRECT under the number `file`. With `create`
    /// the file must not exist (`Exists` otherwise); without, it must (`NotFound`).
    Open { file: FileId, path: String, create: bool },
    /// fallocate: the file is at least `bytes` long afterwards, its new part reads as zeros.
    Allocate { file: FileId, bytes: u64 },
    /// Writes the whole buffer at `position`. Complete means written, and not durable unless it
    /// was to be written through (O_DSYNC): then these bytes are.
    Write { file: FileId, position: u64, buffer: Buffer, through: bool },
    /// Reads up to `bytes` at `position`; a shorter buffer comes back at the end of the file.
    Read { file: FileId, position: u64, bytes: usize },
    /// fdatasync: makes durable the writes, the cut and the length of this file that completed
    /// before this request was issued.
    Sync { file: FileId },
    /// Sets the length. Durable with the next sync of the file.
    Truncate { file: FileId, bytes: u64 },
    /// Forgets the number. Operations in flight on it must have completed.
    Close { file: FileId },
    /// Replaces `to` if it exists. Durable with the next sync of the folder.
    Rename { from: String, to: String },
    /// Removes a file, or an empty folder. Durable with the next sync of the folder.
    Remove { path: String },
    /// Makes a folder; that it exists already is no error.
    CreateDir { path: String },
    /// Makes the folder's entries durable.
    SyncDir { path: String },
    /// Lists a folder, sorted by name. A folder that does not exist is `NotFound`.
    List { path: String },
    /// Touches no disk: complete once the driver has looked at everything else that waits. A long
    /// computation rests so between its steps.
    Rest,
}

/// What a completed operation gives.
#[derive(Clone, Debug)]
pub enum DiskDone {
    Done,
    /// The file's length, bytes.
    Opened {
        bytes: u64,
    },
    Read(Buffer),
    Listed(Vec<DirEntry>),
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    pub name: String,
    /// Length, for files.
    pub bytes: u64,
    pub is_dir: bool,
}

pub type DiskResult = Result<DiskDone, DiskError>;

/// An operation that failed, with what the operating system said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskError {
    pub kind: DiskErrorKind,
    /// errno, or 0.
    pub errno: i32,
    /// The operation and the path or file number.
    pub context: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskErrorKind {
    NotFound,
    Exists,
    /// ENOSPC or EDQUOT.
    NoSpace,
    /// Everything else: the device said no.
    Io,
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            DiskErrorKind::NotFound => write!(f, "{}: not found", self.context),
            DiskErrorKind::Exists => write!(f, "{}: exists already", self.context),
            DiskErrorKind::NoSpace => write!(f, "{}: no space left on device", self.context),
            DiskErrorKind::Io => write!(f, "{}: input/output error (errno {})", self.context, self.errno),
        }
    }
}

impl std::error::Error for DiskError {}
