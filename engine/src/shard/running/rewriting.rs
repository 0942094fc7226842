//! How the shard lets its journals rewrite: one after the other, at a bounded rate.

use super::Shard;
use crate::clock::Now;
use crate::control::life::Life;
use crate::ids::JournalId;
use crate::journal::Journal;
use crate::journal::effects::Effects;
use crate::port::RewriteStatus;
use crate::shard::slot::Slot;
use std::sync::Arc;

/// While clients write or read from the disk a pass takes one in so many of its bytes.
const BUSY_SHARE: u64 = 4;

impl Shard {
    /// About every 10 ms.
    pub(super) fn tick_rewriting(&mut self, now: Now, fx: &mut Effects) {
        let rate = self.config.rewrite_bytes_per_second;
        let elapsed_ns = now.mono_ns.saturating_sub(self.rewrite.ticked_ns);
        self.rewrite.ticked_ns = now.mono_ns;
        if rate == 0 || self.lifecycle.stopping || !self.lifecycle.ready {
            return;
        }
        let share = if self.is_busy() { (rate / BUSY_SHARE).max(1) } else { rate };
        let earned = (u128::from(share) * u128::from(elapsed_ns) / 1_000_000_000).min(u128::from(rate));
        // At most a tenth of a second's worth is saved up: more would be felt when it is spent.
        self.rewrite.gate.give(earned as u64, (rate / 10).max(1));
        let mut journals = self.journals.values_mut().filter_map(Slot::journal_mut);
        match journals.find(|journal| journal.is_rewriting()) {
            Some(journal) => journal.go_on_rewriting(fx),
            None => self.rewrite_next(now, fx),
        }
    }

    /// How compaction stands in a journal that is led here; none where nothing asks for it.
    pub(super) fn rewrite_status(&self, journal: &Journal, is_asked: bool) -> Option<RewriteStatus> {
        let view = self.view.journals.get(&journal.id);
        let is_of_compacted = view.is_some_and(|view| view.life == Life::Compacted);
        if !is_of_compacted && !is_asked {
            return None;
        }
        journal.rewrite_status(is_of_compacted, self.config.rewrite_bytes_per_second == 0)
    }

    /// The next journal behind the one that had its turn last, in a circle.
    fn rewrite_next(&mut self, now: Now, fx: &mut Effects) {
        let view = Arc::clone(&self.view);
        let (gate, key_map_bytes) = (self.rewrite.gate.clone(), self.config.key_map_bytes);
        let last = self.rewrite.last;
        let behind = |id: &JournalId| Some(*id) > last;
        let ids = self.journals.keys().copied();
        let (mut ids, before): (Vec<_>, Vec<_>) = ids.partition(behind);
        ids.extend(before);
        for id in ids {
            let journal: Option<&mut Journal> = self.journals.get_mut(&id).and_then(Slot::journal_mut);
            if journal.is_some_and(|journal| journal.begin_rewriting(&view, (&gate, key_map_bytes), now, fx))
            {
                self.rewrite.last = Some(id);
                return;
            }
        }
    }
}
