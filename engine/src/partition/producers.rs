//! Idempotent producers (KIP-98): the last batches of each, by which a retry is recognised.

use crate::codec::{Reader, Short, Write};
use crate::entry::BatchDescriptor;
use crate::entry::item::ProducerSnapshot;
use crate::ids::{Index, Offset};
use smallvec::SmallVec;

/// As many batches as Kafka remembers: `max.in.flight.requests.per.connection` is at most this.
pub const REMEMBERED_BATCHES: usize = 5;
/// A producer that wrote nothing for this long, by the leaders' clocks in committed entries, is
/// forgotten. Kafka's default of `producer.id.expiration.ms`.
pub const EXPIRATION_MS: i64 = 86_400_000;

/// One batch that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    pub base_sequence: i32,
    pub last_sequence: i32,
    pub base_offset: Offset,
    pub max_timestamp_ms: i64,
    /// The entry that holds it.
    pub index: Index,
}

/// What is known of one producer in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    pub epoch: i16,
    /// The leader's clock in the entry of its last batch.
    pub last_wall_ms: i64,
    /// Oldest first.
    pub recent: SmallVec<[Remembered; REMEMBERED_BATCHES]>,
}

/// What to do with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Append,
    /// Nothing is known of the producer: it may begin with any sequence.
    First,
    /// It is there already.
    Duplicate(Remembered),
    /// INVALID_PRODUCER_EPOCH.
    OldEpoch,
    /// OUT_OF_ORDER_SEQUENCE_NUMBER.
    OutOfOrder,
}

/// Sequences wrap from `i32::MAX` to 0.
fn sequence_after(last: i32) -> i32 {
    if last == i32::MAX { 0 } else { last + 1 }
}

/// The sequence of a batch's last record.
pub fn last_sequence(base: i32, records: u32) -> i32 {
    let last = i64::from(base) + i64::from(records) - 1;
    (last % (i64::from(i32::MAX) + 1)) as i32
}

impl Producer {
    /// Judges a batch against what is known; `None` knows nothing and takes any sequence.
    pub fn judge(known: Option<&Producer>, batch: &BatchDescriptor) -> Verdict {
        let Some(known) = known else { return Verdict::First };
        let base = batch.base_sequence.get();
        let last = last_sequence(base, batch.record_count.get());
        let epoch = batch.producer_epoch.get();
        if epoch < known.epoch {
            return Verdict::OldEpoch;
        }
        if epoch > known.epoch {
            return if base == 0 { Verdict::Append } else { Verdict::OutOfOrder };
        }
        let same = |kept: &&Remembered| kept.base_sequence == base && kept.last_sequence == last;
        if let Some(kept) = known.recent.iter().find(same) {
            return Verdict::Duplicate(*kept);
        }
        match known.recent.last() {
            Some(newest) if sequence_after(newest.last_sequence) != base => Verdict::OutOfOrder,
            _ => Verdict::Append,
        }
    }

    /// A producer's first batch here.
    pub fn new(epoch: i16) -> Self {
        Self { epoch, last_wall_ms: 0, recent: SmallVec::new() }
    }

    /// Folds a batch of the entry at `index` in.
    pub fn append(&mut self, batch: &BatchDescriptor, index: Index, wall_ms: i64) {
        if batch.producer_epoch.get() != self.epoch {
            self.epoch = batch.producer_epoch.get();
            self.recent.clear();
        }
        if self.recent.len() == REMEMBERED_BATCHES {
            self.recent.remove(0);
        }
        let base_sequence = batch.base_sequence.get();
        self.recent.push(Remembered {
            base_sequence,
            last_sequence: last_sequence(base_sequence, batch.record_count.get()),
            base_offset: batch.base_offset(),
            max_timestamp_ms: batch.max_timestamp.get(),
            index,
        });
        self.last_wall_ms = self.last_wall_ms.max(wall_ms);
    }

    /// What another journal told of it when the span began there.
    pub fn from_snapshot(snapshot: &ProducerSnapshot, index: Index) -> Self {
        let newest = Remembered {
            base_sequence: snapshot.last_sequence,
            last_sequence: snapshot.last_sequence,
            base_offset: snapshot.last_offset,
            max_timestamp_ms: -1,
            index,
        };
        Self {
            epoch: snapshot.epoch,
            last_wall_ms: snapshot.last_wall_ms,
            recent: SmallVec::from_iter([newest]),
        }
    }

    pub fn last_sequence(&self) -> i32 {
        self.recent.last().map_or(-1, |newest| newest.last_sequence)
    }

    pub fn encode(&self, to: &mut Vec<u8>) {
        to.put_i16(self.epoch);
        to.put_i64(self.last_wall_ms);
        to.put_u8(self.recent.len() as u8);
        for kept in &self.recent {
            to.put_i32(kept.base_sequence);
            to.put_i32(kept.last_sequence);
            to.put_i64(kept.base_offset.0);
            to.put_i64(kept.max_timestamp_ms);
            to.put_u64(kept.index.0);
        }
    }

    pub fn decode(from: &mut Reader<'_>) -> Result<Self, Short> {
        let mut producer = Self { epoch: from.i16()?, last_wall_ms: from.i64()?, recent: SmallVec::new() };
        for _ in 0..from.u8()? {
            producer.recent.push(Remembered {
                base_sequence: from.i32()?,
                last_sequence: from.i32()?,
                base_offset: Offset(from.i64()?),
                max_timestamp_ms: from.i64()?,
                index: Index(from.u64()?),
            });
        }
        Ok(producer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    fn batch(epoch: i16, base_sequence: i32, records: u32) -> BatchDescriptor {
        let mut batch = BatchDescriptor::new_zeroed();
        batch.producer_epoch.set(epoch);
        batch.base_sequence.set(base_sequence);
        batch.record_count.set(records);
        batch.base_offset.set(i64::from(base_sequence));
        batch
    }

    fn after(batches: &[BatchDescriptor]) -> Producer {
        let mut producer = Producer::new(batches[0].producer_epoch.get());
        batches.iter().for_each(|batch| producer.append(batch, Index(1), 0));
        producer
    }

    #[test]
    fn an_unknown_producer_may_begin_anywhere() {
        assert_eq!(Producer::judge(None, &batch(3, 900, 1)), Verdict::First);
    }

    #[test]
    fn the_last_five_batches_are_recognised_and_older_ones_are_out_of_order() {
        let batches: Vec<_> = (0..6).map(|at| batch(0, at * 10, 10)).collect();
        let producer = after(&batches);
        for duplicate in &batches[1..] {
            let verdict = Producer::judge(Some(&producer), duplicate);
            assert!(
                matches!(verdict, Verdict::Duplicate(kept) if kept.base_offset == duplicate.base_offset())
            );
        }
        assert_eq!(Producer::judge(Some(&producer), &batches[0]), Verdict::OutOfOrder);
        assert_eq!(Producer::judge(Some(&producer), &batch(0, 60, 1)), Verdict::Append);
        assert_eq!(Producer::judge(Some(&producer), &batch(0, 61, 1)), Verdict::OutOfOrder);
        assert_eq!(Producer::judge(Some(&producer), &batch(0, 50, 5)), Verdict::OutOfOrder);
    }

    #[test]
    fn a_new_epoch_begins_at_zero_and_an_old_one_is_fenced() {
        let producer = after(&[batch(4, 0, 1)]);
        assert_eq!(Producer::judge(Some(&producer), &batch(5, 0, 1)), Verdict::Append);
        assert_eq!(Producer::judge(Some(&producer), &batch(5, 1, 1)), Verdict::OutOfOrder);
        assert_eq!(Producer::judge(Some(&producer), &batch(3, 1, 1)), Verdict::OldEpoch);
    }

    #[test]
    fn sequences_wrap_to_zero() {
        let producer = after(&[batch(0, i32::MAX - 1, 2)]);
        assert_eq!(producer.last_sequence(), i32::MAX);
        assert_eq!(Producer::judge(Some(&producer), &batch(0, 0, 1)), Verdict::Append);
        let across = after(&[batch(0, i32::MAX, 3)]);
        assert_eq!(across.last_sequence(), 1);
        assert_eq!(Producer::judge(Some(&across), &batch(0, 2, 1)), Verdict::Append);
    }
}
