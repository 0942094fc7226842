//! The walk over records: each way in which they can be wrong, and against the plainest decoder.

use super::*;
use crate::batch::{BATCH_HEADER_BYTES, BatchBuilder, NewRecord, varint};
use proptest::prelude::*;
use zerocopy::FromBytes;

const BASE_MS: i64 = 1_000_000;

/// A record as a client may write it; the length before it is right.
fn record(time_delta: i64, offset_delta: i64, behind: &[u8]) -> Vec<u8> {
    let mut record = vec![0];
    varint::put(&mut record, time_delta);
    varint::put(&mut record, offset_delta);
    record.extend_from_slice(behind);
    let mut bytes = Vec::new();
    varint::put(&mut bytes, record.len() as i64);
    [bytes, record].concat()
}

/// Key "k", value "v", no headers.
const PLAIN: &[u8] = &[2, b'k', 2, b'v', 0];

fn header(count: i32) -> BatchHeader {
    let mut batch = BatchBuilder::new(BASE_MS).build();
    let header = BatchHeader::mut_from_prefix(&mut batch).unwrap().0;
    header.record_count.set(count);
    header.last_offset_delta.set(count - 1);
    *header
}

fn walk(count: i32, body: &[u8], bounds: RecordBounds) -> Result<RecordTimes, WalkError> {
    let mut walk = RecordWalk::new(&header(count), bounds);
    walk.feed(body);
    walk.finish()
}

fn fault(count: i32, body: &[u8]) -> RecordFault {
    match walk(count, body, RecordBounds::ANY) {
        Err(WalkError::Fault(fault)) => fault,
        other => panic!("no fault: {other:?}"),
    }
}

#[test]
fn the_records_give_the_times_whatever_the_header_says() {
    let body = [record(10, 0, PLAIN), record(30, 1, PLAIN), record(20, 2, PLAIN)].concat();
    for lie in [0, -1, i64::MAX, BASE_MS] {
        let mut header = header(3);
        header.max_timestamp.set(lie);
        let mut walk = RecordWalk::new(&header, RecordBounds::ANY);
        walk.feed(&body);
        let times = RecordTimes { newest_ms: BASE_MS + 30, some_without: false };
        assert_eq!(walk.finish(), Ok(times), "header {lie}");
    }
}

#[test]
fn records_without_a_time_are_told() {
    let none = -1 - BASE_MS;
    let without = walk(2, &[record(none, 0, PLAIN), record(none, 1, PLAIN)].concat(), RecordBounds::ANY);
    assert_eq!(without, Ok(RecordTimes { newest_ms: -1, some_without: true }));
    let one = walk(2, &[record(none, 0, PLAIN), record(5, 1, PLAIN)].concat(), RecordBounds::ANY);
    assert_eq!(one, Ok(RecordTimes { newest_ms: BASE_MS + 5, some_without: true }));
}

#[test]
fn a_count_that_is_not_that_of_the_records_is_a_fault() {
    let three = [record(0, 0, PLAIN), record(0, 1, PLAIN), record(0, 2, PLAIN)].concat();
    assert_eq!(fault(4, &three), RecordFault::TooFew { found: 3, expected: 4 });
    assert_eq!(fault(2, &three), RecordFault::LeftOver(2));
    assert_eq!(fault(3, &[&three[..], b"garbage"].concat()), RecordFault::LeftOver(3));
    assert_eq!(fault(3, b""), RecordFault::TooFew { found: 0, expected: 3 });
    for cut in 1..three.len() {
        let expected = match cut {
            cut if cut % (three.len() / 3) == 0 => RecordFault::TooFew { found: cut as i32 / 9, expected: 3 },
            cut => RecordFault::Malformed(cut as i32 / 9),
        };
        assert_eq!(fault(3, &three[..cut]), expected, "cut at {cut}");
    }
}

#[test]
fn offset_deltas_are_dense_from_zero() {
    let body = [record(0, 0, PLAIN), record(0, 0, PLAIN)].concat();
    assert_eq!(fault(2, &body), RecordFault::OffsetDelta { record: 1, found: 0 });
    assert_eq!(fault(1, &record(0, 1, PLAIN)), RecordFault::OffsetDelta { record: 0, found: 1 });
    assert_eq!(fault(1, &record(0, -1, PLAIN)), RecordFault::OffsetDelta { record: 0, found: -1 });
}

#[test]
fn lengths_within_a_record_are_looked_at() {
    let good: [&[u8]; 5] = [
        &[1, 1, 0],
        &[0, 0, 0],
        &[1, 1, 2, 2, b'h', 1],
        &[1, 1, 4, 0, 0, 2, b'h', 2, b'v'],
        // A length of more bytes than it needs.
        &[0x81, 0x80, 0x80, 0x80, 0, 1, 0],
    ];
    for behind in good {
        assert!(walk(1, &record(0, 0, behind), RecordBounds::ANY).is_ok(), "{behind:?}");
    }
    let bad: [(&str, &[u8]); 10] = [
        ("a key beyond the end", &[100, b'k', 1, 0]),
        ("a key of -2", &[3, 1, 0]),
        ("a value beyond the end", &[1, 4, b'v', 0]),
        ("a negative number of headers", &[1, 1, 1]),
        ("a header that is not there", &[1, 1, 2]),
        ("a header without a key", &[1, 1, 2, 1, 1]),
        ("a header's value beyond the end", &[1, 1, 2, 2, b'h', 90]),
        ("bytes behind the headers", &[1, 1, 0, 0]),
        ("a length of six bytes", &[0x81, 0x80, 0x80, 0x80, 0x80, 0, 1, 0]),
        ("a length of 33 bits", &[0x80, 0x80, 0x80, 0x80, 0x20, 1, 0]),
    ];
    for (what, behind) in bad {
        assert_eq!(fault(1, &record(0, 0, behind)), RecordFault::Malformed(0), "{what}");
    }
    for length in [[0].as_slice(), &[1], &[0x80, 0x80, 0x80, 0x80, 0x80, 1]] {
        let body = [length, &[0, 0, 0, 1, 1, 0]].concat();
        assert_eq!(fault(1, &body), RecordFault::Malformed(0), "{length:?}");
    }
}

#[test]
fn times_outside_the_bounds_are_counted_and_the_first_ones_named() {
    let bounds = RecordBounds { oldest_ms: BASE_MS, newest_ms: BASE_MS + 9, needs_keys: false };
    let deltas = [0, 10, -1, 9, 11, 12, -1 - BASE_MS];
    let body: Vec<u8> = (0..).zip(deltas).flat_map(|(at, delta)| record(delta, at, PLAIN)).collect();
    let Err(WalkError::Times(faults)) = walk(7, &body, bounds) else { panic!("all are within") };
    let named: Vec<_> = faults.named().iter().map(|one| (one.record, one.timestamp_ms - BASE_MS)).collect();
    assert_eq!((faults.count, &named[..]), (4, &[(1, 10), (2, -1), (4, 11)][..]));
    assert_eq!((faults.oldest_ms, faults.newest_ms), (bounds.oldest_ms, bounds.newest_ms));
    let far = walk(1, &record(i64::MAX, 0, PLAIN), RecordBounds::ANY);
    assert_eq!(far, Err(WalkError::Fault(RecordFault::Malformed(0))), "beyond 64 bits");
}

/// The plainest decoder: the whole body at once, record by record, by the format's page.
fn naive(count: i32, base_ms: i64, body: &[u8]) -> Option<RecordTimes> {
    fn number(from: &mut &[u8], bytes_max: usize) -> Option<i64> {
        let end = from.iter().position(|byte| *byte < 0x80)? + 1;
        let bytes = from.split_off(..end)?;
        if end > bytes_max {
            return None;
        }
        let mut raw = 0u128;
        for (at, byte) in bytes.iter().enumerate() {
            raw |= u128::from(byte & 0x7F) << (7 * at);
        }
        let raw = raw as u64;
        Some(if raw.is_multiple_of(2) { (raw / 2) as i64 } else { -((raw / 2) as i64) - 1 })
    }
    fn int(from: &mut &[u8]) -> Option<i32> {
        number(from, 5)?.try_into().ok()
    }
    fn bytes(from: &mut &[u8], null_allowed: bool) -> Option<()> {
        match int(from)? {
            -1 if null_allowed => Some(()),
            length => from.split_off(..usize::try_from(length).ok()?).map(|_| ()),
        }
    }
    let (mut rest, mut times) = (body, Vec::new());
    for expected in 0..count {
        let length = usize::try_from(int(&mut rest)?).ok()?;
        let mut record = rest.split_off(..length)?;
        record.split_off_first()?;
        times.push(base_ms.checked_add(number(&mut record, 10)?)?);
        if int(&mut record)? != expected {
            return None;
        }
        bytes(&mut record, true)?;
        bytes(&mut record, true)?;
        let headers = int(&mut record)?;
        if headers < 0 {
            return None;
        }
        for _ in 0..headers {
            bytes(&mut record, false)?;
            bytes(&mut record, true)?;
        }
        if !record.is_empty() {
            return None;
        }
    }
    let some_without = times.iter().any(|time| *time < 0);
    let newest_ms = times.into_iter().fold(-1, i64::max);
    rest.is_empty().then_some(RecordTimes { newest_ms, some_without })
}

type Nullable = Option<Vec<u8>>;

/// Time delta, key, value, headers' values.
fn any_record() -> impl Strategy<Value = (i64, Nullable, Nullable, Vec<Nullable>)> {
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200));
    let delta = prop_oneof![0i64..1_000, Just(-1 - BASE_MS), any::<i32>().prop_map(i64::from)];
    (delta, bytes(), bytes(), proptest::collection::vec(bytes(), 0..3))
}

proptest! {
    /// Bodies as clients make them, whole, with a byte flipped, or cut, in pieces of any length.
    #[test]
    fn the_walk_and_the_plainest_decoder_agree(
        records in proptest::collection::vec(any_record(), 1..12),
        wrong_count in prop_oneof![8 => Just(0), 1 => -1i32..=1],
        flip in proptest::option::of((any::<prop::sample::Index>(), 1u8..)),
        cut in proptest::option::weighted(0.2, any::<prop::sample::Index>()),
        pieces in proptest::collection::vec(1usize..300, 1..8),
    ) {
        let mut builder = BatchBuilder::new(BASE_MS);
        for (delta, key, value, headers) in &records {
            let headers: Vec<_> = headers.iter().map(|value| ("name", value.as_deref())).collect();
            let (key, value) = (key.as_deref(), value.as_deref());
            builder.push(NewRecord { timestamp_ms: BASE_MS + delta, key, value, headers: &headers });
        }
        let mut body = builder.build().split_off(BATCH_HEADER_BYTES);
        if let Some((at, flip)) = flip {
            let at = at.index(body.len());
            body[at] ^= flip;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        let count = (records.len() as i32 + wrong_count).max(1);
        let mut walk = RecordWalk::new(&header(count), RecordBounds::ANY);
        let (mut rest, mut pieces) = (&body[..], pieces.iter().cycle());
        while !rest.is_empty() {
            let piece = rest.len().min(*pieces.next().unwrap());
            walk.feed(&rest[..piece]);
            rest = &rest[piece..];
        }
        prop_assert_eq!(walk.finish().ok(), naive(count, BASE_MS, &body));
    }

    #[test]
    fn noise_gets_the_same_verdict_too(
        body in proptest::collection::vec(prop_oneof![0u8..8, any::<u8>()], 0..60),
        count in 1i32..4,
        piece in 1usize..20,
    ) {
        let mut walk = RecordWalk::new(&header(count), RecordBounds::ANY);
        body.chunks(piece).for_each(|piece| walk.feed(piece));
        prop_assert_eq!(walk.finish().ok(), naive(count, BASE_MS, &body));
    }
}

#[test]
fn a_record_without_a_key_is_a_fault_where_keys_are_needed_however_it_is_cut() {
    let mut builder = BatchBuilder::new(BASE_MS);
    builder.push(NewRecord { key: Some(b""), ..NewRecord::value(b"an empty key is one") });
    builder.push(NewRecord::value(b"none"));
    let batch = builder.build();
    let needing = RecordBounds { needs_keys: true, ..RecordBounds::ANY };
    for piece_bytes in [1, 7, 1_000] {
        for (bounds, expected) in
            [(RecordBounds::ANY, None), (needing, Some(WalkError::Fault(RecordFault::Keyless(1))))]
        {
            let mut walk = RecordWalk::new(BatchHeader::of(&batch).unwrap(), bounds);
            batch[BATCH_HEADER_BYTES..].chunks(piece_bytes).for_each(|piece| walk.feed(piece));
            assert_eq!(walk.finish().err(), expected, "pieces of {piece_bytes}");
        }
    }
}
