//! Every sentence of what compaction promises, and a log of random batches against a plain model of it.

use super::*;
use crate::batch::records::Records;
use crate::batch::{BatchBuilder, EndMarker, Ending, NewRecord, RecordBounds, check_records};
use crate::rewrite::{AbortedRange, KeyScan, KeyScanned, ScanRange};
use proptest::prelude::*;
use std::collections::BTreeMap;
use zerocopy::FromBytes;

const PARTITION: PartitionId = PartitionId(4);
const DELETE_RETENTION_MS: i64 = 1_000;
const BASE_MS: i64 = 50_000;

/// Key and value of a record; no value is a tombstone.
type KeyValue<'a> = (Option<&'a str>, Option<&'a str>);

fn rules(horizon: i64) -> PassRules {
    PassRules {
        partition: PARTITION,
        horizon: Offset(horizon),
        takes_all_older: true,
        now_ms: 1_000_000,
        delete_retention_ms: DELETE_RETENTION_MS,
        batch_bytes_max: 16 << 20,
    }
}

fn builder(base: i64, codec: Codec, records: &[KeyValue<'_>]) -> BatchBuilder {
    let mut builder = BatchBuilder::new(BASE_MS);
    builder.base_offset(base).codec(codec);
    for (at, (key, value)) in records.iter().enumerate() {
        builder.push(NewRecord {
            timestamp_ms: BASE_MS + base + at as i64,
            key: key.map(str::as_bytes),
            value: value.map(str::as_bytes),
            headers: &[("h", Some(b"x"))],
        });
    }
    builder
}

fn batch(base: i64, records: &[KeyValue<'_>]) -> Vec<u8> {
    builder(base, Codec::None, records).build()
}

fn transactional(base: i64, producer: i64, records: &[KeyValue<'_>]) -> Vec<u8> {
    let mut builder = builder(base, Codec::None, records);
    builder.producer(producer, 0, base as i32).attributes(attribute::TRANSACTIONAL);
    builder.build()
}

fn marker(base: i64, producer: i64, ending: Ending) -> Vec<u8> {
    let mut batch = EndMarker { producer, epoch: 0, ending, coordinator_epoch: 3 }.encode(BASE_MS);
    BatchHeader::mut_from_prefix(&mut batch).unwrap().0.base_offset.set(base);
    batch
}

fn aborted(ranges: &[(i64, i64, i64)]) -> AbortedRanges {
    AbortedRanges::new(ranges.iter().map(|(producer, first, last)| AbortedRange {
        producer: ProducerId(*producer),
        first: Offset(*first),
        last: Offset(*last),
    }))
}

/// A whole pass: what is left, what was done, and the horizon as it was in the end.
fn pass_with(
    map: &mut KeyMap,
    batches: &[Vec<u8>],
    from: i64,
    mut rules: PassRules,
    aborted: &AbortedRanges,
) -> (Vec<Vec<u8>>, PassCounts, i64) {
    let range = ScanRange { partition: PARTITION, from: Offset(from), horizon: rules.horizon };
    'batches: for batch in batches {
        let mut scan = KeyScan::begin(range, aborted, batch);
        loop {
            match scan.step(map) {
                None => {}
                Some(KeyScanned::FullAt(offset)) => {
                    rules.horizon = offset;
                    break 'batches;
                }
                Some(_) => break,
            }
        }
    }
    let mut compactor = Compactor::new(rules, map, aborted);
    let mut left = Vec::new();
    for batch in batches {
        let mut work = compactor.begin(batch);
        match std::iter::repeat_with(|| work.step()).flatten().next().unwrap() {
            Fate::AsItIs => left.push(batch.clone()),
            Fate::Again(again) => left.push(again),
            Fate::Gone => {}
        }
    }
    let (emptied, counts) = compactor.end();
    left.extend(emptied);
    (left, counts, rules.horizon.0)
}

fn pass(batches: &[Vec<u8>], rules: PassRules, aborted: &AbortedRanges) -> (Vec<Vec<u8>>, PassCounts) {
    let mut map = KeyMap::new(9, 1 << 20, 10_000);
    let (left, counts, _) = pass_with(&mut map, batches, 0, rules, aborted);
    (left, counts)
}

/// Offset, key and value of every record.
fn records(batches: &[Vec<u8>]) -> Vec<(i64, Option<String>, Option<String>)> {
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let of_batch = |batch: &Vec<u8>| {
        let opened = Records::open(batch, 1 << 20).unwrap();
        let record = |record: Result<crate::batch::Record<'_>, _>| {
            let record = record.unwrap();
            (record.offset, text(record.key), text(record.value))
        };
        opened.iter().map(record).collect::<Vec<_>>()
    };
    batches.iter().flat_map(of_batch).collect()
}

fn offsets(batches: &[Vec<u8>]) -> Vec<i64> {
    records(batches).into_iter().map(|(offset, ..)| offset).collect()
}

fn header(batch: &[u8]) -> &BatchHeader {
    BatchHeader::of(batch).unwrap()
}

const A: Option<&str> = Some("a");
const B: Option<&str> = Some("b");
const VALUE: Option<&str> = Some("value");

#[test]
fn of_each_key_the_last_record_below_the_horizon_stays_and_every_one_above_it() {
    let log = [
        batch(0, &[(A, VALUE), (B, VALUE), (A, VALUE)]),
        batch(3, &[(A, VALUE)]),
        batch(4, &[(A, VALUE), (B, VALUE)]),
        batch(6, &[(A, VALUE)]),
    ];
    let (left, counts) = pass(&log, rules(4), &AbortedRanges::default());
    assert_eq!(offsets(&left), [1, 3, 4, 5, 6]);
    assert_eq!((counts.superseded, counts.batches_kept, counts.batches_again), (2, 3, 1));
    assert_eq!(left[1..], log[1..], "what loses nothing stays byte for byte");
    let (left, _) = pass(&log, rules(7), &AbortedRanges::default());
    assert_eq!(offsets(&left), [5, 6]);
    let (left, _) = pass(&log, rules(5), &AbortedRanges::default());
    assert_eq!(offsets(&left), [1, 4, 5, 6], "a horizon within a batch");
}

#[test]
fn a_batch_that_loses_records_keeps_codec_offsets_sequence_producer_epochs_and_type_of_time() {
    for codec in Codec::ALL {
        let mut builder = builder(7, codec, &[(A, VALUE), (B, VALUE), (A, None), (B, VALUE)]);
        builder.producer(5, 3, 40);
        let mut first = builder.build();
        let stamped = BatchHeader::mut_from_prefix(&mut first).unwrap().0;
        stamped.leader_epoch.set(9);
        stamped.stamp_log_append_time(BASE_MS + 700);
        let log = [first, batch(11, &[(A, VALUE)])];
        let (left, _) = pass(&log, rules(12), &AbortedRanges::default());
        let (was, is) = (header(&log[0]), header(&left[0]));
        assert_eq!(offsets(&left), [10, 11]);
        assert_eq!(is.codec_number(), codec as u8);
        assert_eq!((is.base_offset, is.last_offset_delta), (was.base_offset, was.last_offset_delta));
        assert_eq!((is.base_sequence, is.producer_id), (was.base_sequence, was.producer_id));
        assert_eq!((is.producer_epoch, is.leader_epoch), (was.producer_epoch, was.leader_epoch));
        assert_eq!((is.is_log_append_time(), is.max_timestamp), (true, was.max_timestamp));
        assert_eq!((is.record_count.get(), is.crc.get()), (1, crate::batch::header::batch_crc(&left[0])));
    }
}

#[test]
fn the_times_of_records_that_stay_are_theirs_and_the_batchs_highest_is_that_of_one_that_stays() {
    let log = [batch(0, &[(B, VALUE), (A, VALUE)]), batch(2, &[(A, None), (B, VALUE), (A, None)])];
    let (left, _) = pass(&log, rules(5), &AbortedRanges::default());
    assert_eq!(offsets(&left), [3, 4]);
    let times: Vec<i64> =
        Records::open(&left[0], 1 << 20).unwrap().iter().map(|record| record.unwrap().timestamp_ms).collect();
    assert_eq!(times, [BASE_MS + 3, BASE_MS + 4], "though the deltas count from the delete horizon now");
    assert_eq!(header(&left[0]).max_timestamp.get(), BASE_MS + 4);
    let log = [batch(0, &[(B, VALUE), (A, VALUE)]), batch(2, &[(A, VALUE)])];
    let (left, _) = pass(&log, rules(3), &AbortedRanges::default());
    assert_eq!(header(&left[0]).max_timestamp.get(), BASE_MS);
}

#[test]
fn a_tombstone_goes_when_its_delete_horizon_is_over_and_all_older_containers_are_inputs() {
    let log = [batch(0, &[(A, VALUE), (A, None)]), batch(2, &[(B, VALUE)])];
    let first = rules(3);
    let (once, counts) = pass(&log, first, &AbortedRanges::default());
    assert_eq!((offsets(&once), counts.horizons_set), (vec![1, 2], 1));
    assert_eq!(header(&once[0]).delete_horizon_ms(), Some(first.now_ms + DELETE_RETENTION_MS));
    let early = PassRules { now_ms: first.now_ms + DELETE_RETENTION_MS - 1, ..first };
    let (twice, counts) = pass(&once, early, &AbortedRanges::default());
    assert_eq!((&twice, counts.horizons_set), (&once, 0), "fixed when it was first met");
    let over = PassRules { now_ms: first.now_ms + DELETE_RETENTION_MS, ..first };
    let some = PassRules { takes_all_older: false, ..over };
    assert_eq!(pass(&twice, some, &AbortedRanges::default()).0, once, "an older container may have the key");
    let (gone, counts) = pass(&twice, over, &AbortedRanges::default());
    assert_eq!((offsets(&gone), counts.tombstones), (vec![2], 1));
}

#[test]
fn aborted_records_go_and_take_no_older_ones_with_them() {
    let log = [
        batch(0, &[(A, VALUE)]),
        transactional(1, 7, &[(A, VALUE), (B, VALUE)]),
        transactional(3, 8, &[(B, VALUE)]),
        batch(4, &[(Some("c"), VALUE)]),
    ];
    let ranges = aborted(&[(7, 1, 90)]);
    let (left, counts) = pass(&log, rules(5), &ranges);
    assert_eq!(offsets(&left), [0, 3, 4], "told by a marker far above the inputs");
    assert_eq!(counts.aborted, 2);
    assert_eq!(offsets(&pass(&log, rules(1), &ranges).0), [0, 3, 4], "above the horizon, too");
}

#[test]
fn a_marker_stays_as_long_as_a_batch_of_its_transaction_was_met_and_until_its_delete_horizon() {
    for ending in [Ending::Abort, Ending::Commit] {
        let log =
            [transactional(0, 7, &[(A, VALUE)]), marker(1, 7, ending), batch(2, &[(A, VALUE), (B, VALUE)])];
        let ranges = if ending == Ending::Abort { aborted(&[(7, 0, 1)]) } else { aborted(&[]) };
        let first = rules(4);
        let (once, counts) = pass(&log, first, &ranges);
        assert_eq!(once, log[1..], "{ending:?}: the data is gone, the marker stays as it is");
        assert_eq!((counts.horizons_set, counts.batches_gone), (0, 1));
        let (twice, counts) = pass(&once, first, &ranges);
        assert_eq!(counts.horizons_set, 1, "{ending:?}: now nothing of it is left");
        assert_eq!(header(&twice[0]).delete_horizon_ms(), Some(first.now_ms + DELETE_RETENTION_MS));
        assert_eq!(records(&twice[..1]), records(&log[1..2]), "and it says what it said");
        let later = PassRules { now_ms: first.now_ms + DELETE_RETENTION_MS, ..first };
        let some = PassRules { takes_all_older: false, ..later };
        assert_eq!(pass(&twice, some, &ranges).0, twice, "an older container may have its records");
        let (gone, counts) = pass(&twice, later, &ranges);
        assert_eq!((offsets(&gone), counts.markers), (vec![2, 3], 1));
    }
}

#[test]
fn control_records_that_end_no_transaction_stay() {
    let mut other = marker(0, 7, Ending::Abort);
    other[BATCH_HEADER_BYTES + 8] = 2;
    let log = [other, batch(1, &[(A, VALUE)])];
    let later = PassRules { now_ms: i64::MAX / 2, ..rules(2) };
    assert_eq!(pass(&log, later, &AbortedRanges::default()).0, log);
}

#[test]
fn the_batch_with_the_highest_offset_stays_emptied_if_need_be() {
    let log = [batch(0, &[(A, VALUE)]), transactional(1, 7, &[(A, VALUE), (B, VALUE)])];
    let ranges = aborted(&[(7, 1, 9)]);
    let (left, _) = pass(&log, rules(3), &ranges);
    assert_eq!(offsets(&left), [0]);
    let (was, is) = (header(&log[1]), header(&left[1]));
    assert_eq!(left[1].len(), BATCH_HEADER_BYTES);
    assert_eq!((is.base_offset, is.last_offset_delta), (was.base_offset, was.last_offset_delta));
    assert_eq!((is.producer_id, is.base_sequence), (was.producer_id, was.base_sequence));
    assert_eq!((is.record_count.get(), is.base_timestamp.get()), (0, -1));
    assert_eq!((is.max_timestamp, is.is_transactional()), (was.max_timestamp, true));
    assert!(check_records(&left[1], RecordBounds::ANY).is_ok());
    // It goes once another batch is the last one.
    let more = [&left[..], &[batch(3, &[(B, VALUE)])]].concat();
    assert_eq!(pass(&more, rules(4), &ranges).0, [left[0].clone(), more[2].clone()]);
    // And stays as long as it is the last.
    assert_eq!(pass(&left, rules(3), &ranges).0, left);
}

#[test]
fn a_record_without_a_key_goes() {
    let log = [batch(0, &[(None, VALUE), (A, VALUE), (None, None)]), batch(3, &[(None, VALUE)])];
    let (left, counts) = pass(&log, rules(3), &AbortedRanges::default());
    assert_eq!((offsets(&left), counts.keyless), (vec![1, 3], 2));
}

#[test]
fn what_cannot_be_decoded_stays_and_is_counted_and_is_no_reason_for_older_records_to_go() {
    let mut rotten = builder(1, Codec::Gzip, &[(A, VALUE), (B, VALUE)]).build();
    let end = rotten.len() - 9;
    rotten[end] ^= 0xff;
    let log = [batch(0, &[(A, VALUE)]), rotten, batch(3, &[(B, VALUE)])];
    let (left, counts) = pass(&log, rules(4), &AbortedRanges::default());
    assert_eq!((left, counts.undecodable), (log.to_vec(), 1));
    assert_eq!(counts.first_undecodable.map(|(offset, _)| offset), Some(Offset(1)));
    let mut unknown = batch(1, &[(A, VALUE)]);
    BatchHeader::mut_from_prefix(&mut unknown).unwrap().0.attributes.set(6);
    let log = [unknown, batch(2, &[(A, VALUE)])];
    assert_eq!(pass(&log, rules(3), &AbortedRanges::default()).0, log);
}

#[test]
fn a_batch_that_would_be_longer_than_it_may_be_stays_and_is_counted() {
    let log = [batch(0, &[(A, VALUE), (B, VALUE), (A, VALUE)]), batch(3, &[(A, VALUE)])];
    let short = PassRules { batch_bytes_max: 70, ..rules(4) };
    let (left, counts) = pass(&log, short, &AbortedRanges::default());
    assert_eq!((left, counts.too_long, counts.superseded), (log.to_vec(), 1, 0));
}

#[test]
fn a_full_map_ends_the_pass_at_that_offset_and_the_next_goes_on_from_there() {
    let keys: Vec<String> = (0..60).map(|key| format!("key {}", key % 20)).collect();
    let log: Vec<Vec<u8>> = keys
        .chunks(7)
        .enumerate()
        .map(|(at, keys)| {
            let records: Vec<KeyValue<'_>> = keys.iter().map(|key| (Some(key.as_str()), VALUE)).collect();
            batch(at as i64 * 7, &records)
        })
        .collect();
    let none = AbortedRanges::default();
    let (mut left, mut from) = (log, 0);
    let mut passes = 0;
    while from < 60 {
        let mut map = KeyMap::new(passes, 17 * crate::rewrite::key_map::SLOT_BYTES, u64::MAX);
        let (after, _, horizon) = pass_with(&mut map, &left, from, rules(60), &none);
        assert!(horizon > from, "each pass goes on");
        (left, from, passes) = (after, horizon, passes + 1);
    }
    assert_eq!(offsets(&left), (40..60).collect::<Vec<i64>>());
    assert!(passes > 2, "{passes}");
}

#[test]
fn long_batches_take_many_steps_and_records_longer_than_a_piece_pass() {
    let long = "x".repeat(200_000);
    for codec in Codec::ALL {
        let records: Vec<KeyValue<'_>> =
            vec![(A, Some(&long)), (B, Some(&long)), (A, Some(&long)), (Some(&long), VALUE)];
        let log = [builder(0, codec, &records).build(), batch(4, &[(A, None)])];
        let mut map = KeyMap::new(1, 1 << 20, 100);
        let range = ScanRange { partition: PARTITION, from: Offset(0), horizon: Offset(5) };
        let none = AbortedRanges::default();
        for batch in &log {
            let mut scan = KeyScan::begin(range, &none, batch);
            assert_eq!(
                std::iter::repeat_with(|| scan.step(&mut map)).flatten().next(),
                Some(KeyScanned::Noted)
            );
        }
        let mut compactor = Compactor::new(rules(5), &map, &none);
        let mut work = compactor.begin(&log[0]);
        let mut steps = 0;
        let fate = loop {
            steps += 1;
            if let Some(fate) = work.step() {
                break fate;
            }
        };
        let Fate::Again(again) = fate else { panic!("{codec:?}: {fate:?}") };
        assert!(steps > 20, "{codec:?}: {steps}");
        let left = records_of(&again);
        assert_eq!(left, [(1, long.len() + 1), (3, long.len() + 5)], "{codec:?}");
    }
}

/// Offsets, and bytes of key and value.
fn records_of(batch: &[u8]) -> Vec<(i64, usize)> {
    let opened = Records::open(batch, 64 << 20).unwrap();
    let bytes = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let of = |record: crate::batch::Record<'_>| (record.offset, bytes(record.key) + bytes(record.value));
    opened.iter().map(|record| of(record.unwrap())).collect()
}

/// A step of a log: a batch of a producer in a transaction or without one, or the end of a transaction.
#[derive(Clone, Debug)]
enum Move {
    Batch { producer: Option<i64>, codec: u8, records: Vec<(u8, Option<u8>)> },
    End { producer: i64, aborts: bool },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let record = (0u8..6, proptest::option::of(any::<u8>()));
    let batch = (proptest::option::of(0i64..3), 0u8..5, proptest::collection::vec(record, 1..6));
    let step = prop_oneof![
        3 => batch.prop_map(|(producer, codec, records)| Move::Batch { producer, codec, records }),
        1 => (0i64..3, any::<bool>()).prop_map(|(producer, aborts)| Move::End { producer, aborts }),
    ];
    proptest::collection::vec(step, 1..40)
}

/// A log as a partition has it.
#[derive(Default)]
struct Log {
    batches: Vec<Vec<u8>>,
    next: i64,
    /// First offset of each producer's transaction.
    open: BTreeMap<i64, i64>,
    aborted: Vec<(i64, i64, i64)>,
}

impl Log {
    fn of(moves: &[Move]) -> Self {
        let mut log = Self::default();
        moves.iter().for_each(|step| log.step(step));
        log
    }

    fn step(&mut self, step: &Move) {
        match step {
            Move::Batch { producer, codec, records } => {
                let mut builder = BatchBuilder::new(BASE_MS);
                builder.base_offset(self.next).codec(Codec::of(*codec).unwrap());
                if let Some(producer) = producer {
                    builder.producer(*producer, 0, 0).attributes(attribute::TRANSACTIONAL);
                    self.open.entry(*producer).or_insert(self.next);
                }
                for (key, value) in records {
                    let value = value.map(|value| [value; 3]);
                    builder.push(NewRecord {
                        timestamp_ms: BASE_MS + self.next,
                        key: (*key > 0).then_some(std::slice::from_ref(key)),
                        value: value.as_ref().map(|value| &value[..]),
                        headers: &[],
                    });
                }
                self.batches.push(builder.build());
                self.next += records.len() as i64;
            }
            Move::End { producer, aborts } => {
                let Some(first) = self.open.remove(producer) else { return };
                let ending = if *aborts { Ending::Abort } else { Ending::Commit };
                self.batches.push(marker(self.next, *producer, ending));
                if *aborts {
                    self.aborted.push((*producer, first, self.next));
                }
                self.next += 1;
            }
        }
    }

    fn stable(&self) -> i64 {
        self.open.values().copied().min().unwrap_or(self.next)
    }

    /// What a consumer that reads what is committed below the stable offset has of each key in the end.
    fn state(&self, batches: &[Vec<u8>]) -> BTreeMap<Vec<u8>, (i64, Vec<u8>)> {
        let ranges = aborted(&self.aborted);
        let mut state = BTreeMap::new();
        for batch in batches.iter().filter(|batch| !ranges.has(header(batch)) && !header(batch).is_control())
        {
            for record in Records::open(batch, 1 << 20).unwrap().iter() {
                let record = record.unwrap();
                let Some(key) = record.key.filter(|_| record.offset < self.stable()) else { continue };
                match record.value {
                    Some(value) => state.insert(key.to_vec(), (record.offset, value.to_vec())),
                    None => state.remove(key),
                };
            }
        }
        state
    }
}

fn end_of(batches: &[Vec<u8>]) -> i64 {
    let last = header(batches.last().unwrap());
    last.base_offset.get() + i64::from(last.last_offset_delta.get()) + 1
}

/// The records that a pass leaves, by the rules alone.
fn expected(log: &Log, batches: &[Vec<u8>], from: i64, rules: &PassRules) -> Vec<i64> {
    let ranges = aborted(&log.aborted);
    let mut newest = BTreeMap::new();
    for batch in batches.iter().filter(|batch| !ranges.has(header(batch)) && !header(batch).is_control()) {
        for record in Records::open(batch, 1 << 20).unwrap().iter() {
            let record = record.unwrap();
            if let Some(key) = record.key.filter(|_| (from..rules.horizon.0).contains(&record.offset)) {
                newest.insert(key.to_vec(), record.offset);
            }
        }
    }
    let mut left = Vec::new();
    for batch in batches.iter().filter(|batch| !header(batch).is_control()) {
        let is_aborted = ranges.has(header(batch));
        let is_over = header(batch).delete_horizon_ms().is_some_and(|at| rules.now_ms >= at);
        for record in Records::open(batch, 1 << 20).unwrap().iter() {
            let record = record.unwrap();
            let is_last = record.key.is_some_and(|key| newest.get(key).is_none_or(|at| *at <= record.offset));
            let is_deleted = record.value.is_none() && is_over && rules.takes_all_older;
            if !is_aborted && (record.offset >= rules.horizon.0 || is_last && !is_deleted) {
                left.push(record.offset);
            }
        }
    }
    left
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn passes_over_a_random_log_leave_what_the_rules_say_and_a_reader_sees_the_same(
        moves in moves(),
        passes in proptest::collection::vec((any::<prop::sample::Index>(), 0i64..200, 0i64..2_000, any::<bool>()), 1..6),
    ) {
        let log = Log::of(&moves);
        prop_assume!(!log.batches.is_empty());
        let ranges = aborted(&log.aborted);
        let mut batches = log.batches.clone();
        let (mut now_ms, mut clean_to) = (1_000_000, 0);
        for (older, horizon, later_ms, whole) in passes {
            now_ms += later_ms;
            // Batches before `older` are in containers that are no inputs.
            let older = if whole { 0 } else { older.index(batches.len()) };
            let horizon = Offset(log.stable().min(horizon));
            let inputs = batches.split_off(older);
            let rules = PassRules { takes_all_older: older == 0, now_ms, horizon, ..rules(0) };
            // What was compacted before need not be scanned again when it is among the inputs.
            let from = if older == 0 { clean_to } else { 0 };
            let mut map = KeyMap::new(3, 1 << 20, 1_000);
            let (left, _, _) = pass_with(&mut map, &inputs, from, rules, &ranges);
            let found: Vec<i64> = left
                .iter()
                .filter(|batch| !header(batch).is_control())
                .flat_map(|batch| offsets(std::slice::from_ref(batch)))
                .collect();
            prop_assert_eq!(found, expected(&log, &inputs, from, &rules));
            for batch in &left {
                prop_assert_eq!(header(batch).crc.get(), crate::batch::header::batch_crc(batch));
            }
            batches.extend(left);
            prop_assert_eq!(end_of(&batches), log.next, "a reader arrives at the end");
            prop_assert_eq!(log.state(&batches), log.state(&log.batches));
            if older == 0 {
                clean_to = clean_to.max(horizon.0);
            }
        }
    }
}
