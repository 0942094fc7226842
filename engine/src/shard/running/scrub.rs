//! How the shard goes through its sealed segments, at a bounded rate.

use super::Shard;
use crate::clock::Now;
use crate::ids::{Index, JournalId};
use crate::journal::Journal;
use crate::journal::effects::Effects;
use crate::journal::read::scrub::Scrubbed;
use crate::shard::scrub::ScrubCounts;
use crate::shard::slot::Slot;
use core::time::Duration;

/// While clients write or read from the disk the scrub takes one in so many of its bytes.
const BUSY_SHARE: u64 = 8;

/// Short passes over little data do not follow each other sooner.
const PASS_SPACING: Duration = Duration::from_secs(10);

impl Shard {
    /// About every 10 ms.
    pub(super) fn tick_scrub(&mut self, now: Now, fx: &mut Effects) {
        let rate = self.config.scrub_bytes_per_second;
        if rate == 0 || self.lifecycle.stopping || !self.lifecycle.ready {
            return;
        }
        let elapsed_ns = now.mono_ns.saturating_sub(self.scrub.ticked_ns);
        self.scrub.ticked_ns = now.mono_ns;
        let share = if self.is_busy() { rate / BUSY_SHARE } else { rate };
        // At most a second's worth is saved up.
        let earned = (u128::from(share) * u128::from(elapsed_ns) / 1_000_000_000).min(u128::from(rate));
        self.scrub.budget_bytes = (self.scrub.budget_bytes + earned as i64).min(rate as i64);
        let is_early = now.mono_ns - self.scrub.began_ns.min(now.mono_ns) < PASS_SPACING.as_nanos() as u64;
        if self.scrub.is_reading || self.scrub.budget_bytes <= 0 || (self.scrub.rests && is_early) {
            return;
        }
        if core::mem::take(&mut self.scrub.rests) {
            self.scrub.began_ns = now.mono_ns;
        }
        self.scrub_next(now, fx);
    }

    pub(super) fn is_busy(&self) -> bool {
        let mut journals = self.journals.values().filter_map(Slot::journal);
        self.fetches.is_reading() || journals.any(Journal::is_writing)
    }

    fn scrub_next(&mut self, now: Now, fx: &mut Effects) {
        let (journal, from) = self.scrub.at;
        for (id, slot) in self.journals.range(journal..) {
            let from = if *id == journal { from } else { Index::NONE };
            if slot.journal().is_some_and(|journal| journal.scrub(from, fx)) {
                self.scrub.at = (*id, from);
                self.scrub.is_reading = true;
                return;
            }
        }
        let scrub = &mut self.scrub;
        if scrub.pass_bytes > 0 {
            scrub.counts.passes += 1;
            scrub.counts.last_pass_wall_ms = now.wall_ms;
        }
        scrub.at = (JournalId(0), Index::NONE);
        scrub.pass_bytes = 0;
        scrub.rests = true;
    }

    /// A piece was read.
    pub(super) fn scrubbed(&mut self, id: JournalId, scrubbed: Scrubbed, fx: &mut Effects) {
        let Scrubbed { next, bytes, faults } = scrubbed;
        let scrub = &mut self.scrub;
        scrub.is_reading = false;
        scrub.at = (id, next);
        scrub.budget_bytes -= bytes as i64;
        scrub.pass_bytes += bytes;
        scrub.counts.bytes += bytes;
        scrub.counts.faults += faults.len() as u64;
        if let Some(journal) = self.journals.get_mut(&id).and_then(Slot::journal_mut) {
            journal.scrubbed(&faults, fx);
        }
    }

    pub(super) fn scrub_counts(&self) -> ScrubCounts {
        let journals = self.journals.values().filter_map(Slot::journal);
        let sealed_bytes = journals.map(Journal::sealed_bytes).sum();
        ScrubCounts { pass_bytes: self.scrub.pass_bytes, sealed_bytes, ..self.scrub.counts }
    }
}
