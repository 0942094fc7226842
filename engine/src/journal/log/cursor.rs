//! Where the next entry goes: a function of the entries before it, so that every replica rolls
//! its segments at the same ones.

use crate::entry::EntryHeader;
use crate::entry::layout::{BATCH_BYTES_MAX, ENTRY_BYTES_MAX};
use crate::ids::{Index, Term};

/// A segment is full at this length or this many batches; both stand in the journal's meta
/// record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentLimits {
    pub bytes: u64,
    pub batches: u32,
}

impl SegmentLimits {
    /// What an entry of many batches may have: a quarter of a segment at most, so that little is
    /// left over at its end.
    pub fn entry_bytes_max(&self) -> usize {
        ENTRY_BYTES_MAX.min((self.bytes / 4) as usize)
    }

    /// The longest single batch: it has an entry of its own and a segment has to hold that.
    pub fn batch_bytes_max(&self) -> usize {
        BATCH_BYTES_MAX.min(self.bytes as usize / 4 * 3)
    }

    /// What the end of a segment keeps for control entries while no next segment is there:
    /// a term start, log starts, drops. 4 MiB, or an eighth of small segments.
    pub fn reserve_bytes(&self) -> u64 {
        (4 << 20).min(self.bytes / 8)
    }
}

/// The place of the next entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub next: Index,
    /// The segment that the entry before is in; `next` itself when the segment is empty.
    pub segment_base: Index,
    /// Bytes and batches in that segment.
    pub position: u64,
    pub batches: u32,
    /// Checksum and term of the entry before.
    pub previous_checksum: u32,
    pub previous_term: Term,
}

/// Where an entry was placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub segment_base: Index,
    pub position: u64,
}

impl Cursor {
    /// The cursor of an empty journal.
    pub fn start() -> Self {
        Self {
            next: Index(1),
            segment_base: Index(1),
            position: 0,
            batches: 0,
            previous_checksum: 0,
            previous_term: Term(0),
        }
    }

    /// True when an entry of this size begins a new segment.
    pub fn rolls(&self, limits: SegmentLimits, entry_bytes: usize, batches: u32) -> bool {
        assert!(entry_bytes as u64 <= limits.bytes);
        let full =
            self.position + entry_bytes as u64 > limits.bytes || self.batches + batches > limits.batches;
        full && self.position > 0
    }

    /// Where an entry of this size goes.
    pub fn place(&self, limits: SegmentLimits, entry_bytes: usize, batches: u32) -> Place {
        if self.rolls(limits, entry_bytes, batches) {
            Place { segment_base: self.next, position: 0 }
        } else {
            Place { segment_base: self.segment_base, position: self.position }
        }
    }

    /// Moves past an entry.
    pub fn advance(&mut self, header: &EntryHeader) {
        assert_eq!(header.index(), self.next);
        let base = Index(header.segment_base.get());
        if base != self.segment_base {
            assert_eq!((base, header.position.get()), (self.next, 0), "a segment begins at its base");
            self.segment_base = base;
            self.position = 0;
            self.batches = 0;
        }
        assert_eq!(header.position.get(), self.position, "entry {} is elsewhere", header.index());
        self.position += header.entry_bytes() as u64;
        if header.kind() == Some(crate::entry::EntryKind::Batches) {
            self.batches += header.count.get();
        }
        self.previous_checksum = header.checksum.get();
        self.previous_term = header.term();
        self.next = self.next.next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::samples::entry;

    const LIMITS: SegmentLimits = SegmentLimits { bytes: 64 << 10, batches: 3 };

    #[test]
    fn a_segment_rolls_when_an_entry_does_not_fit() {
        let mut cursor = Cursor::start();
        let mut places = Vec::new();
        for index in 1..=6 {
            let bytes = entry(index, 1, 0, 20_000).len();
            let Place { segment_base, position } = cursor.place(LIMITS, bytes, 1);
            cursor.advance(entry(index, segment_base.0, position, 20_000).header());
            places.push((segment_base.0, position));
        }
        // Two of 20 KiB and 4 KiB of padding fit, the third would end behind the limit.
        let bytes = entry(1, 1, 0, 20_000).len() as u64;
        assert!(2 * bytes <= LIMITS.bytes && 3 * bytes > LIMITS.bytes);
        assert_eq!(places, [(1, 0), (1, bytes), (3, 0), (3, bytes), (5, 0), (5, bytes)]);
        assert_eq!((cursor.next, cursor.batches), (Index(7), 2));
    }

    #[test]
    fn it_rolls_by_batches_too_but_never_an_empty_one() {
        let full = Cursor { position: 4096, batches: 3, ..Cursor::start() };
        assert!(full.rolls(LIMITS, 4096, 1));
        assert!(!full.rolls(LIMITS, 4096, 0), "a control entry has no batch");
        let empty = Cursor::start();
        assert!(!empty.rolls(LIMITS, 4096, 4), "a segment of its own would not help");
    }

    #[test]
    #[should_panic(expected = "is elsewhere")]
    fn an_entry_stands_where_the_one_before_ends() {
        Cursor::start().advance(entry(1, 1, 4096, 100).header());
    }

    #[test]
    #[should_panic(expected = "begins at its base")]
    fn a_new_segment_begins_at_its_base() {
        let mut cursor = Cursor::start();
        cursor.advance(entry(1, 1, 0, 100).header());
        cursor.advance(entry(2, 3, 0, 100).header());
    }
}
