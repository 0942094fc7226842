//! An entry's bytes in memory: the very buffers that were written, received or read.

use super::layout::{BatchDescriptor, EntryHeader, HEADER_BYTES, descriptors_of};
use crate::disk::{BLOCK, Buffer};
use core::fmt;
use core::ops::Range;
use smallvec::SmallVec;
use std::io;
use zerocopy::FromBytes;

/// An entry in one or more buffers. All but the last are full, and header and descriptors lie in
/// the first one whole.
#[derive(Clone)]
pub struct EntryBytes {
    pieces: SmallVec<[Buffer; 1]>,
    bytes: usize,
}

/// Buffers that are no entry: their lengths do not agree with what they begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} bytes came for an entry whose header says {entry_bytes}, with a head of {head_bytes}")]
pub struct NoEntry {
    pub found: usize,
    pub entry_bytes: usize,
    pub head_bytes: usize,
}

impl EntryBytes {
    /// What came from a peer, in order, all buffers but the last one full. Only lengths are
    /// checked here, so that it can be handled as an entry; whether it is one is still to be
    /// judged.
    pub fn received(pieces: SmallVec<[Buffer; 1]>) -> Result<Self, NoEntry> {
        let found: usize = pieces.iter().map(|piece| piece.len()).sum();
        let first = pieces.first().map_or(&[][..], |piece| &piece[..]);
        let Ok((header, _)) = EntryHeader::ref_from_prefix(first) else {
            return Err(NoEntry { found, entry_bytes: 0, head_bytes: 0 });
        };
        let (entry_bytes, head_bytes) = (header.entry_bytes(), header.head_bytes());
        let head_fits = (HEADER_BYTES..=first.len()).contains(&head_bytes);
        if found < BLOCK || !found.is_multiple_of(BLOCK) || entry_bytes != found || !head_fits {
            return Err(NoEntry { found, entry_bytes, head_bytes });
        }
        Ok(Self { pieces, bytes: found })
    }

    /// The pieces of one entry, in order. The header must have been checked by the caller.
    pub fn new(pieces: SmallVec<[Buffer; 1]>) -> Self {
        let bytes = pieces.iter().map(|piece| piece.len()).sum();
        assert!(bytes >= BLOCK, "an entry is at least a block");
        let entry = Self { pieces, bytes };
        assert_eq!(entry.header().entry_bytes(), bytes);
        assert!(entry.header().head_bytes() <= entry.pieces[0].len(), "the head is in the first piece");
        entry
    }

    pub fn header(&self) -> &EntryHeader {
        EntryHeader::ref_from_bytes(&self.pieces[0][..HEADER_BYTES]).expect("a header is unaligned bytes")
    }

    /// Header and descriptors or items.
    pub fn head(&self) -> &[u8] {
        &self.pieces[0][..self.header().head_bytes()]
    }

    /// What is behind the header of a control, membership or meta entry.
    pub fn items(&self) -> &[u8] {
        &self.head()[HEADER_BYTES..]
    }

    /// The descriptors of a batches entry; none for other kinds.
    pub fn descriptors(&self) -> &[BatchDescriptor] {
        if self.header().kind() != Some(super::EntryKind::Batches) {
            return &[];
        }
        descriptors_of(self.head(), self.header().count.get()).expect("checked when the entry was made")
    }

    pub fn len(&self) -> usize {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        false
    }

    /// What the entry pins, bytes.
    pub fn capacity(&self) -> usize {
        self.pieces.iter().map(Buffer::capacity).sum()
    }

    pub fn pieces(&self) -> &[Buffer] {
        &self.pieces
    }

    /// The slices that make up `range` of the entry.
    pub fn slices(&self, range: Range<usize>) -> impl Iterator<Item = Slice> + '_ {
        let mut start = 0;
        self.pieces.iter().filter_map(move |piece| {
            let piece_start = start;
            start += piece.len();
            let from = range.start.max(piece_start);
            let to = range.end.min(start);
            (from < to).then(|| Slice {
                buffer: piece.clone(),
                start: (from - piece_start) as u32,
                end: (to - piece_start) as u32,
            })
        })
    }

    /// Reads `range` in place.
    pub fn reader(&self, range: Range<usize>) -> Reader {
        Reader { slices: self.slices(range).collect(), at: 0 }
    }

    /// A copy of `range`, for what is small or rare.
    pub fn copy(&self, range: Range<usize>) -> Vec<u8> {
        let mut copy = Vec::with_capacity(range.len());
        for slice in self.slices(range) {
            copy.extend_from_slice(&slice);
        }
        copy
    }
}

impl fmt::Debug for EntryBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryBytes({} bytes, index {})", self.bytes, self.header().index)
    }
}

/// See [`EntryBytes::reader`].
pub struct Reader {
    slices: SmallVec<[Slice; 2]>,
    at: usize,
}

impl io::BufRead for Reader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.slices.get(self.at).map_or(&[][..], |slice| slice))
    }

    fn consume(&mut self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let slice = &mut self.slices[self.at];
        slice.start += bytes as u32;
        assert!(slice.start <= slice.end, "more was consumed than is there");
        self.at += usize::from(slice.start == slice.end);
    }
}

impl io::Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let here = io::BufRead::fill_buf(self)?;
        let bytes = here.len().min(into.len());
        into[..bytes].copy_from_slice(&here[..bytes]);
        io::BufRead::consume(self, bytes);
        Ok(bytes)
    }
}

/// Part of a buffer, on its way to a socket.
#[derive(Clone, Debug)]
pub struct Slice {
    pub buffer: Buffer,
    pub start: u32,
    pub end: u32,
}

impl core::ops::Deref for Slice {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.buffer[self.start as usize..self.end as usize]
    }
}
