//! The open entry: batches are copied into it as they arrive, summed on the way, and sealed into
//! the bytes that go to the disk, to followers and to readers.
//!
//! The head lies before the batches, but how many descriptors there will be is known only at the
//! end. So an open entry has a fixed number of descriptor slots, guessed from the entry before;
//! when they run out it counts as full. What the guess left over is zeros between head and body,
//! or closed by one short move where that saves a block.

use super::bytes::EntryBytes;
use super::layout::{
    BATCH_PREFIX_BYTES, BatchDescriptor, DESCRIPTOR_BYTES, ENTRY_MAGIC, ENTRY_VERSION, ENTRY_VERSION_FIRST,
    EntryHeader, EntryKind, HEADER_BYTES, head_checksum,
};
use super::reader::batch_prefix;
use crate::batch::header::attribute;
use crate::batch::validate::BatchError;
use crate::batch::{BATCH_HEADER_BYTES, BatchHeader, Checked, RecordTimes, RecordWalk};
use crate::disk::{BLOCK, Buffer, BufferMut, BufferPool, IO_BYTES_MAX};
use crate::ids::{ClusterId, Index, JournalId, Term};
use core::mem::offset_of;
use smallvec::SmallVec;
use zerocopy::{FromZeros, IntoBytes};

/// The batch's bytes are copied and summed in steps that stay in the first-level cache between
/// the two: summing cold bytes costs 0.07 core-seconds per GB, warm ones 0.04.
const COPY_STEP_BYTES: usize = 32 << 10;
/// A body at most this long is moved down at the seal when that saves a block.
const MOVE_BYTES_MAX: usize = 64 << 10;
const SLOTS_MIN: usize = 4;
/// Slots for a megabyte of the smallest batches there are (61 B header and one record).
pub const SLOTS_MAX: usize = 7 << 10;

/// What the entry before teaches about the next one.
#[derive(Clone, Copy, Debug)]
pub struct Hint {
    slots: usize,
    first_piece_bytes: usize,
}

impl Hint {
    /// For an entry that takes at least so many batches.
    pub fn at_least(self, batches: usize) -> Self {
        assert!(batches <= SLOTS_MAX, "{batches} batches do not fit one entry");
        Self { slots: self.slots.max(batches), ..self }
    }

    /// The most that the next entry takes beside its batches, padding included.
    pub fn head_bytes_max(&self) -> usize {
        HEADER_BYTES + self.slots * DESCRIPTOR_BYTES + BLOCK
    }
}

impl Default for Hint {
    fn default() -> Self {
        Self { slots: SLOTS_MIN, first_piece_bytes: 16 << 10 }
    }
}

/// What the header says beyond the batches themselves.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    pub cluster: ClusterId,
    pub journal: JournalId,
    pub secret: u64,
    pub term: Term,
    pub index: Index,
    pub segment_base: Index,
    /// Position in the segment, bytes.
    pub position: u64,
    pub commit: Index,
    pub wall_ms: i64,
    pub previous_checksum: u32,
}

/// What changes in a batch on its way in; the rest is the client's.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// The descriptor of the batch's header. The builder fills `position` and `crc`, and has the
    /// last word on `max_timestamp`.
    pub descriptor: BatchDescriptor,
    /// The broker's clock at the append: the time of all records where the topic has
    /// LogAppendTime, and of those that have none for retention and lookups.
    pub append_ms: i64,
    pub log_append_time: bool,
    pub times: Times,
}

/// Where the times of a batch's records are known from.
#[derive(Clone, Copy, Debug)]
pub enum Times {
    /// The records of an uncompressed batch are looked at while they are copied.
    Walk(RecordWalk),
    /// They were looked at before; a fault counts once the CRC was right.
    Checked(Checked),
    /// The header is believed.
    Header,
}

impl Placed {
    /// A batch that is known to be good, as it is.
    pub fn as_it_is(descriptor: BatchDescriptor) -> Self {
        Self { descriptor, append_ms: -1, log_append_time: false, times: Times::Header }
    }
}

/// An entry that takes batches.
#[derive(Debug)]
pub struct OpenEntry {
    pieces: SmallVec<[BufferMut; 1]>,
    descriptors: Vec<BatchDescriptor>,
    /// Of any of the batches: older versions of the program would fold something else.
    has_transactions: bool,
    slots: usize,
    /// Where the first batch is, and the end of the last, from the entry's start.
    body_position: usize,
    body_end: usize,
    entry_bytes_max: usize,
}

impl OpenEntry {
    /// An empty entry of at most `entry_bytes_max`, or one large enough for `first_batch_bytes`.
    pub fn new(pool: &BufferPool, hint: Hint, entry_bytes_max: usize, first_batch_bytes: usize) -> Self {
        let slots = if first_batch_bytes + BLOCK > entry_bytes_max { SLOTS_MIN } else { hint.slots };
        let body_position = HEADER_BYTES + slots * DESCRIPTOR_BYTES;
        let first_bytes = hint.first_piece_bytes.max(body_position + first_batch_bytes);
        let first = pool.take(first_bytes.min(IO_BYTES_MAX));
        assert!(body_position < first.capacity(), "the head lies in the first piece");
        Self {
            pieces: SmallVec::from_iter([first]),
            descriptors: Vec::with_capacity(slots),
            has_transactions: false,
            slots,
            body_position,
            body_end: body_position,
            entry_bytes_max: entry_bytes_max.max(body_position + first_batch_bytes + BLOCK),
        }
    }

    /// Whether one more batch of `bytes` fits.
    pub fn fits(&self, bytes: usize) -> bool {
        self.fits_all(1, bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.descriptors.is_empty()
    }

    /// Whether so many batches of so many bytes each fit.
    pub fn fits_all(&self, batches: usize, bytes_each: usize) -> bool {
        self.descriptors.len() + batches <= self.slots
            && (self.body_end + batches * bytes_each).next_multiple_of(BLOCK) <= self.entry_bytes_max
    }

    /// Bytes it would have if it were sealed now.
    pub fn bytes(&self) -> usize {
        self.body_end.next_multiple_of(BLOCK)
    }

    pub fn descriptors(&self) -> &[BatchDescriptor] {
        &self.descriptors
    }

    /// Copies a batch in. On an error the entry is as before.
    pub fn append(&mut self, pool: &BufferPool, batch: &[u8], placed: Placed) -> Result<(), BatchError> {
        assert!(self.fits(batch.len()), "{} bytes into a full entry", batch.len());
        let Placed { mut descriptor, append_ms, log_append_time, mut times } = placed;
        let start = self.body_end;
        let expected = u32::from_be_bytes(batch[17..21].try_into().expect("four bytes"));
        let walk = if let Times::Walk(walk) = &mut times { Some(walk) } else { None };
        let mut crc = self.copy_in(pool, start + BATCH_PREFIX_BYTES, &batch[BATCH_PREFIX_BYTES..], walk);
        if crc != expected {
            return Err(BatchError::Crc);
        }
        let newest_ms = descriptor.max_timestamp.get();
        let times = match times {
            Times::Walk(walk) => walk.finish()?,
            Times::Checked(checked) => checked?,
            Times::Header => RecordTimes { newest_ms, some_without: newest_ms == -1 },
        };
        self.body_end = start + batch.len();
        let stored_ms = if log_append_time { append_ms } else { times.newest_ms };
        if log_append_time || stored_ms != newest_ms {
            // Attribute bit 3 and the maximum timestamp lie in the CRC's region.
            let bit = if log_append_time { attribute::LOG_APPEND_TIME } else { 0 };
            let attributes = descriptor.attributes.get() | bit;
            descriptor.attributes.set(attributes);
            self.put(start + offset_of!(BatchHeader, attributes), &attributes.to_be_bytes());
            self.put(start + offset_of!(BatchHeader, max_timestamp), &stored_ms.to_be_bytes());
            crc = self.sum(start + BATCH_PREFIX_BYTES..self.body_end);
        }
        let counts_from_append = times.some_without && !log_append_time;
        let counted_ms = if counts_from_append { stored_ms.max(append_ms) } else { stored_ms };
        descriptor.max_timestamp.set(counted_ms);
        descriptor.position.set(start as u32);
        descriptor.crc.set(crc);
        self.put(start, &batch_prefix(&descriptor));
        self.has_transactions |= descriptor.needs_transactions();
        self.descriptors.push(descriptor);
        Ok(())
    }

    /// Copies a batch from its CRC's region on to `position`, adding pieces as needed; gives the
    /// CRC-32C. `walk` looks at the same bytes while they are in the first-level cache.
    fn copy_in(
        &mut self,
        pool: &BufferPool,
        mut position: usize,
        mut bytes: &[u8],
        mut walk: Option<&mut RecordWalk>,
    ) -> u32 {
        let mut crc = 0;
        let mut header_left = BATCH_HEADER_BYTES - BATCH_PREFIX_BYTES;
        while !bytes.is_empty() {
            let (piece, at) = self.piece_at(pool, position);
            let step = bytes.len().min(piece.len() - at).min(COPY_STEP_BYTES);
            let (now, later) = bytes.split_at(step);
            crc = crc32c::crc32c_append(crc, now);
            if let Some(walk) = &mut walk {
                let skipped = header_left.min(step);
                header_left -= skipped;
                walk.feed(&now[skipped..]);
            }
            piece[at..at + step].copy_from_slice(now);
            bytes = later;
            position += step;
        }
        crc
    }

    /// The piece that holds `position`, made when it lies behind the last one.
    fn piece_at(&mut self, pool: &BufferPool, position: usize) -> (&mut BufferMut, usize) {
        let mut start = 0;
        for at in 0..self.pieces.len() {
            let end = start + self.pieces[at].capacity();
            if position < end {
                return (&mut self.pieces[at], position - start);
            }
            start = end;
        }
        // The entry outgrew its guess: as much again as there is, so that there are few pieces.
        self.pieces.push(pool.take(start.min(IO_BYTES_MAX)));
        let last = self.pieces.last_mut().expect("just pushed");
        (last, position - start)
    }

    /// Writes within pieces that exist.
    fn put(&mut self, position: usize, bytes: &[u8]) {
        let mut start = 0;
        let mut done = 0;
        for piece in &mut self.pieces {
            let end = start + piece.capacity();
            while done < bytes.len() && position + done < end {
                let at = position + done - start;
                let step = (bytes.len() - done).min(piece.len() - at);
                piece[at..at + step].copy_from_slice(&bytes[done..done + step]);
                done += step;
            }
            start = end;
        }
        assert_eq!(done, bytes.len());
    }

    fn sum(&self, range: core::ops::Range<usize>) -> u32 {
        let mut start = 0;
        let mut crc = 0;
        for piece in &self.pieces {
            let end = start + piece.capacity();
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                crc = crc32c::crc32c_append(crc, &piece[from - start..to - start]);
            }
            start = end;
        }
        crc
    }

    fn head_bytes(&self) -> usize {
        HEADER_BYTES + self.descriptors.len() * DESCRIPTOR_BYTES
    }

    /// The last thing before the entry is placed: from here on its length is final.
    pub fn close(&mut self) {
        self.close_gap(self.head_bytes());
    }

    /// Seals the closed entry under its header. Gives also what the next entry should know.
    pub fn seal(mut self, stamp: &Stamp) -> (EntryBytes, Hint) {
        assert!(!self.descriptors.is_empty(), "an empty entry is not sealed");
        let hint = self.next_hint();
        let head_bytes = self.head_bytes();
        let mut header = header(EntryKind::Batches, stamp);
        if self.has_transactions {
            header.version.set(ENTRY_VERSION);
        }
        header.count.set(self.descriptors.len() as u32);
        header.entry_bytes.set(self.body_end.next_multiple_of(BLOCK) as u32);
        header.head_bytes.set(head_bytes as u32);
        header.body_position.set(self.body_position as u32);
        header.body_bytes.set((self.body_end - self.body_position) as u32);
        let first = &mut self.pieces[0];
        first[..HEADER_BYTES].copy_from_slice(header.as_bytes());
        first[HEADER_BYTES..head_bytes].copy_from_slice(self.descriptors.as_bytes());
        first[head_bytes..self.body_position].fill(0);
        seal_checksum(first, stamp.secret, head_bytes);
        (self.into_bytes(), hint)
    }

    fn next_hint(&self) -> Hint {
        let used = self.descriptors.len();
        let slots = if used == self.slots { used * 4 } else { used * 2 };
        Hint {
            slots: slots.clamp(SLOTS_MIN, SLOTS_MAX),
            first_piece_bytes: self.bytes().next_power_of_two().clamp(16 << 10, IO_BYTES_MAX),
        }
    }

    /// Moves a short body down to the head where that makes the entry a block shorter.
    fn close_gap(&mut self, head_bytes: usize) {
        let gap = self.body_position - head_bytes;
        let body_bytes = self.body_end - self.body_position;
        let saves = (self.body_end - gap).next_multiple_of(BLOCK) < self.bytes();
        if !saves || body_bytes > MOVE_BYTES_MAX || self.body_end > self.pieces[0].capacity() {
            return;
        }
        self.pieces[0].copy_within(self.body_position..self.body_end, head_bytes);
        self.body_position = head_bytes;
        self.body_end -= gap;
        for descriptor in &mut self.descriptors {
            descriptor.position -= gap as u32;
        }
    }

    fn into_bytes(mut self) -> EntryBytes {
        let bytes = self.body_end.next_multiple_of(BLOCK);
        let mut start = 0;
        let mut sealed: SmallVec<[Buffer; 1]> = SmallVec::new();
        for mut piece in self.pieces.drain(..) {
            let end = start + piece.capacity();
            if start < bytes {
                let used = bytes.min(end) - start;
                let body = self.body_end.saturating_sub(start).min(used);
                piece[body..used].fill(0);
                sealed.push(piece.seal(used));
            }
            start = end;
        }
        EntryBytes::new(sealed)
    }
}

/// An entry without batches: a term start, control items, commands.
pub fn head_only(pool: &BufferPool, kind: EntryKind, count: u32, items: &[u8], stamp: &Stamp) -> EntryBytes {
    assert!(kind != EntryKind::Batches);
    let head_bytes = HEADER_BYTES + items.len();
    let entry_bytes = head_bytes.next_multiple_of(BLOCK);
    assert!(entry_bytes <= IO_BYTES_MAX, "{entry_bytes} bytes of items");
    let mut header = header(kind, stamp);
    header.count.set(count);
    header.entry_bytes.set(entry_bytes as u32);
    header.head_bytes.set(head_bytes as u32);
    header.body_position.set(head_bytes as u32);
    let mut piece = pool.take(entry_bytes);
    piece[..HEADER_BYTES].copy_from_slice(header.as_bytes());
    piece[HEADER_BYTES..head_bytes].copy_from_slice(items);
    piece[head_bytes..entry_bytes].fill(0);
    seal_checksum(&mut piece, stamp.secret, head_bytes);
    EntryBytes::new(SmallVec::from_iter([piece.seal(entry_bytes)]))
}

/// The most items that fit an entry without batches, bytes.
pub const ITEMS_BYTES_MAX: usize = IO_BYTES_MAX - BLOCK;

fn header(kind: EntryKind, stamp: &Stamp) -> EntryHeader {
    let mut header = EntryHeader::new_zeroed();
    header.magic = ENTRY_MAGIC;
    header.version.set(ENTRY_VERSION_FIRST);
    header.kind = kind as u8;
    header.cluster.set(stamp.cluster.0);
    header.journal.set(stamp.journal.0);
    header.term.set(stamp.term.0);
    header.index.set(stamp.index.0);
    header.segment_base.set(stamp.segment_base.0);
    header.position.set(stamp.position);
    header.commit.set(stamp.commit.0);
    header.wall_ms.set(stamp.wall_ms);
    header.previous_checksum.set(stamp.previous_checksum);
    header
}

fn seal_checksum(first: &mut [u8], secret: u64, head_bytes: usize) {
    let checksum = head_checksum(secret, &first[..head_bytes]);
    let at = core::mem::offset_of!(EntryHeader, checksum);
    first[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, NewRecord, RecordBounds, RecordFault};
    use crate::ids::{LeaderEpoch, Offset, PartitionId};
    use zerocopy::{FromBytes, FromZeros};

    fn stamp() -> Stamp {
        Stamp {
            cluster: ClusterId(1),
            journal: JournalId(2),
            secret: 3,
            term: Term(4),
            index: Index(5),
            segment_base: Index(5),
            position: 0,
            commit: Index(4),
            wall_ms: 6,
            previous_checksum: 7,
        }
    }

    fn batch(bytes: usize, fill: u8) -> Vec<u8> {
        let mut batch = vec![fill; bytes];
        let crc = crc32c::crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        batch
    }

    fn placed(bytes: usize) -> Placed {
        let mut descriptor = BatchDescriptor::new_zeroed();
        descriptor.bytes.set(bytes as u32);
        descriptor.base_offset.set(77);
        Placed::as_it_is(descriptor)
    }

    fn build(sizes: &[usize]) -> EntryBytes {
        let pool = BufferPool::new(0);
        let mut entry = OpenEntry::new(&pool, Hint { slots: 64, first_piece_bytes: 8192 }, 1 << 20, sizes[0]);
        for (at, size) in sizes.iter().enumerate() {
            entry.append(&pool, &batch(*size, at as u8 + 1), placed(*size)).expect("the CRC is right");
        }
        entry.close();
        entry.seal(&stamp()).0
    }

    #[test]
    fn batches_of_any_size_lie_where_their_descriptors_say() {
        for sizes in [vec![100], vec![100, 5000, 61], vec![300_000, 70, 400_000], vec![3 << 20]] {
            let entry = build(&sizes);
            assert_eq!(entry.descriptors().len(), sizes.len());
            for (at, descriptor) in entry.descriptors().iter().enumerate() {
                let start = descriptor.position.get() as usize;
                let stored = entry.copy(start..start + sizes[at]);
                assert_eq!(stored[..21], batch_prefix(descriptor));
                assert!(stored[21..].iter().all(|byte| *byte == at as u8 + 1), "batch {at} of {sizes:?}");
            }
        }
    }

    #[test]
    fn one_small_batch_takes_one_block() {
        assert_eq!(build(&[1200]).len(), BLOCK);
    }

    #[test]
    fn a_wrong_crc_leaves_the_entry_as_it_was() {
        let pool = BufferPool::new(0);
        let mut entry = OpenEntry::new(&pool, Hint::default(), 1 << 20, 100);
        let mut bad = batch(100, 9);
        bad[60] ^= 1;
        assert_eq!(entry.append(&pool, &bad, placed(100)), Err(BatchError::Crc));
        assert!(entry.is_empty());
        entry.append(&pool, &batch(100, 8), placed(100)).expect("the CRC is right");
        assert_eq!(entry.seal(&stamp()).0.descriptors().len(), 1);
    }

    #[test]
    fn log_append_time_is_written_and_summed_again() {
        let pool = BufferPool::new(0);
        let mut entry = OpenEntry::new(&pool, Hint::default(), 1 << 20, 100);
        let placed = Placed { append_ms: 12345, log_append_time: true, ..placed(100) };
        entry.append(&pool, &batch(100, 9), placed).expect("the CRC is right");
        let entry = entry.seal(&stamp()).0;
        let descriptor = entry.descriptors()[0];
        let start = descriptor.position.get() as usize;
        let stored = entry.copy(start..start + 100);
        assert_eq!(stored[35..43], 12345i64.to_be_bytes());
        assert_eq!(crc32c::crc32c(&stored[21..]), descriptor.crc.get());
    }

    const NOW_MS: i64 = 2_000_000;

    /// Two records at these times, under a header that says `max_timestamp`; each value lies across
    /// several steps of the copy.
    fn records(times: [i64; 2], max_timestamp: i64) -> Vec<u8> {
        let mut builder = BatchBuilder::new(1_000_000);
        for timestamp_ms in times {
            builder.push(NewRecord { timestamp_ms, ..NewRecord::value(&[5; 100_000]) });
        }
        let mut batch = builder.build();
        changed(&mut batch, |header| header.max_timestamp.set(max_timestamp));
        batch
    }

    /// A header of the client's making, with its CRC.
    fn changed(batch: &mut [u8], change: impl FnOnce(&mut BatchHeader)) {
        change(BatchHeader::mut_from_prefix(batch).unwrap().0);
        let crc = crc32c::crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
    }

    fn placed_at_now(batch: &[u8]) -> Placed {
        let header = BatchHeader::of(batch).unwrap();
        let descriptor = header.descriptor(PartitionId(1), Offset(0), LeaderEpoch(1), 0);
        let times = Times::Walk(RecordWalk::new(header, RecordBounds::ANY));
        Placed { descriptor, append_ms: NOW_MS, log_append_time: false, times }
    }

    /// The maximum timestamps of descriptor and stored header; the CRC is right.
    fn stored(batch: &[u8], placed: Placed) -> Result<(i64, i64), BatchError> {
        let pool = BufferPool::new(0);
        let mut entry = OpenEntry::new(&pool, Hint::default(), 1 << 20, batch.len());
        entry.append(&pool, batch, placed)?;
        entry.close();
        let entry = entry.seal(&stamp()).0;
        let descriptor = entry.descriptors()[0];
        let start = descriptor.position.get() as usize;
        let stored = entry.copy(start..start + batch.len());
        assert_eq!(crc32c::crc32c(&stored[21..]), descriptor.crc.get());
        assert_eq!(stored[61..], batch[61..], "no record changes");
        let header = BatchHeader::of(&stored).unwrap();
        assert_eq!(header.crc.get(), descriptor.crc.get());
        Ok((descriptor.max_timestamp.get(), header.max_timestamp.get()))
    }

    #[test]
    fn the_maximum_timestamp_is_that_of_the_records_whatever_the_header_says() {
        for lie in [0, -1, 1_000_030, 1_000_029, i64::MAX, i64::MIN] {
            let batch = records([1_000_030, 1_000_010], lie);
            assert_eq!(stored(&batch, placed_at_now(&batch)), Ok((1_000_030, 1_000_030)), "{lie}");
            let known = RecordTimes { newest_ms: 1_000_030, some_without: false };
            let checked = Placed { times: Times::Checked(Ok(known)), ..placed_at_now(&batch) };
            assert_eq!(stored(&batch, checked), Ok((1_000_030, 1_000_030)), "checked before, {lie}");
        }
    }

    #[test]
    fn records_without_time_count_from_the_append() {
        let none = records([-1, -1], 77);
        assert_eq!(stored(&none, placed_at_now(&none)), Ok((NOW_MS, -1)));
        let one_of_two = records([-1, 1_000_030], 77);
        assert_eq!(stored(&one_of_two, placed_at_now(&one_of_two)), Ok((NOW_MS, 1_000_030)));
        let later = records([-1, NOW_MS + 5], 77);
        assert_eq!(stored(&later, placed_at_now(&later)), Ok((NOW_MS + 5, NOW_MS + 5)));
        let stamped = Placed { log_append_time: true, ..placed_at_now(&none) };
        assert_eq!(stored(&none, stamped), Ok((NOW_MS, NOW_MS)));
    }

    #[test]
    fn a_header_that_is_believed_is_left_alone_and_no_time_counts_from_the_append() {
        for (says, counts) in [(0, 0), (77, 77), (-1, NOW_MS)] {
            let batch = records([1_000_030, 1_000_010], says);
            let believed = Placed { times: Times::Header, ..placed_at_now(&batch) };
            assert_eq!(stored(&batch, believed), Ok((counts, says)));
        }
    }

    #[test]
    fn the_crc_is_judged_before_the_records() {
        let mut batch = records([1, 2], 2);
        changed(&mut batch, |header| header.record_count.set(3));
        let too_few = BatchError::Records(RecordFault::TooFew { found: 2, expected: 3 });
        assert_eq!(stored(&batch, placed_at_now(&batch)), Err(too_few));
        let before = Placed { times: Times::Checked(Err(too_few)), ..placed_at_now(&batch) };
        assert_eq!(stored(&batch, before), Err(too_few));
        batch[17] ^= 1;
        assert_eq!(stored(&batch, placed_at_now(&batch)), Err(BatchError::Crc));
        assert_eq!(stored(&batch, before), Err(BatchError::Crc));
    }

    #[test]
    fn a_refused_batch_leaves_the_entry_as_it_was() {
        let pool = BufferPool::new(0);
        let (mut bad, good) = (records([1, 2], 2), records([1, 2], 2));
        changed(&mut bad, |header| header.record_count.set(1));
        let mut entry = OpenEntry::new(&pool, Hint::default(), 1 << 20, bad.len());
        let left_over = BatchError::Records(RecordFault::LeftOver(1));
        assert_eq!(entry.append(&pool, &bad, placed_at_now(&bad)), Err(left_over));
        assert!(entry.is_empty());
        entry.append(&pool, &good, placed_at_now(&good)).expect("its records are right");
        assert_eq!(entry.seal(&stamp()).0.descriptors().len(), 1);
    }
}
