//! Reads a segment from front to back, an entry at a time, with read-ahead; and looks for the
//! next whole head behind a bad one.

use crate::disk::io::{Io, Pending};
use crate::disk::{BLOCK, Buffer, BufferMut, BufferPool, DiskError, IO_BYTES_MAX};
use crate::entry::EntryBytes;
use crate::entry::layout::EntryHeader;
use crate::entry::reader::{
    EntryFault, Expect, FaultKind, Link, Probe, check_body, check_head, probe, readable_head_bytes,
};
use crate::entry::torn::head_was_never_written;
use crate::ids::FileId;
use smallvec::SmallVec;
use std::collections::VecDeque;

/// Chunks of 1 MiB asked for before they are needed: enough to keep a disk busy from one thread.
const AHEAD_CHUNKS: u64 = 4;
/// A head that proves bad after its chunks were passed is searched again from its second block:
/// a head is at most a chunk long, so two chunks back are enough.
const KEPT_CHUNKS: usize = 2;

/// What stands at a position.
#[derive(Debug)]
pub enum Scanned {
    Whole(EntryBytes),
    /// The head is proven, the body is not.
    BadBody(EntryBytes, EntryFault),
    BadHead(EntryFault),
    /// The file ends here.
    End,
}

/// A segment file that is read from front to back.
pub struct Scanner {
    io: Io,
    pool: BufferPool,
    file: FileId,
    file_bytes: u64,
    /// Chunk number and content; ascending, the newest last. Unreadable blocks are filled with
    /// ones, which no checksum accepts.
    chunks: VecDeque<(u64, Chunk)>,
    ahead: VecDeque<(u64, Pending)>,
    next_ahead: u64,
    content_end: u64,
    pub read_bytes: u64,
}

enum Chunk {
    Read(Buffer),
    /// Read block by block because the whole chunk failed.
    Patched(BufferMut),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Chunk::Read(buffer) => buffer,
            Chunk::Patched(buffer) => buffer,
        }
    }
}

impl Scanner {
    pub fn new(io: Io, pool: BufferPool, file: FileId, file_bytes: u64) -> Self {
        Self {
            io,
            pool,
            file,
            file_bytes,
            chunks: VecDeque::new(),
            ahead: VecDeque::new(),
            next_ahead: 0,
            content_end: 0,
            read_bytes: 0,
        }
    }

    /// The entry at `expect.position`. Positions may go forward, or back by less than a chunk.
    pub async fn entry(&mut self, expect: &Expect) -> Result<Scanned, DiskError> {
        let position = expect.position;
        if position + BLOCK as u64 > self.file_bytes {
            return Ok(Scanned::End);
        }
        let mut first = self.piece(position, BLOCK).await?;
        self.content_end = self.content_end.max(content_end_of(&first[..BLOCK], position));
        let (head_bytes, entry_bytes) = match lengths(&first, expect) {
            Ok(lengths) => lengths,
            Err(fault) => return Ok(Scanned::BadHead(fault)),
        };
        if position + entry_bytes as u64 > self.file_bytes {
            let kind = FaultKind::Short { found: BLOCK, needed: entry_bytes };
            return Ok(Scanned::BadHead(EntryFault { position, kind }));
        }
        let first_bytes = entry_bytes.min(IO_BYTES_MAX);
        if head_bytes > first.len() || first_bytes > first.len() {
            first = self.piece(position, first_bytes).await?;
        }
        if let Err(fault) = check_head(&first, expect) {
            return Ok(Scanned::BadHead(fault));
        }
        let mut pieces = SmallVec::from_iter([first.seal(first_bytes)]);
        let mut done = first_bytes;
        while done < entry_bytes {
            let bytes = (entry_bytes - done).min(IO_BYTES_MAX);
            pieces.push(self.piece(position + done as u64, bytes).await?.seal(bytes));
            done += bytes;
        }
        let entry = EntryBytes::new(pieces);
        Ok(match check_body(&entry) {
            Ok(()) => Scanned::Whole(entry),
            Err(fault) => Scanned::BadBody(entry, fault),
        })
    }

    /// Whether what stands in the place of a bad head was never written whole.
    pub async fn is_torn_head(&mut self, expect: &Expect) -> Result<bool, DiskError> {
        let left = (self.file_bytes - expect.position) / BLOCK as u64 * BLOCK as u64;
        let first = self.piece(expect.position, BLOCK.min(left as usize)).await?;
        let head_bytes = readable_head_bytes(&first, expect).unwrap_or(0).next_multiple_of(BLOCK);
        if head_bytes <= first.len() || head_bytes as u64 > left {
            return Ok(head_was_never_written(&first, expect));
        }
        let head = self.piece(expect.position, head_bytes).await?;
        Ok(head_was_never_written(&head, expect))
    }

    /// The first whole head at or behind `expect.position` that can follow `before`: with a
    /// higher index and no lower term. When there is none the file was seen to its end, and `content_end` knows where it is only zeros.
    pub async fn next_head(
        &mut self,
        expect: Expect,
        before: &Link,
    ) -> Result<Option<(u64, EntryHeader)>, DiskError> {
        let mut expect = expect;
        while expect.position + BLOCK as u64 <= self.file_bytes {
            if self.skip_zeros(&mut expect.position).await? {
                continue;
            }
            let block = self.piece(expect.position, BLOCK).await?;
            self.content_end = self.content_end.max(content_end_of(&block[..BLOCK], expect.position));
            let found = match probe(&block[..BLOCK], &expect) {
                Probe::NeedsMore { head_bytes } => self.long_head(&expect, head_bytes).await?,
                Probe::Head { .. } => check_head(&block, &expect).ok().copied(),
                Probe::Nothing | Probe::Newer { .. } => None,
            };
            match found {
                Some(header) if header.index() > before.index && header.term() >= before.term => {
                    return Ok(Some((expect.position, header)));
                }
                _ => expect.position += BLOCK as u64,
            }
        }
        Ok(None)
    }

    /// Passes over the rest of a chunk that is zeros: most of a fresh segment. True when it did.
    async fn skip_zeros(&mut self, position: &mut u64) -> Result<bool, DiskError> {
        let start = (*position % IO_BYTES_MAX as u64) as usize;
        let number = *position / IO_BYTES_MAX as u64;
        let chunk = self.chunk(number).await?;
        let rest = chunk.bytes().get(start..).unwrap_or_default();
        let is_zero = is_zero(rest);
        if is_zero {
            *position = (number + 1) * IO_BYTES_MAX as u64;
        }
        Ok(is_zero)
    }

    async fn long_head(
        &mut self,
        expect: &Expect,
        head_bytes: usize,
    ) -> Result<Option<EntryHeader>, DiskError> {
        let bytes = head_bytes.next_multiple_of(BLOCK);
        if expect.position + bytes as u64 > self.file_bytes || bytes > IO_BYTES_MAX {
            return Ok(None);
        }
        let head = self.piece(expect.position, bytes).await?;
        Ok(check_head(&head, expect).ok().copied())
    }

    /// Where the bytes that are not zero end, as far as [`Self::next_head`] looked.
    pub fn content_end(&self) -> u64 {
        self.content_end
    }

    /// A copy of `bytes` at `position`, both multiples of 4 KiB; zeros behind the file's end.
    pub async fn piece(&mut self, position: u64, bytes: usize) -> Result<BufferMut, DiskError> {
        let mut piece = self.pool.take(bytes);
        let mut done = 0;
        while done < bytes {
            let at = position + done as u64;
            let chunk = self.chunk(at / IO_BYTES_MAX as u64).await?;
            let start = (at % IO_BYTES_MAX as u64) as usize;
            let step = (bytes - done).min(IO_BYTES_MAX - start);
            let have = chunk.bytes().get(start..).unwrap_or_default();
            let copied = have.len().min(step);
            piece[done..done + copied].copy_from_slice(&have[..copied]);
            piece[done + copied..done + step].fill(0);
            done += step;
        }
        Ok(piece)
    }

    async fn chunk(&mut self, number: u64) -> Result<&Chunk, DiskError> {
        if let Some(at) = self.chunks.iter().position(|(have, _)| *have == number) {
            return Ok(&self.chunks[at].1);
        }
        self.read_ahead(number);
        let chunk = loop {
            match self.ahead.pop_front() {
                Some((have, pending)) if have == number => break self.finish(number, pending).await?,
                // Chunks that were skipped, or asked for before a step back.
                Some((_, pending)) => drop(pending),
                None => {
                    let pending = self.issue(number);
                    break self.finish(number, pending).await?;
                }
            }
        };
        while self.chunks.len() > KEPT_CHUNKS {
            self.chunks.pop_front();
        }
        self.chunks.push_back((number, chunk));
        Ok(&self.chunks.back().expect("just pushed").1)
    }

    fn issue(&mut self, number: u64) -> Pending {
        let position = number * IO_BYTES_MAX as u64;
        let bytes = self.file_bytes.saturating_sub(position).min(IO_BYTES_MAX as u64) as usize;
        self.io.read_ahead(self.file, position, bytes.next_multiple_of(BLOCK).max(BLOCK))
    }

    fn read_ahead(&mut self, number: u64) {
        self.next_ahead = self.next_ahead.max(number);
        let chunks = self.file_bytes.div_ceil(IO_BYTES_MAX as u64);
        while self.next_ahead < chunks.min(number + AHEAD_CHUNKS) {
            let pending = self.issue(self.next_ahead);
            self.ahead.push_back((self.next_ahead, pending));
            self.next_ahead += 1;
        }
    }

    async fn finish(&mut self, number: u64, pending: Pending) -> Result<Chunk, DiskError> {
        if let Ok(buffer) = pending.read().await {
            self.read_bytes += buffer.len() as u64;
            return Ok(Chunk::Read(buffer));
        }
        // One bad sector fails the whole read: take what can be read around it.
        let mut patched = self.pool.take(IO_BYTES_MAX);
        patched.fill(0xFF);
        for block in 0..IO_BYTES_MAX / BLOCK {
            let position = number * IO_BYTES_MAX as u64 + (block * BLOCK) as u64;
            if position >= self.file_bytes {
                break;
            }
            if let Ok(read) = self.io.read(self.file, position, BLOCK).await {
                patched[block * BLOCK..block * BLOCK + read.len()].copy_from_slice(&read);
            }
        }
        Ok(Chunk::Patched(patched))
    }
}

/// True when all bytes are zero; word by word, since a fresh segment is 256 MiB of them.
fn is_zero(bytes: &[u8]) -> bool {
    let (head, words, tail) = split_words(bytes);
    head.iter().chain(tail).all(|byte| *byte == 0) && words.iter().all(|word| *word == 0)
}

fn split_words(bytes: &[u8]) -> (&[u8], &[u128], &[u8]) {
    use zerocopy::FromBytes;
    let misaligned = bytes.as_ptr().align_offset(align_of::<u128>()).min(bytes.len());
    let (head, rest) = bytes.split_at(misaligned);
    let (words, tail) = rest.split_at(rest.len() / 16 * 16);
    (head, <[u128]>::ref_from_bytes(words).expect("aligned and whole"), tail)
}

/// Zeros are passed over in steps: the last block of a small entry is mostly zeros.
fn content_end_of(block: &[u8], position: u64) -> u64 {
    const ZEROS: [u8; 64] = [0; 64];
    let zeros = block.rchunks(ZEROS.len()).take_while(|step| **step == ZEROS[..step.len()]);
    let content = &block[..block.len() - zeros.map(<[u8]>::len).sum::<usize>()];
    content.iter().rposition(|byte| *byte != 0).map_or(0, |last| position + last as u64 + 1)
}

/// Head and entry lengths of what begins with `first`, a block of it.
fn lengths(first: &[u8], expect: &Expect) -> Result<(usize, usize), EntryFault> {
    match check_head(&first[..BLOCK], expect) {
        Ok(header) => Ok((header.head_bytes(), header.entry_bytes())),
        Err(EntryFault { kind: FaultKind::Short { needed, .. }, .. }) => {
            use zerocopy::FromBytes;
            let (header, _) = EntryHeader::ref_from_prefix(first).expect("a block is longer than a header");
            Ok((needed, header.entry_bytes()))
        }
        Err(fault) => Err(fault),
    }
}
