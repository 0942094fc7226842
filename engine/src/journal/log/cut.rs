//! Raft cuts a tail that never was committed: the log ends earlier, in memory at once and on disk
//! behind a barrier.
//!
//! ```text
//! cut ─▶ all that is under way ends ─▶ synced bound lowered, durable ─▶ kept aside, wiped ─▶ writes go on
//! ```
//! Two writes to one place are not ordered by the disk, hence the wait. The bound goes first: a
//! crash behind it finds the old tail or a torn one, both above every bound; before it, the bound
//! still names an entry that is there. What was cut goes to `quarantine/`: should a disk have lied, it
//! may be the last copy. Then its place reads as zeros again, so that recovery finds nothing there that
//! was never written by this log.

use super::segment::Stale;
use crate::ids::{FileId, Index};

/// A cut that is not yet carried out on disk.
#[derive(Debug, Default)]
pub struct PendingCut {
    /// Segments that are void.
    pub(in crate::journal) stale: Vec<Stale>,
    /// What is void of the segment that the log goes on in.
    pub(in crate::journal) part: Option<Part>,
    pub(in crate::journal) removing: bool,
}

/// The end of a segment.
#[derive(Clone, Copy, Debug)]
pub(in crate::journal) struct Part {
    pub(in crate::journal) base: Index,
    pub(in crate::journal) file: FileId,
    pub(in crate::journal) from: u64,
    pub(in crate::journal) to: u64,
}

impl PendingCut {
    /// Another cut before this one was carried out: what was void is, and perhaps more.
    pub(in crate::journal) fn add(&mut self, stale: Vec<Stale>, part: Part) {
        let before = self.part.filter(|before| before.file == part.file);
        let (from, to) = before.map_or((part.from, part.to), |before| (before.from, before.to));
        let part = Part { from: from.min(part.from), to: to.max(part.to), ..part };
        self.part = (part.from < part.to).then_some(part);
        self.stale.extend(stale);
    }
}
