//! Markers, and what a batch must show before it begins a transaction: taken to the journals that have the partitions.

use super::Shard;
use crate::clock::Now;
use crate::ids::{JournalId, PartitionId};
use crate::journal::effects::Effects;
use crate::port::{Guard, MarkerAnswer, Markers, Output, Refusal};
use crate::shard::slot::Slot;
use std::collections::BTreeMap;

impl Shard {
    /// What the coordinator of a batch's producer must confirm before the batch comes; it then comes with this guard.
    /// `None` when nothing need be asked. `is_sequenced` unless a coordinator wrote it.
    pub fn guard_for(&self, partition: PartitionId, records: &[u8], is_sequenced: bool) -> Option<Guard> {
        let id = self.journal_of(partition).ok()?;
        self.journals.get(&id).and_then(Slot::journal)?.guard_for(partition, records, is_sequenced)
    }

    pub(super) fn mark(&mut self, markers: &Markers, now: Now, fx: &mut Effects) {
        let mut by_journal: BTreeMap<JournalId, Vec<(u32, PartitionId)>> = BTreeMap::new();
        for (slot, partition) in (0..).zip(&markers.partitions) {
            match self.marked_in(*partition) {
                Ok(journal) => by_journal.entry(journal).or_default().push((slot, *partition)),
                Err(answer) => fx.out.push(Output::Marked { request: markers.request, slot, answer }),
            }
        }
        for (id, partitions) in by_journal {
            let journal = self.journals.get_mut(&id).and_then(Slot::journal_mut).expect("it was found");
            journal.mark(markers, &partitions, now, fx);
        }
    }

    /// The journal that is to have the marker of a partition, or the answer that comes without it.
    fn marked_in(&mut self, partition: PartitionId) -> Result<JournalId, MarkerAnswer> {
        if self.lifecycle.stopping {
            return Err(MarkerAnswer::Moved);
        }
        let given_out = self.view.next_partition;
        match self.route(partition) {
            Ok(journal) => Ok(journal.id),
            // It was deleted, and its transactions with it.
            Err(Refusal::UnknownPartition) if partition < given_out => Err(MarkerAnswer::Done),
            Err(Refusal::Storage) => Err(MarkerAnswer::Full),
            Err(_) => Err(MarkerAnswer::Moved),
        }
    }
}
