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
//!
//! Invariants:
//! - Until a cut is carried out nothing is appended, and no segment is sealed.
//! - What a later cut adds is void together with what an earlier one left.

use super::segment::Stale;
use crate::disk::DiskError;
use crate::folder;
use crate::ids::{FileId, Index, Term};
use crate::journal::context::Context;
use crate::journal::log::{aside, procedures};

/// A cut that is not yet carried out on disk.
#[derive(Debug, Default)]
pub struct PendingCut {
    /// Segments that are void.
    pub(in crate::journal) stale: Vec<Stale>,
    /// What is void of the segment that the log goes on in.
    pub(in crate::journal) part: Option<Wiped>,
    pub(in crate::journal) removing: bool,
}

/// The end of a segment.
#[derive(Clone, Copy, Debug)]
pub struct Wiped {
    pub(in crate::journal) base: Index,
    pub(in crate::journal) file: FileId,
    pub(in crate::journal) from: u64,
    pub(in crate::journal) to: u64,
}

impl PendingCut {
    /// Another cut before this one was carried out: what was void is, and perhaps more.
    pub(in crate::journal) fn add(&mut self, stale: Vec<Stale>, part: Wiped) {
        let before = self.part.filter(|before| before.file == part.file);
        let (from, to) = before.map_or((part.from, part.to), |before| (before.from, before.to));
        let part = Wiped { from: from.min(part.from), to: to.max(part.to), ..part };
        self.part = (part.from < part.to).then_some(part);
        self.stale.extend(stale);
    }
}

/// Copies what was cut into `quarantine/` as far as there is room, and makes its place as new.
pub(in crate::journal) async fn put_aside(
    context: &Context,
    stale: &[Stale],
    part: Option<Wiped>,
    segment_bytes: u64,
    term: Term,
) -> Result<(), DiskError> {
    let io = &context.io;
    for segment in stale {
        let name = folder::segment_path(context.journal, segment.base);
        let from = aside::Segment { base: segment.base, file: segment.file, file_bytes: segment_bytes };
        aside::keep(context, from, 0..segment.bytes, term).await?;
        let names = [name, procedures::prepared_name(context.journal, segment.file)];
        procedures::remove_stale(io, context.journal, &names).await?;
    }
    let Some(Wiped { base, file, from, to }) = part else { return Ok(()) };
    aside::keep(context, aside::Segment { base, file, file_bytes: segment_bytes }, from..to, term).await?;
    io.truncate(file, from).await?;
    procedures::allocate_whole(io, file, segment_bytes).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn part(file: u64, from: u64, to: u64) -> Wiped {
        Wiped { base: Index(1), file: FileId(file), from, to }
    }

    fn of(cut: &PendingCut) -> Option<(u64, u64, u64)> {
        cut.part.map(|part| (part.file.0, part.from, part.to))
    }

    #[test]
    fn two_cuts_of_one_segment_are_the_wider_one() {
        let mut cut = PendingCut::default();
        cut.add(Vec::new(), part(7, 8192, 16384));
        // What was appended in between ends earlier than what was cut before it.
        cut.add(Vec::new(), part(7, 4096, 12288));
        assert_eq!(of(&cut), Some((7, 4096, 16384)));
    }

    #[test]
    fn a_cut_in_an_earlier_segment_makes_the_later_one_stale() {
        let mut cut = PendingCut::default();
        cut.add(Vec::new(), part(8, 4096, 8192));
        let stale = Stale { base: Index(9), file: FileId(8), bytes: 8192 };
        cut.add(vec![stale], part(7, 8192, 16384));
        assert_eq!(of(&cut), Some((7, 8192, 16384)));
        assert_eq!(cut.stale.len(), 1);
    }

    #[test]
    fn at_a_segments_begin_nothing_of_the_one_before_is_void() {
        let mut cut = PendingCut::default();
        cut.add(Vec::new(), part(7, 8192, 8192));
        assert_eq!(of(&cut), None);
    }
}
