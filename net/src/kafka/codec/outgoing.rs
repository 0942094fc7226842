//! An answer on its way to the socket: bytes of our own between slices of stored records.

use super::header;
use engine::entry::Slice;
use std::ops::Range;

/// Slices shorter than this are copied among the bytes: below it a copy is cheaper than one more
/// piece of a gather write (notes: fetch copies nothing above 8 KiB).
pub const COPY_BYTES_MAX: usize = 8 << 10;

/// One answer, with its length in front.
#[derive(Debug, Default)]
pub struct Outgoing {
    text: Vec<u8>,
    /// Each slice comes behind this many bytes of `text`.
    slices: Vec<(usize, Slice)>,
    slice_bytes: usize,
}

impl Outgoing {
    pub fn begin(correlation: i32) -> Self {
        Self { text: header::begin_answer(correlation), ..Self::default() }
    }

    /// An answer of bytes alone, already sealed.
    pub fn of(text: Vec<u8>) -> Self {
        Self { text, ..Self::default() }
    }

    /// What comes next, to be appended to.
    pub fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    pub fn push(&mut self, slice: Slice) {
        if slice.len() < COPY_BYTES_MAX {
            self.text.extend_from_slice(&slice);
        } else {
            self.slice_bytes += slice.len();
            self.slices.push((self.text.len(), slice));
        }
    }

    /// Fills in the length.
    pub fn seal(&mut self) {
        header::seal(&mut self.text, self.slice_bytes);
    }

    /// The whole length, the length field included.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.slice_bytes
    }

    /// Bytes that pin stored records.
    pub fn slice_bytes(&self) -> usize {
        self.slice_bytes
    }

    /// All pieces in order; none is empty.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let starts = core::iter::once(0).chain(self.slices.iter().map(|(at, _)| *at));
        let ends = self.slices.iter().map(|(at, _)| *at).chain(core::iter::once(self.text.len()));
        let texts = starts.zip(ends).map(|(start, end): (usize, usize)| Range { start, end });
        let slices = self.slices.iter().map(|(_, slice)| Some(&**slice)).chain(core::iter::once(None));
        texts
            .zip(slices)
            .flat_map(|(text, slice)| [Some(&self.text[text]), slice])
            .flatten()
            .filter(|piece| !piece.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::disk::BufferPool;

    #[test]
    fn long_slices_stay_where_they_are_and_short_ones_are_copied() {
        let buffer = BufferPool::new(1 << 20).copy_of(&[7; 20_000]);
        let mut out = Outgoing::begin(1);
        let slice = |end: u32| Slice { buffer: buffer.clone(), start: 0, end };
        out.push(slice(10_000));
        out.push(slice(100));
        out.push(slice(9000));
        out.text().push(9);
        out.seal();
        let pieces: Vec<&[u8]> = out.pieces().collect();
        assert_eq!(pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>(), [8, 10_000, 100, 9000, 1]);
        assert_eq!(pieces[1].as_ptr(), buffer.as_ptr());
        assert_eq!(out.bytes(), 19_109);
        assert_eq!(pieces[0][..4], 19_105u32.to_be_bytes());
    }
}
