//! Batches of idempotent producers that a leader refused, so that what was sent behind them in
//! the same breath is not taken in their place.
//!
//! A producer that is not known may begin with any sequence (its state can have expired). Without
//! this, the first of several pipelined batches is refused for want of space, the second taken,
//! and the first can never come after it.

use crate::batch::header::BatchHeader;
use crate::entry::BatchDescriptor;
use crate::ids::PartitionId;
use std::collections::VecDeque;

/// Refusals kept: more than there are producers between two answers of one journal.
const KEPT_MAX: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refused {
    partition: PartitionId,
    producer: i64,
    epoch: i16,
    base_sequence: i32,
}

/// In the memory of one leadership; a client whose connection is gone sends in order again.
#[derive(Clone, Debug, Default)]
pub struct RefusedBatches(VecDeque<Refused>);

impl RefusedBatches {
    /// A batch as it was received was refused. Of several in a row the first one counts.
    pub fn note(&mut self, partition: PartitionId, records: &[u8]) {
        let Some(header) = BatchHeader::of(records) else { return };
        let (producer, epoch) = (header.producer_id.get(), header.producer_epoch.get());
        if producer < 0 || self.find(partition, producer, epoch).is_some() {
            return;
        }
        if self.0.len() == KEPT_MAX {
            self.0.pop_front();
        }
        let base_sequence = header.base_sequence.get();
        self.0.push_back(Refused { partition, producer, epoch, base_sequence });
    }

    /// Whether this batch comes before the one that was refused was sent again.
    pub fn blocks(&self, batch: &BatchDescriptor) -> bool {
        let (producer, epoch) = (batch.producer_id.get(), batch.producer_epoch.get());
        self.find(batch.partition(), producer, epoch)
            .is_some_and(|at| self.0[at].base_sequence != batch.base_sequence.get())
    }

    /// A batch was taken, or is there already: the producer goes on.
    pub fn appended(&mut self, batch: &BatchDescriptor) {
        let (producer, epoch) = (batch.producer_id.get(), batch.producer_epoch.get());
        if let Some(at) = self.find(batch.partition(), producer, epoch) {
            self.0.remove(at);
        }
    }

    fn find(&self, partition: PartitionId, producer: i64, epoch: i16) -> Option<usize> {
        self.0
            .iter()
            .position(|kept| (kept.partition, kept.producer, kept.epoch) == (partition, producer, epoch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::build::{BatchBuilder, NewRecord};
    use crate::ids::{LeaderEpoch, Offset};

    fn batch(producer: i64, base_sequence: i32) -> Vec<u8> {
        let mut builder = BatchBuilder::new(1);
        builder.producer(producer, 0, base_sequence).push(NewRecord::value(b"value"));
        builder.build()
    }

    fn descriptor(bytes: &[u8]) -> BatchDescriptor {
        let header = BatchHeader::of(bytes).unwrap();
        header.descriptor(PartitionId(1), Offset(0), LeaderEpoch(0), 0)
    }

    #[test]
    fn only_the_batch_that_was_refused_goes_on() {
        let mut refused = RefusedBatches::default();
        let (first, second) = (batch(7, 0), batch(7, 1));
        refused.note(PartitionId(1), &first);
        refused.note(PartitionId(1), &second);
        assert!(refused.blocks(&descriptor(&second)));
        assert!(!refused.blocks(&descriptor(&first)));
        assert!(!refused.blocks(&descriptor(&batch(8, 5))));
        refused.appended(&descriptor(&first));
        assert!(!refused.blocks(&descriptor(&second)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut refused = RefusedBatches::default();
        (0..2 * KEPT_MAX as i64).for_each(|producer| refused.note(PartitionId(1), &batch(producer, 0)));
        assert_eq!(refused.0.len(), KEPT_MAX);
        refused.note(PartitionId(1), &batch(-1, -1));
        refused.note(PartitionId(1), b"short");
        assert_eq!(refused.0.len(), KEPT_MAX);
    }
}
