//! Before a node stops it hands over what it leads, while it still serves: clients find the next leader at once,
//! and lose no request to a connection that ends.

use super::Shard;
use crate::clock::Now;
use crate::journal::Journal;
use crate::journal::effects::Effects;
use crate::shard::slot::Slot;
use std::collections::BTreeSet;

impl Shard {
    /// From now on every journal that is led here is handed over, once: where all nodes stop together none is
    /// passed round.
    pub(super) fn begin_to_drain(&mut self, now: Now, fx: &mut Effects) {
        self.lifecycle.draining.get_or_insert(BTreeSet::new());
        self.tick_drain(now, fx);
    }

    pub(super) fn tick_drain(&mut self, now: Now, fx: &mut Effects) {
        let Some(begun) = &mut self.lifecycle.draining else { return };
        for (id, slot) in &mut self.journals {
            let Some(journal) = slot.journal_mut().filter(|journal| journal.is_leader()) else { continue };
            if !begun.contains(id) && journal.hand_over(None, now, fx) {
                begun.insert(*id);
            }
        }
    }

    /// Whether a journal is on its way to another node; raft gives that up after an election's time.
    pub fn hands_over(&self) -> bool {
        self.journals.values().filter_map(Slot::journal).any(Journal::hands_over)
    }
}
