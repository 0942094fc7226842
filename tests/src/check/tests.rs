//! The checks themselves: each broken promise is caught, and an honest log passes.

use super::attempts::Sequence;
use super::*;
use engine::batch::{BatchBuilder, BatchHeader, NewRecord};
use engine::ids::Offset;
use zerocopy::FromBytes;

const PARTITION: PartitionId = PartitionId(7);

struct Bench {
    model: PartitionModel,
    attempts: Attempts,
}

impl Bench {
    fn new() -> Self {
        Self { model: PartitionModel::new(PARTITION, false), attempts: Attempts::default() }
    }

    /// A batch of `records` that was sent once.
    fn sent(&mut self, records: u32, sequence: Option<i32>) -> Uid {
        let sequence = sequence.map(|first| Sequence { producer: 5, epoch: 0, first });
        let mut builder = BatchBuilder::new(1_000);
        if let Some(Sequence { producer, epoch, first }) = sequence {
            builder.producer(producer, epoch, first);
        }
        let key = self.attempts.next_uid().0.to_be_bytes();
        for _ in 0..records {
            builder.push(NewRecord { key: Some(&key), ..NewRecord::default() });
        }
        let uid = self.attempts.add(PARTITION, sequence, builder.build());
        self.attempts.sent(uid);
        uid
    }

    fn stored(&self, uid: Uid, base: i64) -> Vec<u8> {
        let mut batch = self.attempts.get(uid).batch.clone();
        BatchHeader::mut_from_prefix(&mut batch).expect("built").0.base_offset.set(base);
        batch
    }

    fn ack(&mut self, uid: Uid, base: i64) {
        self.model.acked(&self.attempts, uid, Offset(base));
    }

    fn read(&mut self, offset: i64, high_watermark: i64, batches: &[(Uid, i64)]) -> Offset {
        let records: Vec<u8> = batches.iter().flat_map(|(uid, base)| self.stored(*uid, *base)).collect();
        self.model.bounds(Offset(0), Offset(high_watermark));
        let fetched = Fetched {
            offset: Offset(offset),
            high_watermark: Offset(high_watermark),
            log_start: Offset(0),
            records: &records,
        };
        self.model.read(&self.attempts, &fetched)
    }
}

#[test]
fn an_honest_log_passes() {
    let mut bench = Bench::new();
    let (first, second, third) = (bench.sent(2, Some(0)), bench.sent(3, None), bench.sent(1, Some(2)));
    bench.ack(first, 0);
    bench.ack(third, 5);
    // The one between was never answered, and is there.
    assert_eq!(bench.read(1, 6, &[(first, 0), (second, 2), (third, 5)]), Offset(6));
    bench.model.whole_log_was_read(&bench.attempts, &DamageLedger::default());
    bench.ack(first, 0);
}

#[test]
#[should_panic(expected = "is below 2 which was acked or read")]
fn an_acked_batch_that_is_gone_is_caught() {
    let mut bench = Bench::new();
    let first = bench.sent(2, None);
    bench.ack(first, 0);
    bench.model.bounds(Offset(0), Offset(0));
}

#[test]
#[should_panic(expected = "offset 0 was")]
fn an_offset_used_twice_is_caught() {
    let mut bench = Bench::new();
    let (first, second) = (bench.sent(2, None), bench.sent(2, None));
    bench.ack(first, 0);
    bench.read(0, 2, &[(second, 0)]);
}

#[test]
#[should_panic(expected = "a gap or an overlap")]
fn a_gap_is_caught() {
    let mut bench = Bench::new();
    let (first, second) = (bench.sent(2, None), bench.sent(2, None));
    bench.read(0, 5, &[(first, 0), (second, 3)]);
}

#[test]
#[should_panic(expected = "stands at [0, 2]")]
fn an_idempotent_batch_stored_twice_is_caught() {
    let mut bench = Bench::new();
    let first = bench.sent(2, Some(0));
    bench.attempts.sent(first);
    bench.read(0, 4, &[(first, 0), (first, 2)]);
}

#[test]
#[should_panic(expected = "stands at [0, 2]")]
fn a_batch_stored_more_often_than_sent_is_caught() {
    let mut bench = Bench::new();
    let first = bench.sent(2, None);
    bench.read(0, 4, &[(first, 0), (first, 2)]);
}

#[test]
#[should_panic(expected = "other bytes")]
fn a_changed_byte_is_caught() {
    let mut bench = Bench::new();
    let first = bench.sent(2, None);
    let mut stored = bench.stored(first, 0);
    BatchHeader::mut_from_prefix(&mut stored).expect("built").0.max_timestamp.set(3);
    bench.attempts.recognise(&stored);
}

#[test]
#[should_panic(expected = "above the high watermark")]
fn a_record_above_the_high_watermark_is_caught() {
    let mut bench = Bench::new();
    let first = bench.sent(2, None);
    bench.read(0, 1, &[(first, 0)]);
}

#[test]
#[should_panic(expected = "follows 2 at 0")]
fn a_hole_in_a_producers_sequence_is_caught() {
    let mut bench = Bench::new();
    let (first, third) = (bench.sent(2, Some(0)), bench.sent(1, Some(4)));
    bench.read(0, 3, &[(first, 0), (third, 2)]);
    bench.model.whole_log_was_read(&bench.attempts, &DamageLedger::default());
}

#[test]
#[should_panic(expected = "log start fell")]
fn a_log_start_that_falls_is_caught() {
    let mut bench = Bench::new();
    bench.model.delete_asked = 9;
    bench.model.bounds(Offset(3), Offset(5));
    bench.model.bounds(Offset(2), Offset(5));
}

#[test]
#[should_panic(expected = "moved to 1 unasked")]
fn a_log_start_that_moves_by_itself_is_caught() {
    Bench::new().model.bounds(Offset(1), Offset(5));
}

#[test]
#[should_panic(expected = "is said to be out of range")]
fn an_offset_that_must_be_there_is_not_out_of_range() {
    let mut bench = Bench::new();
    bench.model.bounds(Offset(0), Offset(5));
    bench.model.out_of_range(Offset(3));
}

#[test]
#[should_panic(expected = "damage was reported where none was done")]
fn invented_damage_is_caught() {
    use engine::ids::{Index, JournalId};
    use engine::port::{Damage, DamageKind};
    DamageLedger::default().reported(&Damage {
        journal: JournalId(1),
        first: Index(4),
        last: Index(4),
        term: None,
        file: String::new(),
        position: 0,
        bytes: 4096,
        kind: DamageKind::Body,
    });
}
