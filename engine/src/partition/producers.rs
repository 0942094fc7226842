//! Idempotent and transactional producers (KIP-98): the last batches of each, by which a retry is recognised, and
//! where its transaction began.

use crate::codec::{Reader, Short, Write};
use crate::entry::item::ProducerSnapshot;
use crate::entry::{BatchDescriptor, MarkerFields};
use crate::ids::{Index, Offset};
use crate::planted::{Bug, is_planted};
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
    /// Oldest first; of this epoch.
    pub recent: SmallVec<[Remembered; REMEMBERED_BATCHES]>,
    /// Where its transaction began that is open in this partition. While there is one the producer is never forgotten.
    pub open_since: Option<Offset>,
    /// The highest of its markers'; −1 before the first one.
    pub coordinator_epoch: i32,
    /// Markers since this process folded the first batch of it: what guards compare. Not part of a checkpoint.
    pub markers: u32,
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
    /// INVALID_TXN_STATE: its transaction here and the batch do not go together.
    OtherTransaction,
}

/// Which rules a transaction follows (`transaction.version`); the client's EndTxn decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionVersion {
    /// All transactions of a producer may have one epoch.
    One,
    /// KIP-890: each transaction has an epoch of its own, and its marker one above that of its records.
    Two,
}

/// What a marker is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkerClaim {
    pub epoch: i16,
    pub coordinator_epoch: i32,
    pub version: TransactionVersion,
}

/// What to do with a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkerVerdict {
    /// It is written; the transaction that it ends began here, if any is open.
    Append(Option<Offset>),
    /// It was written before.
    Repeat,
    /// INVALID_PRODUCER_EPOCH.
    OldEpoch,
    /// TRANSACTION_COORDINATOR_FENCED.
    OldCoordinator,
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
        match known.judge_sequence(batch) {
            Verdict::Append if !known.goes_with(batch) => Verdict::OtherTransaction,
            verdict => verdict,
        }
    }

    /// The same of a coordinator's own batch, which has no sequence.
    pub fn judge_unsequenced(known: Option<&Producer>, batch: &BatchDescriptor) -> Verdict {
        match known {
            Some(known) if batch.producer_epoch.get() < known.epoch => Verdict::OldEpoch,
            Some(known) if !known.goes_with(batch) => Verdict::OtherTransaction,
            _ => Verdict::Append,
        }
    }

    /// While a transaction is open only its own batches come. What is left open of an older epoch must be ended first: were
    /// it taken for a part of the next transaction, what was never committed would be with that one.
    fn goes_with(&self, batch: &BatchDescriptor) -> bool {
        let is_its = batch.is_transactional() && batch.producer_epoch.get() == self.epoch;
        self.open_since.is_none() || is_its
    }

    /// Its transaction of this epoch has begun here.
    pub fn is_open(&self, epoch: i16) -> bool {
        self.open_since.is_some() && self.epoch == epoch
    }

    fn judge_sequence(&self, batch: &BatchDescriptor) -> Verdict {
        let known = self;
        let base = batch.base_sequence.get();
        let last = last_sequence(base, batch.record_count.get());
        let epoch = batch.producer_epoch.get();
        if epoch < known.epoch && !is_planted(Bug::LateBatchTaken) {
            return Verdict::OldEpoch;
        }
        if epoch != known.epoch {
            return if base == 0 || epoch < known.epoch { Verdict::Append } else { Verdict::OutOfOrder };
        }
        let same = |kept: &&Remembered| kept.base_sequence == base && kept.last_sequence == last;
        if let Some(kept) = known.recent.iter().find(same) {
            return Verdict::Duplicate(*kept);
        }
        match known.recent.last() {
            Some(newest) if sequence_after(newest.last_sequence) != base => Verdict::OutOfOrder,
            // A marker began this epoch.
            None if base != 0 => Verdict::OutOfOrder,
            _ => Verdict::Append,
        }
    }

    /// Judges a marker against what is known.
    pub fn judge_marker(known: Option<&Producer>, marker: MarkerClaim) -> MarkerVerdict {
        let Some(known) = known else { return MarkerVerdict::Append(None) };
        if marker.coordinator_epoch < known.coordinator_epoch {
            return MarkerVerdict::OldCoordinator;
        }
        let is_idle = known.open_since.is_none();
        match marker.version {
            _ if marker.epoch < known.epoch => MarkerVerdict::OldEpoch,
            TransactionVersion::Two if marker.epoch == known.epoch && is_idle => MarkerVerdict::Repeat,
            TransactionVersion::Two if marker.epoch == known.epoch => MarkerVerdict::OldEpoch,
            // Of version 1 a repeat is written again: it must be seen by guards of batches that are on their way.
            _ => MarkerVerdict::Append(known.open_since),
        }
    }

    /// A producer's first batch here.
    pub fn new(epoch: i16) -> Self {
        Self {
            epoch,
            last_wall_ms: 0,
            recent: SmallVec::new(),
            open_since: None,
            coordinator_epoch: -1,
            markers: 0,
        }
    }

    /// Folds a batch of the entry at `index` in. True when a transaction begins with it.
    pub fn append(&mut self, batch: &BatchDescriptor, index: Index, wall_ms: i64) -> bool {
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
        if batch.is_transactional() && self.open_since.is_none() {
            self.open_since = Some(batch.base_offset());
            return true;
        }
        false
    }

    /// Folds a marker in; gives where the transaction began that it ends, if one was open.
    pub fn end(&mut self, batch: &BatchDescriptor, marker: &MarkerFields, wall_ms: i64) -> Option<Offset> {
        if batch.producer_epoch.get() > self.epoch {
            self.epoch = batch.producer_epoch.get();
            self.recent.clear();
        }
        self.coordinator_epoch = self.coordinator_epoch.max(marker.coordinator_epoch);
        self.markers = self.markers.wrapping_add(1);
        self.last_wall_ms = self.last_wall_ms.max(wall_ms);
        self.open_since.take()
    }

    /// What was known of its transactions stays, whatever another journal tells of it.
    pub fn keep_transaction_of(&mut self, known: &Producer) {
        self.open_since = known.open_since;
        self.coordinator_epoch = known.coordinator_epoch.max(self.coordinator_epoch);
        self.markers = known.markers;
    }

    /// Neither a transaction nor a marker is known of it.
    pub fn is_plain(&self) -> bool {
        self.open_since.is_none() && self.coordinator_epoch == -1
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
            ..Self::new(snapshot.epoch)
        }
    }

    pub fn last_sequence(&self) -> i32 {
        self.recent.last().map_or(-1, |newest| newest.last_sequence)
    }

    pub fn encode(&self, to: &mut Vec<u8>, with_transactions: bool) {
        assert!(with_transactions || self.is_plain(), "a transaction would be lost: {self:?}");
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
        if with_transactions {
            to.put_i64(self.open_since.map_or(-1, |first| first.0));
            to.put_i32(self.coordinator_epoch);
        }
    }

    pub fn decode(from: &mut Reader<'_>, with_transactions: bool) -> Result<Self, Short> {
        let mut producer = Self::new(from.i16()?);
        producer.last_wall_ms = from.i64()?;
        for _ in 0..from.u8()? {
            producer.recent.push(Remembered {
                base_sequence: from.i32()?,
                last_sequence: from.i32()?,
                base_offset: Offset(from.i64()?),
                max_timestamp_ms: from.i64()?,
                index: Index(from.u64()?),
            });
        }
        if with_transactions {
            producer.open_since = Some(Offset(from.i64()?)).filter(|first| first.0 >= 0);
            producer.coordinator_epoch = from.i32()?;
        }
        Ok(producer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Ending;
    use crate::batch::header::attribute;
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
        for batch in batches {
            producer.append(batch, Index(1), 0);
        }
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

    fn in_transaction(epoch: i16, base_sequence: i32) -> BatchDescriptor {
        let mut batch = batch(epoch, base_sequence, 1);
        batch.attributes.set(attribute::TRANSACTIONAL);
        batch
    }

    fn end(producer: &mut Producer, epoch: i16, coordinator_epoch: i32) -> Option<Offset> {
        let mut marker = batch(epoch, -1, 1);
        marker.base_offset.set(90);
        marker.attributes.set(attribute::TRANSACTIONAL | attribute::CONTROL);
        let (ending, first_offset) = (Ending::Commit, Offset(0));
        let fields = MarkerFields { ending, coordinator_epoch, first_offset, stable: Some(Offset(91)) };
        marker.set_marker(&fields);
        producer.end(&marker, &fields, 0)
    }

    fn claim(epoch: i16, coordinator_epoch: i32, version: TransactionVersion) -> MarkerClaim {
        MarkerClaim { epoch, coordinator_epoch, version }
    }

    #[test]
    fn while_a_transaction_is_open_only_its_own_batches_come() {
        let producer = after(&[in_transaction(4, 0), in_transaction(4, 1)]);
        assert_eq!(producer.open_since, Some(Offset(0)));
        let judge = |batch| Producer::judge(Some(&producer), &batch);
        assert_eq!(judge(in_transaction(4, 2)), Verdict::Append);
        assert_eq!(judge(batch(4, 2, 1)), Verdict::OtherTransaction);
        assert_eq!(judge(in_transaction(5, 0)), Verdict::OtherTransaction);
        assert_eq!(judge(in_transaction(4, 7)), Verdict::OutOfOrder);
        let judge = |batch| Producer::judge_unsequenced(Some(&producer), &batch);
        assert_eq!(judge(in_transaction(4, 0)), Verdict::Append);
        assert_eq!(judge(in_transaction(3, 0)), Verdict::OldEpoch);
        assert_eq!(judge(in_transaction(5, 0)), Verdict::OtherTransaction);
    }

    #[test]
    fn a_marker_of_version_2_begins_an_epoch_and_a_late_batch_is_fenced() {
        let mut producer = after(&[in_transaction(4, 0)]);
        let judge = |producer: &Producer, epoch, coordinator_epoch| {
            Producer::judge_marker(Some(producer), claim(epoch, coordinator_epoch, TransactionVersion::Two))
        };
        assert_eq!(judge(&producer, 4, 1), MarkerVerdict::OldEpoch);
        assert_eq!(judge(&producer, 5, 1), MarkerVerdict::Append(Some(Offset(0))));
        assert_eq!(end(&mut producer, 5, 1), Some(Offset(0)));
        assert_eq!(judge(&producer, 5, 1), MarkerVerdict::Repeat);
        assert_eq!(judge(&producer, 6, 0), MarkerVerdict::OldCoordinator);
        assert_eq!(Producer::judge(Some(&producer), &in_transaction(4, 1)), Verdict::OldEpoch);
        assert_eq!(Producer::judge(Some(&producer), &in_transaction(5, 1)), Verdict::OutOfOrder);
        assert_eq!(Producer::judge(Some(&producer), &in_transaction(5, 0)), Verdict::Append);
    }

    #[test]
    fn a_marker_of_version_1_keeps_epoch_and_sequence() {
        let mut producer = after(&[in_transaction(4, 0)]);
        let judge = |producer: &Producer, epoch| {
            Producer::judge_marker(Some(producer), claim(epoch, 1, TransactionVersion::One))
        };
        assert_eq!(judge(&producer, 3), MarkerVerdict::OldEpoch);
        assert_eq!(end(&mut producer, 4, 1), Some(Offset(0)));
        assert_eq!(judge(&producer, 4), MarkerVerdict::Append(None), "a repeat, which guards must see");
        assert_eq!((end(&mut producer, 4, 1), producer.markers), (None, 2));
        assert_eq!(Producer::judge(Some(&producer), &in_transaction(4, 1)), Verdict::Append);
        assert_eq!(
            Producer::judge_marker(None, claim(0, 0, TransactionVersion::Two)),
            MarkerVerdict::Append(None)
        );
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
