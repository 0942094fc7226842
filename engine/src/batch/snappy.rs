//! Raw snappy as a stream. The library for it wants a block's output whole, and a block is as long
//! as a client likes; here a bounded part of the output is kept, which copies may reach back into.

use super::codec::{Codec, UnpackError};
use super::varint;

/// How far back a copy may reach. Most encoders work in pieces of 64 KiB; those that do not (Go's
/// s2) in pieces of 4 MiB.
const HISTORY_BYTES: usize = 4 << 20;
/// The output kept is cut down to the history when it is this long.
const WINDOW_BYTES_MAX: usize = 2 * HISTORY_BYTES;

/// One block being decompressed.
#[derive(Debug, Default)]
pub(super) struct RawSnappy<'a> {
    /// What was not read of the block.
    packed: &'a [u8],
    /// Output of which the block still has to give so much.
    owed: usize,
    /// The last part of the output.
    window: Vec<u8>,
    /// The rest of a literal or of a copy: one of them is zero.
    literal_left: usize,
    copy_left: usize,
    /// How far back the copy reaches.
    distance: usize,
}

const CUT: UnpackError = UnpackError::Cut(Codec::Snappy);
const TRAILING: UnpackError = UnpackError::Trailing(Codec::Snappy);

const fn invalid(why: &'static str) -> UnpackError {
    UnpackError::Invalid(Codec::Snappy, why)
}

impl<'a> RawSnappy<'a> {
    /// Begins a block; its predecessor's memory is used again.
    pub fn begin(&mut self, mut block: &'a [u8]) -> Result<(), UnpackError> {
        self.owed = varint::take_u32(&mut block).ok_or(CUT)? as usize;
        self.packed = block;
        self.window.clear();
        (self.literal_left, self.copy_left) = (0, 0);
        Ok(())
    }

    /// The next piece of the block's output, of at most `bytes_max`; `None` behind its end.
    pub fn next_piece(&mut self, bytes_max: usize) -> Result<Option<&[u8]>, UnpackError> {
        if self.owed == 0 {
            return if self.packed.is_empty() { Ok(None) } else { Err(TRAILING) };
        }
        self.forget_oldest(bytes_max);
        let start = self.window.len();
        let end = start + bytes_max.min(self.owed);
        self.window.reserve(end - start);
        while self.window.len() < end {
            let room = end - self.window.len();
            if self.literal_left > 0 {
                self.literal(room)?;
            } else if self.copy_left > 0 {
                self.copy(room);
            } else {
                self.element()?;
            }
        }
        self.owed -= end - start;
        if self.owed == 0 && (self.literal_left > 0 || self.copy_left > 0) {
            return Err(invalid("a block gives more than it says"));
        }
        Ok(Some(&self.window[start..]))
    }

    fn forget_oldest(&mut self, coming: usize) {
        if self.window.len() > WINDOW_BYTES_MAX - coming {
            let from = self.window.len() - HISTORY_BYTES;
            self.window.copy_within(from.., 0);
            self.window.truncate(HISTORY_BYTES);
        }
    }

    fn literal(&mut self, room: usize) -> Result<(), UnpackError> {
        let bytes = self.literal_left.min(room);
        let (now, rest) = self.packed.split_at_checked(bytes).ok_or(CUT)?;
        self.window.extend_from_slice(now);
        self.packed = rest;
        self.literal_left -= bytes;
        Ok(())
    }

    /// A copy may reach into what it writes itself: then that repeats.
    fn copy(&mut self, room: usize) {
        let mut bytes = self.copy_left.min(room);
        self.copy_left -= bytes;
        let from = self.window.len() - self.distance;
        while bytes > 0 {
            let now = bytes.min(self.window.len() - from);
            self.window.extend_from_within(from..from + now);
            bytes -= now;
        }
    }

    /// Reads the next element's tag and what belongs to it.
    fn element(&mut self) -> Result<(), UnpackError> {
        let (&tag, rest) = self.packed.split_first().ok_or(CUT)?;
        self.packed = rest;
        let upper = usize::from(tag >> 2);
        match tag & 3 {
            0 if upper < 60 => self.literal_left = upper + 1,
            0 => self.literal_left = self.number(upper - 59)? + 1,
            1 => {
                self.copy_left = 4 + (upper & 7);
                self.distance = usize::from(tag >> 5) << 8 | self.number(1)?;
            }
            length => {
                self.copy_left = upper + 1;
                self.distance = self.number(if length == 2 { 2 } else { 4 })?;
            }
        }
        if self.copy_left > 0 && (self.distance == 0 || self.distance > self.window.len()) {
            return Err(invalid("a copy reaches too far back"));
        }
        Ok(())
    }

    /// A little-endian number of up to four bytes.
    fn number(&mut self, bytes: usize) -> Result<usize, UnpackError> {
        let (number, rest) = self.packed.split_at_checked(bytes).ok_or(CUT)?;
        self.packed = rest;
        Ok(number.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STEP_BYTES: usize = 64 << 10;

    fn unpack(block: &[u8]) -> Result<Vec<u8>, UnpackError> {
        let (mut raw, mut all) = (RawSnappy::default(), Vec::new());
        raw.begin(block)?;
        while let Some(piece) = raw.next_piece(STEP_BYTES)? {
            assert!(piece.len() <= STEP_BYTES);
            all.extend_from_slice(piece);
        }
        assert!(raw.window.capacity() <= 2 * WINDOW_BYTES_MAX);
        Ok(all)
    }

    #[test]
    fn a_copy_that_repeats_and_one_that_reaches_too_far() {
        // 9 bytes: the literal "ab", then 7 bytes from 2 back.
        assert_eq!(unpack(&[9, 1 << 2, b'a', b'b', 3 << 2 | 1, 2]), Ok(b"ababababa".to_vec()));
        let too_far = invalid("a copy reaches too far back");
        assert_eq!(unpack(&[9, 1 << 2, b'a', b'b', 3 << 2 | 1, 3]), Err(too_far));
        assert_eq!(unpack(&[9, 1 << 2, b'a', b'b', 3 << 2 | 1, 0]), Err(too_far));
    }

    #[test]
    fn blocks_that_give_too_much_or_too_little_are_invalid() {
        assert_eq!(unpack(&[]), Err(CUT));
        assert_eq!(unpack(&[0]), Ok(Vec::new()));
        assert_eq!(unpack(&[0, 0]), Err(TRAILING));
        assert_eq!(unpack(&[3, 1 << 2, b'a', b'b']), Err(CUT));
        assert_eq!(unpack(&[2, 1 << 2, b'a', b'b', 0, b'c']), Err(TRAILING));
        assert!(matches!(unpack(&[1, 1 << 2, b'a', b'b']), Err(UnpackError::Invalid(..))));
    }

    #[test]
    fn a_long_block_gives_what_the_library_gives() {
        let text: Vec<u8> = (0..20 << 20).map(|at: u32| (at / 7 * 13 + at % 11) as u8).collect();
        let block = snap::raw::Encoder::new().compress_vec(&text).expect("below 4 GiB");
        assert!(unpack(&block).expect("valid") == text);
    }

    #[test]
    fn a_copy_reaches_four_mebibytes_back_and_no_further() {
        let block = |distance: usize| {
            let mut block = Vec::new();
            let literal: u32 = 5 << 20;
            let length = literal + 4;
            block.extend([length as u8 | 0x80, (length >> 7) as u8 | 0x80, (length >> 14) as u8 | 0x80]);
            block.push((length >> 21) as u8);
            block.push(62 << 2);
            block.extend_from_slice(&(literal - 1).to_le_bytes()[..3]);
            block.extend((0..literal).map(|at| (at >> 3) as u8));
            block.push(3 << 2 | 3);
            block.extend_from_slice(&(distance as u32).to_le_bytes());
            block
        };
        let reached = unpack(&block(HISTORY_BYTES)).expect("within the history");
        let end = reached.len() - 4;
        assert_eq!(reached[end..], reached[end - HISTORY_BYTES..][..4]);
    }

    proptest! {
        #[test]
        fn what_the_library_makes_is_read_and_so_is_what_it_reads(
            words in proptest::collection::vec(0u8..4, 0..3000),
            flip in proptest::option::of((any::<prop::sample::Index>(), 1u8..)),
        ) {
            let mut block = snap::raw::Encoder::new().compress_vec(&words).expect("below 4 GiB");
            if let Some((at, flip)) = flip {
                let at = at.index(block.len());
                block[at] ^= flip;
            }
            // A length that no block of this size can have makes the library ask for gigabytes.
            if snap::raw::decompress_len(&block).is_ok_and(|bytes| bytes <= 1 << 20) {
                let library = snap::raw::Decoder::new().decompress_vec(&block);
                prop_assert_eq!(unpack(&block).ok(), library.ok());
            }
        }
    }
}
