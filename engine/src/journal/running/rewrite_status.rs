//! What is told of a journal's compaction.

use super::Journal;
use crate::port::{NotRewritten, RewriteStatus};

impl Journal {
    /// How compaction stands; none where this replica does not lead. `is_of_compacted`: its topics were made with it.
    pub fn rewrite_status(&self, is_of_compacted: bool, is_off: bool) -> Option<RewriteStatus> {
        if !self.is_leader() {
            return None;
        }
        let (counts, looked) = (&self.rewriting().counts, self.rewriting().looked);
        let status = RewriteStatus {
            clean_bytes: looked.clean_bytes,
            dirty_bytes: looked.dirty_bytes,
            run_bytes: self.run_bytes(),
            passes: counts.passes,
            input_bytes: counts.input_bytes,
            output_bytes: counts.output_bytes,
            last_ms: counts.last_ms,
            why_not: self.why_not_rewritten(is_of_compacted, is_off),
        };
        assert!(status.passes > 0 || status.input_bytes == 0, "{status:?}: nothing was made of it");
        Some(status)
    }

    /// The first reason of all: what must be mended comes before what passes by itself.
    fn why_not_rewritten(&self, is_of_compacted: bool, is_off: bool) -> NotRewritten {
        let runs = self.fold().runs();
        let reads_newest = runs.settled().last().map(|made| made.run) == self.catalog.run().map(|run| run.id);
        let newest = self.log.segments.sealed.back().map(|sealed| sealed.last);
        if !is_of_compacted {
            NotRewritten::OtherKind
        } else if is_off {
            NotRewritten::Off
        } else if self.rewriting.bad_count() > 0 || !reads_newest {
            NotRewritten::BadRun
        } else if self.rewriting.is_under_way() {
            NotRewritten::UnderWay
        } else if runs.made().is_some() {
            NotRewritten::RunSpreads
        } else if self.is_full() {
            NotRewritten::Full
        } else if !self.upkeep.trusts_clock {
            NotRewritten::Clock
        } else if newest.is_none_or(|newest| newest <= self.catalog.rewritten()) {
            NotRewritten::NoFullSegment
        } else if self.rewriting.looked.dirty_bytes == 0 {
            NotRewritten::HeldBack
        } else {
            NotRewritten::BelowRatio
        }
    }
}
