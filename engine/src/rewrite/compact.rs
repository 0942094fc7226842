//! The second half of a pass of compaction: what becomes of each batch of a partition, in the order of offsets. Bytes in,
//! bytes out; which batches, up to where, and what was aborted is told by who runs the pass.
//!
//! Offsets and order never change. Below the horizon the newest record of each key stays, and all above it that was not
//! aborted. What may go
//! beside older records of a key:
//!
//! - records of aborted transactions, and records without a key;
//! - a tombstone, or the marker of a transaction of which no batch is left, once its *delete horizon* is over (KIP-534:
//!   fixed when it is first met, and kept in the batch), and only in a pass that takes all older containers of the
//!   partition: else a deleted key would come back, or an aborted record turn into a committed one.
//!
//! The batch with the highest offset stays, emptied if need be: a reader must be able to arrive at the end.

use super::aborted::AbortedRanges;
use super::key_map::{KeyHasher, KeyMap};
use super::opened::{OpenedBatch, Undecodable};
use super::record_parts::{RecordHead, RecordPart, RecordParts};
use crate::batch::header::{BATCH_HEADER_BYTES, BatchHeader, attribute};
use crate::batch::{Codec, Packer, Packing, varint};
use crate::ids::{Offset, PartitionId, ProducerId};
use crate::planted::{Bug, is_planted};
use std::collections::BTreeSet;

/// What a pass may do with a partition.
#[derive(Clone, Copy, Debug)]
pub struct PassRules {
    pub partition: PartitionId,
    /// Records from here on stay as they are, unless they were aborted.
    pub horizon: Offset,
    /// The pass's inputs are all containers of the partition up to the horizon.
    pub takes_all_older: bool,
    pub now_ms: i64,
    /// How long tombstones and markers stay after they were first met.
    pub delete_retention_ms: i64,
    /// A batch that would be longer stays as it was.
    pub batch_bytes_max: u32,
}

/// What becomes of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays, byte for byte.
    AsItIs,
    /// It stays, as these bytes.
    Again(Vec<u8>),
    Gone,
}

/// What a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassCounts {
    pub batches_kept: u64,
    pub batches_again: u64,
    pub batches_gone: u64,
    /// Records that went: for a newer one of their key, …
    pub superseded: u64,
    pub tombstones: u64,
    pub aborted: u64,
    pub keyless: u64,
    pub markers: u64,
    /// Batches that got a delete horizon.
    pub horizons_set: u64,
    /// Batches kept as they are although records could go.
    pub undecodable: u64,
    /// The first of them, by its base offset, and what is wrong with it.
    pub first_undecodable: Option<(Offset, Undecodable)>,
    pub too_long: u64,
    /// Partitions with more keys than found room: the next pass goes on from there.
    pub maps_full: u64,
}

/// Producers with an open transaction that are told apart; beyond it every marker stays.
const TRAVERSED_MAX: usize = 1 << 16;

/// The pass over one partition.
pub struct Compactor<'m> {
    rules: PassRules,
    map: &'m KeyMap,
    aborted: &'m AbortedRanges,
    /// Producers of whose transaction, not ended yet, a batch was met.
    traversed: BTreeSet<ProducerId>,
    traversed_all: bool,
    /// The last batch, when nothing of it and of all behind the last kept one stays.
    emptied: Option<BatchHeader>,
    /// Behind the last batch that was begun.
    next: Offset,
    counts: PassCounts,
}

impl<'m> Compactor<'m> {
    /// `map` was filled by a [`KeyScan`](super::KeyScan) of all batches below the horizon that were not compacted before.
    pub fn new(rules: PassRules, map: &'m KeyMap, aborted: &'m AbortedRanges) -> Self {
        assert!(rules.horizon.0 >= 0, "a horizon of {}", rules.horizon);
        assert!(rules.delete_retention_ms >= 0, "a retention of {} ms", rules.delete_retention_ms);
        Self {
            rules,
            map,
            aborted,
            traversed: BTreeSet::new(),
            traversed_all: false,
            emptied: None,
            next: Offset(0),
            counts: PassCounts::default(),
        }
    }

    /// Begins with the next batch: whole, as it is stored, its CRC checked.
    pub fn begin<'b>(&mut self, batch: &'b [u8]) -> BatchWork<'_, 'm, 'b> {
        let header = BatchHeader::of(batch).expect("a stored batch is whole");
        assert_eq!(header.declared_bytes(), batch.len() as i64, "a whole batch and nothing else");
        let base = Offset(header.base_offset.get());
        assert!(self.next <= base, "batches come in order: {base} behind {}", self.next);
        self.next = Offset(base.0 + i64::from(header.last_offset_delta.get()) + 1);
        let stage = self.first_stage(header, batch);
        BatchWork { compactor: self, header, batch, stage }
    }

    fn first_stage<'b>(&mut self, header: &BatchHeader, batch: &'b [u8]) -> Stage<'b> {
        // Wherever the horizon is: a run has no list of what was aborted in it.
        if self.aborted.has(header) {
            self.traverse(ProducerId(header.producer_id.get()));
            self.counts.aborted += u64::try_from(header.record_count.get()).unwrap_or(0);
            return Stage::Decided(Fate::Gone);
        }
        if header.base_offset.get() >= self.rules.horizon.0 {
            return Stage::Decided(Fate::AsItIs);
        }
        if header.is_control() {
            return self.marker_stage(header, batch);
        }
        if header.is_transactional() {
            self.traverse(ProducerId(header.producer_id.get()));
        }
        match OpenedBatch::new(batch) {
            Ok(opened) => Stage::Judge(Box::new(Judge::new(header, opened))),
            Err(error) => Stage::Undecodable(error),
        }
    }

    fn traverse(&mut self, producer: ProducerId) {
        if self.traversed.len() < TRAVERSED_MAX {
            self.traversed.insert(producer);
        } else {
            self.traversed_all = true;
        }
    }

    /// A marker goes when no batch of its transaction was met in this pass, and not before its delete horizon.
    fn marker_stage<'b>(&mut self, header: &BatchHeader, batch: &'b [u8]) -> Stage<'b> {
        if header.record_count.get() == 0 {
            return Stage::Decided(Fate::Gone);
        }
        if !ends_transaction(batch) {
            return Stage::Decided(Fate::AsItIs);
        }
        let is_traversed = self.traversed.remove(&ProducerId(header.producer_id.get()));
        if is_traversed || self.traversed_all || !self.rules.takes_all_older {
            return Stage::Decided(Fate::AsItIs);
        }
        match (header.delete_horizon_ms(), OpenedBatch::new(batch)) {
            (Some(horizon_ms), _) if self.rules.now_ms >= horizon_ms => {
                self.counts.markers += 1;
                Stage::Decided(Fate::Gone)
            }
            (Some(_), _) => Stage::Decided(Fate::AsItIs),
            (None, Ok(opened)) => Stage::Judge(Box::new(Judge::new(header, opened))),
            (None, Err(error)) => Stage::Undecodable(error),
        }
    }

    fn ended(&mut self, header: &BatchHeader, fate: &Fate) {
        match fate {
            Fate::AsItIs => self.counts.batches_kept += 1,
            Fate::Again(_) => self.counts.batches_again += 1,
            Fate::Gone => self.counts.batches_gone += 1,
        }
        self.emptied = (*fate == Fate::Gone).then_some(*header);
    }

    /// Behind the last batch: that one, emptied, where it would be gone; and what was done.
    pub fn end(self) -> (Option<Vec<u8>>, PassCounts) {
        let emptied = self.emptied.as_ref().filter(|_| !is_planted(Bug::EndNotKept)).map(emptied);
        (emptied, self.counts)
    }

    fn delete_horizon_ms(&self) -> i64 {
        self.rules.now_ms.saturating_add(self.rules.delete_retention_ms)
    }
}

/// The batch without its records, as Kafka writes it.
fn emptied(header: &BatchHeader) -> Vec<u8> {
    let mut header = *header;
    header.attributes.set(header.attributes.get() & !attribute::DELETE_HORIZON);
    header.base_timestamp.set(-1);
    header.record_count.set(0);
    let batch = Packer::new(Packing::PLAIN, BATCH_HEADER_BYTES).finish(&header).expect("a header alone");
    assert_eq!(batch.len(), BATCH_HEADER_BYTES, "nothing but its header");
    batch
}

/// Whether a control batch is an abort's or a commit's.
fn ends_transaction(batch: &[u8]) -> bool {
    const ABORT: [u8; 2] = [0, 0];
    const COMMIT: [u8; 2] = [0, 1];
    let mut body = &batch[BATCH_HEADER_BYTES..];
    let mut parts = RecordParts::new(1);
    loop {
        match parts.next(&mut body) {
            Ok(Some(RecordPart::Head(_))) => {}
            // Version, which only grows, and type.
            Ok(Some(RecordPart::Key(key))) => {
                return key.get(2..4).is_some_and(|kind| kind == ABORT || kind == COMMIT);
            }
            _ => return false,
        }
    }
}

/// A batch in hand.
pub struct BatchWork<'c, 'm, 'b> {
    compactor: &'c mut Compactor<'m>,
    header: &'b BatchHeader,
    batch: &'b [u8],
    stage: Stage<'b>,
}

enum Stage<'b> {
    Judge(Box<Judge<'b>>),
    Write(Box<Writing<'b>>),
    Undecodable(Undecodable),
    Decided(Fate),
}

/// Which records stay.
struct Judge<'b> {
    opened: OpenedBatch<'b>,
    /// A bit for each record.
    stays: Vec<u64>,
    stay_count: u32,
    /// Of those that stay.
    max_timestamp: i64,
    /// One that stays below the horizon is a tombstone.
    has_tombstone: bool,
    head: Option<RecordHead>,
    key: Option<KeyHasher>,
    next_delta: i32,
    gone: Gone,
}

/// Records of a batch that go; they count once it is certain that they do.
#[derive(Clone, Copy, Default)]
struct Gone {
    superseded: u64,
    tombstones: u64,
    keyless: u64,
}

impl<'b> Judge<'b> {
    fn new(header: &BatchHeader, opened: OpenedBatch<'b>) -> Self {
        let count = usize::try_from(header.record_count.get()).expect("looked at when it was opened");
        // A count that no body can hold does not make a long list of bits: it grows as records come.
        let stays = Vec::with_capacity(count.min(1 << 16).div_ceil(64));
        Self {
            opened,
            stays,
            stay_count: 0,
            max_timestamp: -1,
            has_tombstone: false,
            head: None,
            key: None,
            next_delta: 0,
            gone: Gone::default(),
        }
    }

    /// One piece of records; false when there are no more.
    fn step(&mut self, header: &BatchHeader, compactor: &Compactor<'_>) -> Result<bool, Undecodable> {
        let Self { opened, stays, stay_count, max_timestamp, has_tombstone, head, key, next_delta, gone } =
            self;
        let (rules, map) = (&compactor.rules, compactor.map);
        opened.step(|part| {
            match part {
                RecordPart::Head(record) => {
                    if !(*next_delta..=header.last_offset_delta.get()).contains(&record.offset_delta) {
                        return Err(Undecodable::Place(record.record));
                    }
                    *next_delta = record.offset_delta.saturating_add(1);
                    *key = record.key_bytes.map(|_| map.hasher(rules.partition));
                    *head = Some(record);
                }
                RecordPart::Key(piece) => key.as_mut().expect("it has one").write(piece),
                RecordPart::Value(value) => {
                    let record = head.take().expect("a head came first");
                    let time = header.base_timestamp.get().checked_add(record.time_delta);
                    let time = time.ok_or(Undecodable::Place(record.record))?;
                    let newest = key.take().map(|key| map.newest(key.finish()));
                    let verdict = judge(rules, header, record.offset_delta, (newest, value.is_some()));
                    match verdict {
                        Verdict::Stays => {}
                        Verdict::StaysTombstone => *has_tombstone = true,
                        Verdict::Superseded => gone.superseded += 1,
                        Verdict::TombstoneOver => gone.tombstones += 1,
                        Verdict::Keyless => gone.keyless += 1,
                    }
                    let word = record.record as usize / 64;
                    stays.resize(word + 1, 0);
                    if matches!(verdict, Verdict::Stays | Verdict::StaysTombstone) {
                        stays[word] |= 1 << (record.record % 64);
                        *stay_count += 1;
                        *max_timestamp = (*max_timestamp).max(time);
                    }
                }
                RecordPart::Rest(_) | RecordPart::End => {}
            }
            Ok(())
        })
    }
}

enum Verdict {
    Stays,
    StaysTombstone,
    Superseded,
    TombstoneOver,
    Keyless,
}

/// `newest` is `None` for a record without a key, and in it the newest record of the key that was noted.
fn judge(
    rules: &PassRules,
    header: &BatchHeader,
    offset_delta: i32,
    (newest, has_value): (Option<Option<Offset>>, bool),
) -> Verdict {
    let offset = Offset(header.base_offset.get() + i64::from(offset_delta));
    if header.is_control() || offset >= rules.horizon {
        return Verdict::Stays;
    }
    let Some(newest) = newest else { return Verdict::Keyless };
    let is_older = |newest| newest > offset || is_planted(Bug::NewestOfKeyDropped) && newest == offset;
    if newest.is_some_and(is_older) {
        return Verdict::Superseded;
    }
    if has_value {
        return Verdict::Stays;
    }
    let is_over = header.delete_horizon_ms().is_some_and(|horizon_ms| rules.now_ms >= horizon_ms);
    if is_over && rules.takes_all_older { Verdict::TombstoneOver } else { Verdict::StaysTombstone }
}

impl BatchWork<'_, '_, '_> {
    /// One step, of at most 64 KiB of records; what becomes of the batch with the last one.
    pub fn step(&mut self) -> Option<Fate> {
        let fate = match &mut self.stage {
            Stage::Decided(fate) => core::mem::replace(fate, Fate::AsItIs),
            Stage::Undecodable(error) => {
                let counts = &mut self.compactor.counts;
                counts.undecodable += 1;
                counts.first_undecodable.get_or_insert((Offset(self.header.base_offset.get()), *error));
                Fate::AsItIs
            }
            Stage::Judge(judge) => match judge.step(self.header, self.compactor) {
                Ok(true) => return None,
                Ok(false) => self.judged()?,
                Err(error) => {
                    self.stage = Stage::Undecodable(error);
                    return None;
                }
            },
            Stage::Write(writing) => match writing.step() {
                Ok(None) => return None,
                Ok(Some(batch)) => {
                    self.compactor.count(writing.gone, writing.sets_horizon);
                    Fate::Again(batch)
                }
                Err(NotWritten::TooLong) => {
                    self.compactor.counts.too_long += 1;
                    Fate::AsItIs
                }
                Err(NotWritten::Undecodable(error)) => {
                    self.stage = Stage::Undecodable(error);
                    return None;
                }
            },
        };
        self.compactor.ended(self.header, &fate);
        Some(fate)
    }

    /// All records were judged; `None` when the batch is to be written again.
    fn judged(&mut self) -> Option<Fate> {
        let Stage::Judge(judge) = &mut self.stage else { unreachable!("called from there") };
        let header = self.header;
        let count = header.record_count.get() as u32;
        let gone = judge.gone.superseded + judge.gone.tombstones + judge.gone.keyless;
        assert_eq!(u64::from(judge.stay_count) + gone, u64::from(count), "each record stays or goes");
        let sets_horizon =
            (judge.has_tombstone || header.is_control()) && header.delete_horizon_ms().is_none();
        if judge.stay_count == count && !sets_horizon && count > 0 {
            return Some(Fate::AsItIs);
        }
        if judge.stay_count == 0 {
            self.compactor.count(judge.gone, false);
            return Some(Fate::Gone);
        }
        let mut again = *header;
        again.record_count.set(judge.stay_count as i32);
        if !header.is_log_append_time() && !header.is_control() {
            again.max_timestamp.set(judge.max_timestamp);
        }
        if sets_horizon {
            again.set_delete_horizon(self.compactor.delete_horizon_ms());
        }
        let stays = core::mem::take(&mut judge.stays);
        let writing = Writing::new(self.batch, again, stays, self.compactor.rules.batch_bytes_max);
        self.stage = match writing {
            Ok(writing) => Stage::Write(Box::new(Writing { gone: judge.gone, sets_horizon, ..writing })),
            Err(error) => Stage::Undecodable(error),
        };
        None
    }
}

impl Compactor<'_> {
    fn count(&mut self, gone: Gone, sets_horizon: bool) {
        self.counts.superseded += gone.superseded;
        self.counts.tombstones += gone.tombstones;
        self.counts.keyless += gone.keyless;
        self.counts.horizons_set += u64::from(sets_horizon);
    }
}

/// A batch that is written again with fewer records, or with other deltas of time.
struct Writing<'b> {
    opened: OpenedBatch<'b>,
    parts: RecordParts,
    /// Gone with the last step.
    packer: Option<Packer>,
    again: BatchHeader,
    stays: Vec<u64>,
    /// What the deltas of time grow by: the old base less the new one.
    time_shift: i64,
    step_bytes: usize,
    /// Decompressed and not looked at, from `at` on.
    piece: Vec<u8>,
    at: usize,
    /// The record in hand stays.
    is_staying: bool,
    head_bytes: Vec<u8>,
    gone: Gone,
    sets_horizon: bool,
}

enum NotWritten {
    TooLong,
    Undecodable(Undecodable),
}

impl From<Undecodable> for NotWritten {
    fn from(error: Undecodable) -> Self {
        NotWritten::Undecodable(error)
    }
}

impl<'b> Writing<'b> {
    fn new(
        batch: &'b [u8],
        again: BatchHeader,
        stays: Vec<u64>,
        bytes_max: u32,
    ) -> Result<Self, Undecodable> {
        let header = BatchHeader::of(batch).expect("a stored batch is whole");
        let codec = Codec::of(header.codec_number()).expect("it was decompressed before");
        let packing = Packing::usual(codec);
        let (old, new) = (header.base_timestamp.get(), again.base_timestamp.get());
        let time_shift = old.checked_sub(new).ok_or(Undecodable::Place(0))?;
        Ok(Self {
            opened: OpenedBatch::new(batch)?,
            parts: RecordParts::new(header.record_count.get() as u32),
            packer: Some(Packer::new(packing, bytes_max as usize)),
            again,
            stays,
            time_shift,
            step_bytes: packing.step_bytes(),
            piece: Vec::new(),
            at: 0,
            is_staying: false,
            head_bytes: Vec::new(),
            gone: Gone::default(),
            sets_horizon: false,
        })
    }

    /// One step; the batch with the last one.
    fn step(&mut self) -> Result<Option<Vec<u8>>, NotWritten> {
        if self.at < self.piece.len() {
            return self.write_slice().map(|()| None);
        }
        match self.opened.next_piece()? {
            Some(piece) => {
                self.piece.clear();
                self.piece.extend_from_slice(piece);
                self.at = 0;
                Ok(None)
            }
            None => {
                self.parts.finish().map_err(Undecodable::from)?;
                let packer = self.packer.take().expect("no step follows the last one");
                let stay_count: u32 = self.stays.iter().map(|word| word.count_ones()).sum();
                assert_eq!(self.again.record_count.get() as u32, stay_count, "those that stay were written");
                packer.finish(&self.again).map(Some).map_err(|_| NotWritten::TooLong)
            }
        }
    }

    fn write_slice(&mut self) -> Result<(), NotWritten> {
        let Self { parts, packer, stays, time_shift, is_staying, head_bytes, piece, at, step_bytes, .. } =
            self;
        let packer = packer.as_mut().expect("no step follows the last one");
        let end = piece.len().min(*at + *step_bytes);
        let mut slice = &piece[*at..end];
        *at = end;
        while let Some(part) = parts.next(&mut slice).map_err(Undecodable::from)? {
            head_bytes.clear();
            let bytes = match part {
                RecordPart::Head(head) => {
                    *is_staying = stays[head.record as usize / 64] >> (head.record % 64) & 1 == 1;
                    if *is_staying {
                        put_head(head_bytes, &head, *time_shift)?;
                    }
                    &head_bytes[..]
                }
                RecordPart::Value(_) => parts.value_length(),
                RecordPart::Key(piece) | RecordPart::Rest(piece) => piece,
                RecordPart::End => &[],
            };
            if *is_staying {
                packer.write(bytes).map_err(|_| NotWritten::TooLong)?;
            }
        }
        Ok(())
    }
}

/// The fields of a record up to its key, with the delta of its time moved.
fn put_head(to: &mut Vec<u8>, head: &RecordHead, time_shift: i64) -> Result<(), Undecodable> {
    let time_delta = head.time_delta.checked_add(time_shift).ok_or(Undecodable::Place(head.record))?;
    let key_bytes = head.key_bytes.map_or(-1, i64::from);
    let fields = [time_delta, i64::from(head.offset_delta), key_bytes];
    let bytes = 1 + fields.into_iter().map(varint_bytes).sum::<i64>();
    varint::put(to, bytes + i64::from(head.behind));
    to.push(head.attributes);
    fields.into_iter().for_each(|field| varint::put(to, field));
    Ok(())
}

/// How long a varint is.
fn varint_bytes(value: i64) -> i64 {
    let raw = ((value << 1) ^ (value >> 63)) as u64;
    i64::from((u64::BITS - (raw | 1).leading_zeros()).div_ceil(7))
}

#[cfg(test)]
#[path = "compact_tests.rs"]
mod tests;
