//! Which blocks are written with zeros ahead of small entries.
//!
//! A write into a fallocated extent makes the file system convert it, and the sync after it then
//! writes the file system's journal too: 4 KiB with fdatasync take 256 µs there and 154 µs in
//! blocks that were written before. Large entries need it less, and would cost twice the bytes.
//!
//! Decides only; the appender writes, and holds an entry back that would meet a zero write on its
//! way, because two writes to one place land in any order.

use crate::disk::BLOCK;
use crate::ids::FileId;
use core::ops::Range;

/// Zeros are written in pieces, one at a time, and begin a piece ahead of the entries, so that the
/// two seldom meet. A piece of 256 KiB costs 0.11 core-seconds per GB; small segments have smaller
/// ones.
const PIECE_BYTES_MAX: u64 = 256 << 10;
const PIECES_PER_SEGMENT: u64 = 64;
/// Never further ahead than so many pieces, at most 16 MiB: what is zeroed and then not used was
/// written for nothing.
const AHEAD_PIECES_MAX: u64 = 64;
/// Entries up to this size are small: above, a write into a fallocated extent reaches half the
/// rate and more.
const SMALL_ENTRY_BYTES: u64 = 64 << 10;

/// The newest segment's file and how far it is zeroed.
#[derive(Clone, Debug)]
pub struct Zeroing {
    piece_bytes: u64,
    file: FileId,
    zeroed_to: u64,
    /// Small entries since the last large one: zeros go as far ahead as entries have gone.
    small_bytes: u64,
    in_flight: Option<(FileId, Range<u64>)>,
}

impl Zeroing {
    /// Entries go on in `file`, one of segments of so many bytes.
    pub fn new(file: FileId, segment_bytes: u64) -> Self {
        let piece_bytes = (segment_bytes / PIECES_PER_SEGMENT).next_multiple_of(BLOCK as u64);
        let piece_bytes = piece_bytes.clamp(BLOCK as u64, PIECE_BYTES_MAX);
        Self { piece_bytes, file, zeroed_to: 0, small_bytes: 0, in_flight: None }
    }

    pub fn piece_bytes(&self) -> usize {
        self.piece_bytes as usize
    }

    /// Entries go on in `file`.
    pub fn roll(&mut self, file: FileId) {
        self.file = file;
        self.zeroed_to = 0;
    }

    /// An entry of so many bytes was appended.
    pub fn appended(&mut self, bytes: u64) {
        self.small_bytes = if bytes <= SMALL_ENTRY_BYTES { self.small_bytes + bytes } else { 0 };
    }

    /// Entries are small.
    pub fn is_wanted(&self) -> bool {
        self.small_bytes > 0
    }

    /// The next piece to zero, when entries have come to `position` of a file that is allocated up
    /// to `end`. It is in flight from here on.
    pub fn next(&mut self, position: u64, end: u64) -> Option<Range<u64>> {
        if self.in_flight.is_some() || !self.is_wanted() {
            return None;
        }
        let first = position + self.piece_bytes;
        let ahead = self.small_bytes.next_multiple_of(self.piece_bytes);
        let ahead = ahead.min(AHEAD_PIECES_MAX * self.piece_bytes);
        let from = self.zeroed_to.max(first);
        let piece = from..from + self.piece_bytes;
        if piece.end > end.min(first + ahead) {
            return None;
        }
        self.zeroed_to = piece.end;
        self.in_flight = Some((self.file, piece.clone()));
        Some(piece)
    }

    /// The piece in flight is on the disk.
    pub fn done(&mut self) {
        assert!(self.in_flight.take().is_some(), "no zeros were on their way");
    }

    /// Whether zeros are on their way to `file`.
    pub fn is_under_way(&self, file: FileId) -> bool {
        self.in_flight.as_ref().is_some_and(|(zeroed, _)| *zeroed == file)
    }

    /// Whether zeros are on their way to any of these bytes.
    pub fn meets(&self, file: FileId, bytes: &Range<u64>) -> bool {
        let meets = |piece: &Range<u64>| piece.start < bytes.end && bytes.start < piece.end;
        self.in_flight.as_ref().is_some_and(|(zeroed, piece)| *zeroed == file && meets(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: u64 = 256 << 20;
    const PIECE_BYTES: u64 = PIECE_BYTES_MAX;
    const AHEAD_BYTES_MAX: u64 = 16 << 20;

    #[test]
    fn zeros_go_as_far_ahead_as_small_entries_have_gone_and_no_further() {
        let mut zeroing = Zeroing::new(FileId(7), END);
        let (mut position, mut zeroed) = (0, 0);
        for _ in 0..20_000 {
            position += 4096;
            zeroing.appended(4096);
            while let Some(piece) = zeroing.next(position, END) {
                assert!(piece.start >= position + PIECE_BYTES, "{piece:?} at {position}");
                assert!(piece.end <= position + AHEAD_BYTES_MAX + PIECE_BYTES, "{piece:?} at {position}");
                zeroed += PIECE_BYTES;
                zeroing.done();
            }
            assert!(zeroed <= 2 * position + 2 * PIECE_BYTES, "{zeroed} bytes for {position}");
        }
        assert!(zeroed >= position + AHEAD_BYTES_MAX - PIECE_BYTES, "{zeroed} bytes for {position}");
    }

    #[test]
    fn large_entries_and_the_end_of_the_file_stop_it() {
        let mut zeroing = Zeroing::new(FileId(7), END);
        zeroing.appended(1 << 20);
        assert_eq!(zeroing.next(1 << 20, END), None);
        zeroing.appended(4096);
        assert_eq!(zeroing.next(END - PIECE_BYTES, END), None);
        assert_eq!(zeroing.next(1 << 20, END), Some(5 << 18..6 << 18));
        assert_eq!(zeroing.next(1 << 20, END), None, "one at a time");
    }

    #[test]
    fn what_is_on_its_way_is_known_by_file_and_place() {
        let mut zeroing = Zeroing::new(FileId(7), END);
        zeroing.appended(4096);
        let piece = zeroing.next(4096, END).expect("small entries");
        assert!(zeroing.meets(FileId(7), &(piece.end - 4096..piece.end + 4096)));
        assert!(!zeroing.meets(FileId(7), &(piece.end..piece.end + 4096)));
        assert!(!zeroing.meets(FileId(8), &piece));
        assert!(zeroing.is_under_way(FileId(7)));
        zeroing.done();
        assert!(!zeroing.is_under_way(FileId(7)));
    }
}
