//! The log on the disk: entries are appended, made durable and cut; segments are prepared, sealed and deleted.

pub mod appender;
pub mod aside;
pub mod covering;
pub mod cursor;
pub mod cut;
pub mod deleting;
pub mod done;
pub mod procedures;
pub mod segment;
pub mod stages;
pub mod vote_file;
pub mod zeroing;

use crate::entry::EntryBytes;
use crate::ids::Index;
use appender::Appender;
use cursor::Cursor;
use cut::PendingCut;
use segment::Segments;
use stages::Appended;
use std::collections::VecDeque;
use std::rc::Rc;
use vote_file::VoteFile;

/// The log of a journal as it is on the disk, and as it is to become.
///
/// Invariants:
/// - `cursor` is where the entry after the last one goes, durable or not.
/// - While a cut is pending nothing is appended.
pub struct DiskLog {
    /// Where the next entry goes.
    pub(in crate::journal) cursor: Cursor,
    pub(in crate::journal) segments: Segments,
    pub(in crate::journal) appender: Appender,
    /// Entries that got their bytes and are on their way to the appender.
    pub(in crate::journal) staged: VecDeque<EntryBytes>,
    pub(in crate::journal) appended: Appended,
    pub(in crate::journal) pending_cut: Option<PendingCut>,
    pub(in crate::journal) votes: VoteFile,
    /// Held by each read for a client that is under way.
    pub(in crate::journal) readers: Rc<()>,
}

impl DiskLog {
    /// The last entry, durable or not.
    pub(in crate::journal) fn last(&self) -> Index {
        Index(self.cursor.next.0 - 1)
    }
}
