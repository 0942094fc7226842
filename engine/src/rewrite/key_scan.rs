//! The first half of a pass: the newest offset of each key, of the batches that were not compacted before.

use super::aborted::AbortedRanges;
use super::key_map::{KeyHasher, KeyMap};
use super::opened::{OpenedBatch, Undecodable};
use super::record_parts::RecordPart;
use crate::batch::BatchHeader;
use crate::ids::{Offset, PartitionId};
use crate::planted::{Bug, is_planted};

/// What a scan looks at.
#[derive(Clone, Copy, Debug)]
pub struct ScanRange {
    pub partition: PartitionId,
    /// Records before it were noted in an earlier pass, or lie in a container that was compacted.
    pub from: Offset,
    /// Records from here on are none of this pass's.
    pub horizon: Offset,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyScanned {
    Noted,
    /// Nothing in it counts: markers, aborted records, records outside the range.
    Skipped,
    /// It stays as it is; records before the fault count like any other.
    Undecodable(Undecodable),
    /// The map has no room for this record's key: the pass's horizon is this offset, and nothing more is scanned.
    FullAt(Offset),
}

/// The scan of one batch, in steps.
pub struct KeyScan<'b> {
    range: ScanRange,
    base: i64,
    last_offset_delta: i32,
    /// `None`: there is nothing to look at.
    opened: Option<Result<OpenedBatch<'b>, Undecodable>>,
    key: Option<KeyHasher>,
    offset: Offset,
    full_at: Option<Offset>,
}

impl<'b> KeyScan<'b> {
    /// For a whole stored batch, whose CRC was checked.
    pub fn begin(range: ScanRange, aborted: &AbortedRanges, batch: &'b [u8]) -> Self {
        let header = BatchHeader::of(batch).expect("a stored batch is whole");
        let base = header.base_offset.get();
        let last_offset_delta = header.last_offset_delta.get();
        let last = base + i64::from(last_offset_delta);
        let is_outside = last < range.from.0 || base >= range.horizon.0;
        let counts = !is_outside && !header.is_control() && !aborted.has(header);
        let opened = counts.then(|| OpenedBatch::new(batch));
        Self { range, base, last_offset_delta, opened, key: None, offset: Offset(base), full_at: None }
    }

    /// One step, of a piece of at most 64 KiB of records; what became of the batch with the last one.
    pub fn step(&mut self, map: &mut KeyMap) -> Option<KeyScanned> {
        match self.try_step(map) {
            Err(error) => Some(KeyScanned::Undecodable(error)),
            Ok(_) if self.full_at.is_some() => self.full_at.map(KeyScanned::FullAt),
            Ok(true) => None,
            Ok(false) => Some(if self.opened.is_some() { KeyScanned::Noted } else { KeyScanned::Skipped }),
        }
    }

    fn try_step(&mut self, map: &mut KeyMap) -> Result<bool, Undecodable> {
        let Self { range, base, last_offset_delta, opened, key, offset, full_at } = self;
        let opened = match opened {
            None => return Ok(false),
            Some(Err(error)) => return Err(*error),
            Some(Ok(opened)) => opened,
        };
        opened.step(|part| {
            match part {
                RecordPart::Head(head) => {
                    if !(0..=*last_offset_delta).contains(&head.offset_delta) {
                        return Err(Undecodable::Place(head.record));
                    }
                    *offset = Offset(*base + i64::from(head.offset_delta));
                    let counts = range.from <= *offset && *offset < range.horizon && full_at.is_none();
                    *key = (counts && head.key_bytes.is_some()).then(|| map.hasher(range.partition));
                }
                RecordPart::Key(piece) => {
                    if let Some(key) = key {
                        key.write(piece);
                    }
                }
                RecordPart::Value(None) if is_planted(Bug::TombstoneOutlived) => *key = None,
                RecordPart::Value(_) => {
                    assert!(key.is_none() || *offset < range.horizon, "{offset} is behind the horizon");
                    if let Some(key) = key.take()
                        && map.note(key.finish(), *offset).is_err()
                    {
                        *full_at = Some(*offset);
                    }
                }
                RecordPart::Rest(_) | RecordPart::End => {}
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::header::attribute;
    use crate::batch::{BatchBuilder, Codec, NewRecord};
    use crate::ids::ProducerId;
    use crate::rewrite::AbortedRange;

    const PARTITION: PartitionId = PartitionId(4);

    fn batch(base: i64, attributes: i16, keys: &[&str]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(1_000);
        builder.base_offset(base).producer(7, 0, 0).attributes(attributes).codec(Codec::Lz4);
        for key in keys {
            builder.push(NewRecord { key: Some(key.as_bytes()), ..NewRecord::default() });
        }
        builder.build()
    }

    fn scan(map: &mut KeyMap, (from, horizon): (i64, i64), batch: &[u8]) -> KeyScanned {
        let range = ScanRange { partition: PARTITION, from: Offset(from), horizon: Offset(horizon) };
        let aborted = AbortedRange { producer: ProducerId(7), first: Offset(50), last: Offset(60) };
        let aborted = AbortedRanges::new([aborted]);
        let mut scan = KeyScan::begin(range, &aborted, batch);
        std::iter::repeat_with(|| scan.step(map)).flatten().next().expect("it ends")
    }

    #[test]
    fn the_newest_offset_of_each_key_within_the_range_is_noted() {
        let mut map = KeyMap::new(1, 1 << 10, 20);
        let found = scan(&mut map, (11, 13), &batch(10, 0, &["a", "b", "a", "b"]));
        assert_eq!(found, KeyScanned::Noted);
        let newest = |map: &KeyMap, key: &[u8]| map.newest(map.hash(PARTITION, key)).map(|offset| offset.0);
        assert_eq!((newest(&map, b"a"), newest(&map, b"b")), (Some(12), Some(11)));
        for outside in [(0, 10), (14, 20)] {
            assert_eq!(scan(&mut map, outside, &batch(10, 0, &["c", "c", "c", "c"])), KeyScanned::Skipped);
        }
        let control = attribute::CONTROL | attribute::TRANSACTIONAL;
        assert_eq!(scan(&mut map, (0, 99), &batch(20, control, &["c"])), KeyScanned::Skipped);
        let aborted = batch(55, attribute::TRANSACTIONAL, &["c"]);
        assert_eq!(scan(&mut map, (0, 99), &aborted), KeyScanned::Skipped);
        assert_eq!(newest(&map, b"c"), None);
    }

    #[test]
    fn a_key_that_finds_no_room_ends_the_scan_at_its_record() {
        let mut map = KeyMap::new(1, 0, 1);
        let keys = ["a", "b", "c", "d", "a", "e", "f", "g", "h"];
        assert_eq!(scan(&mut map, (0, 99), &batch(10, 0, &keys)), KeyScanned::FullAt(Offset(18)));
        assert_eq!(map.keys(), 7);
    }

    #[test]
    fn an_offset_outside_the_batch_is_no_record() {
        let mut wrong = batch(10, 0, &["a", "b"]);
        wrong[23..27].copy_from_slice(&0i32.to_be_bytes());
        let found = scan(&mut KeyMap::new(1, 1 << 10, 9), (0, 99), &wrong);
        assert_eq!(found, KeyScanned::Undecodable(Undecodable::Place(1)));
    }
}
