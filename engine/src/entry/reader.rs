//! Checks entries that were read from a disk or received from a peer.
//!
//! Pure: bytes and an expectation in, a verdict out. Recovery, followers, the read path, repair
//! and the dump tool all judge by these. A head is checked by [`check_head`]; a body by
//! [`BodyCheck`], piece by piece as it arrives; the link to the entry before by [`check_chain`].

use super::bytes::EntryBytes;
use super::layout::{
    BATCH_BYTES_MAX, BATCH_PREFIX_BYTES, BatchDescriptor, DESCRIPTOR_BYTES, ENTRY_MAGIC, ENTRY_VERSION,
    ENTRY_VERSION_FIRST, EntryHeader, EntryKind, HEADER_BYTES, LARGE_ENTRY_BYTES_MAX, descriptors_of,
    head_checksum,
};
use crate::batch::BATCH_HEADER_BYTES;
use crate::disk::{BLOCK, IO_BYTES_MAX};
use crate::ids::{Index, JournalIdentity, Term};
use core::mem::offset_of;
use zerocopy::FromBytes;

/// Where an entry must say that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    pub identity: JournalIdentity,
    /// Index of the segment's first entry.
    pub segment_base: Index,
    /// Where the entry begins in the segment, bytes.
    pub position: u64,
}

/// What is wrong, and at which byte of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {position}: {kind}")]
pub struct EntryFault {
    pub position: u64,
    pub kind: FaultKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    #[error("no entry begins here")]
    Magic,
    #[error(
        "the entry has format version {found}, newer than version {ENTRY_VERSION}, the newest that this program reads"
    )]
    Newer { found: u16 },
    #[error("the entry ends early: {found} bytes where {needed} are needed")]
    Short { found: usize, needed: usize },
    #[error("a length in the header is not possible")]
    Length,
    #[error("the head's checksum is {found:08x}, its bytes give {expected:08x}")]
    HeadChecksum { found: u32, expected: u32 },
    #[error("the entry belongs to another cluster or journal")]
    Foreign,
    #[error("the entry belongs to byte {found_position} of segment {found_base}")]
    Misplaced { found_base: Index, found_position: u64 },
    #[error("entry kind {0} is not known")]
    Kind(u8),
    #[error("a reserved field is not zero")]
    Reserved,
    #[error("descriptor {batch} does not fit the entry")]
    Descriptor { batch: u32 },
    #[error("the beginning of batch {batch} does not match its descriptor")]
    BatchPrefix { batch: u32 },
    #[error("the CRC of batch {batch} is {expected:08x}, its bytes give {found:08x}")]
    BatchCrc { batch: u32, expected: u32, found: u32 },
    #[error("padding is not zero")]
    Padding,
    #[error("index {found} follows index {before}")]
    Order { before: Index, found: Index },
    #[error("term {found} follows term {before}")]
    TermFell { before: Term, found: Term },
    #[error("the previous checksum is {found:08x}, that of the entry before is {expected:08x}")]
    Chain { expected: u32, found: u32 },
}

impl FaultKind {
    fn at(self, position: u64) -> EntryFault {
        EntryFault { position, kind: self }
    }

    /// The head is whole and proven: index, term and descriptors can be trusted.
    pub fn is_body(&self) -> bool {
        matches!(self, Self::BatchPrefix { .. } | Self::BatchCrc { .. } | Self::Padding)
    }
}

/// Checks the head of an entry. `first` begins at the entry's first byte and holds the head
/// whole; [`FaultKind::Short`] says how much is needed when it does not.
pub fn check_head<'a>(first: &'a [u8], expect: &Expect) -> Result<&'a EntryHeader, EntryFault> {
    let header = header_of(first, expect)?;
    let at = |field: usize| expect.position + field as u64;
    check_checksum(first, header, expect)?;
    if header.version.get() > ENTRY_VERSION {
        let found = header.version.get();
        return Err(FaultKind::Newer { found }.at(at(offset_of!(EntryHeader, version))));
    }
    check_place(header, expect)?;
    let kind =
        header.kind().ok_or_else(|| FaultKind::Kind(header.kind).at(at(offset_of!(EntryHeader, kind))))?;
    if header.flags != 0 || header.reserved != [0; 16] || header.version.get() == 0 {
        return Err(FaultKind::Reserved.at(at(offset_of!(EntryHeader, flags))));
    }
    check_lengths(header, kind).map_err(|field| FaultKind::Length.at(at(field)))?;
    if kind == EntryKind::Batches {
        let descriptors = descriptors_of(first, header.count.get()).expect("the head's length was checked");
        check_descriptors(header, descriptors, expect.position)?;
    }
    Ok(header)
}

/// The header, when magic and the lengths that every version keeps make sense.
fn header_of<'a>(first: &'a [u8], expect: &Expect) -> Result<&'a EntryHeader, EntryFault> {
    let (header, _) = EntryHeader::ref_from_prefix(first)
        .map_err(|_| FaultKind::Short { found: first.len(), needed: HEADER_BYTES }.at(expect.position))?;
    if header.magic != ENTRY_MAGIC {
        return Err(FaultKind::Magic.at(expect.position));
    }
    let length = |field: usize| FaultKind::Length.at(expect.position + field as u64);
    let (entry_bytes, head_bytes) = (header.entry_bytes(), header.head_bytes());
    if entry_bytes == 0 || !entry_bytes.is_multiple_of(BLOCK) || entry_bytes > LARGE_ENTRY_BYTES_MAX {
        return Err(length(offset_of!(EntryHeader, entry_bytes)));
    }
    // A head lies whole in the first piece of its entry.
    if head_bytes < HEADER_BYTES || head_bytes > entry_bytes.min(IO_BYTES_MAX) {
        return Err(length(offset_of!(EntryHeader, head_bytes)));
    }
    Ok(header)
}

/// How long the head of a batches entry is by what its header says, where no checksum proves that: its
/// place, kind and lengths must agree.
pub fn readable_head_bytes(first: &[u8], expect: &Expect) -> Option<usize> {
    let header = header_of(first, expect).ok()?;
    check_place(header, expect).ok()?;
    check_lengths(header, EntryKind::Batches).ok()?;
    (header.kind() == Some(EntryKind::Batches)).then(|| header.head_bytes())
}

fn check_checksum(first: &[u8], header: &EntryHeader, expect: &Expect) -> Result<(), EntryFault> {
    let needed = header.head_bytes();
    let head =
        first.get(..needed).ok_or(FaultKind::Short { found: first.len(), needed }.at(expect.position))?;
    let (found, expected) = (header.checksum.get(), head_checksum(expect.identity.secret, head));
    if found == expected {
        return Ok(());
    }
    let position = expect.position + offset_of!(EntryHeader, checksum) as u64;
    Err(FaultKind::HeadChecksum { found, expected }.at(position))
}

fn check_place(header: &EntryHeader, expect: &Expect) -> Result<(), EntryFault> {
    if header.cluster() != expect.identity.cluster || header.journal() != expect.identity.journal {
        return Err(FaultKind::Foreign.at(expect.position + offset_of!(EntryHeader, cluster) as u64));
    }
    let found_base = Index(header.segment_base.get());
    let found_position = header.position.get();
    let in_segment = header.index() >= expect.segment_base && header.index() > Index::NONE;
    if found_base != expect.segment_base || found_position != expect.position || !in_segment {
        let field = offset_of!(EntryHeader, segment_base) as u64;
        return Err(FaultKind::Misplaced { found_base, found_position }.at(expect.position + field));
    }
    Ok(())
}

/// The lengths of version 1, or the field that is not possible.
fn check_lengths(header: &EntryHeader, kind: EntryKind) -> Result<(), usize> {
    let body_position = header.body_position.get() as usize;
    let end = body_position as u64 + u64::from(header.body_bytes.get());
    if body_position < header.head_bytes() {
        return Err(offset_of!(EntryHeader, body_position));
    }
    // Padding is less than a block, so that nothing hides behind the last batch.
    if end.next_multiple_of(BLOCK as u64) != u64::from(header.entry_bytes.get()) {
        return Err(offset_of!(EntryHeader, body_bytes));
    }
    let count = header.count.get() as usize;
    let head_fits = match kind {
        EntryKind::Batches => {
            count > 0 && header.head_bytes() as u64 == (HEADER_BYTES + count * DESCRIPTOR_BYTES) as u64
        }
        EntryKind::TermStart => count == 0 && header.head_bytes() == HEADER_BYTES,
        _ => true,
    };
    if !head_fits {
        return Err(offset_of!(EntryHeader, head_bytes));
    }
    let body_fits =
        if kind == EntryKind::Batches { end > body_position as u64 } else { header.body_bytes == 0 };
    if body_fits { Ok(()) } else { Err(offset_of!(EntryHeader, body_bytes)) }
}

/// Batches lie one after the other from `body_position` and fill the body.
fn check_descriptors(
    header: &EntryHeader,
    descriptors: &[BatchDescriptor],
    entry_position: u64,
) -> Result<(), EntryFault> {
    let has_transactions = header.version.get() > ENTRY_VERSION_FIRST;
    let mut next = u64::from(header.body_position.get());
    for (batch, descriptor) in (0..).zip(descriptors) {
        let bytes = descriptor.bytes.get() as usize;
        let fits = u64::from(descriptor.position.get()) == next
            && (BATCH_HEADER_BYTES..=BATCH_BYTES_MAX).contains(&bytes)
            && descriptor.base_offset.get() >= 0
            && (1..=i32::MAX as u32).contains(&descriptor.record_count.get())
            && (descriptor.reserved == 0 || (has_transactions && descriptor.is_marker()));
        if !fits {
            let field = HEADER_BYTES + batch as usize * DESCRIPTOR_BYTES;
            return Err(FaultKind::Descriptor { batch }.at(entry_position + field as u64));
        }
        next += bytes as u64;
    }
    if next == u64::from(header.body_position.get()) + u64::from(header.body_bytes.get()) {
        return Ok(());
    }
    let field = offset_of!(EntryHeader, body_bytes) as u64;
    Err(FaultKind::Length.at(entry_position + field))
}

/// The first 21 bytes of a batch, as its descriptor gives them: base offset, length, leader
/// epoch, magic 2, CRC; Kafka's numbers are big-endian.
pub fn batch_prefix(descriptor: &BatchDescriptor) -> [u8; BATCH_PREFIX_BYTES] {
    let mut prefix = [0; BATCH_PREFIX_BYTES];
    prefix[..8].copy_from_slice(&descriptor.base_offset.get().to_be_bytes());
    prefix[8..12].copy_from_slice(&(descriptor.bytes.get() - 12).to_be_bytes());
    prefix[12..16].copy_from_slice(&descriptor.leader_epoch.get().to_be_bytes());
    prefix[16] = 2;
    prefix[17..].copy_from_slice(&descriptor.crc.get().to_be_bytes());
    prefix
}

/// Checks what is behind an entry's head, piece by piece, each byte once.
#[derive(Clone, Debug)]
pub struct BodyCheck<'a> {
    header: &'a EntryHeader,
    descriptors: &'a [BatchDescriptor],
    /// The next byte of the entry to come.
    at: usize,
    /// The batch that the next byte belongs to, or the next one to come.
    batch: usize,
    /// CRC-32C over that batch's bytes so far, from the attributes on.
    crc: u32,
}

impl<'a> BodyCheck<'a> {
    /// `head` is header and descriptors, checked. The pieces begin at the entry's first byte.
    pub fn new(head: &'a [u8]) -> Self {
        let (header, _) = EntryHeader::ref_from_prefix(head).expect("the head was checked");
        let descriptors = match header.kind() {
            Some(EntryKind::Batches) => {
                descriptors_of(head, header.count.get()).expect("the head was checked")
            }
            _ => &[],
        };
        Self { header, descriptors, at: 0, batch: 0, crc: 0 }
    }

    /// Takes the next bytes of the entry. Positions in the fault count from the segment's begin.
    pub fn feed(&mut self, mut piece: &[u8]) -> Result<(), EntryFault> {
        assert!(self.at + piece.len() <= self.header.entry_bytes(), "more bytes than the entry has");
        while !piece.is_empty() {
            let (end, part) = self.part();
            let (now, rest) = piece.split_at(piece.len().min(end - self.at));
            match part {
                Part::Head => {}
                Part::Zeros => self.zeros(now)?,
                Part::Prefix => self.prefix(now)?,
                Part::Rest => self.crc = crc32c::crc32c_append(self.crc, now),
            }
            self.at += now.len();
            if part == Part::Rest && self.at == end {
                self.batch_ends()?;
            }
            piece = rest;
        }
        Ok(())
    }

    /// True when all of the entry was fed.
    pub fn is_complete(&self) -> bool {
        self.at == self.header.entry_bytes()
    }

    /// What the next byte is part of, and where that part ends in the entry.
    fn part(&self) -> (usize, Part) {
        let head_bytes = self.header.head_bytes();
        let Some(descriptor) = self.descriptors.get(self.batch) else {
            let zeros = (self.header.entry_bytes(), Part::Zeros);
            return if self.at < head_bytes { (head_bytes, Part::Head) } else { zeros };
        };
        let begin = descriptor.position.get() as usize;
        let end = begin + descriptor.bytes.get() as usize;
        match self.at {
            at if at < head_bytes => (head_bytes, Part::Head),
            at if at < begin => (begin, Part::Zeros),
            at if at < begin + BATCH_PREFIX_BYTES => (begin + BATCH_PREFIX_BYTES, Part::Prefix),
            _ => (end, Part::Rest),
        }
    }

    fn zeros(&self, bytes: &[u8]) -> Result<(), EntryFault> {
        if is_zero(bytes) {
            return Ok(());
        }
        match bytes.iter().position(|byte| *byte != 0) {
            None => Ok(()),
            Some(skip) => Err(FaultKind::Padding.at(self.in_segment(self.at + skip))),
        }
    }

    fn prefix(&self, bytes: &[u8]) -> Result<(), EntryFault> {
        let descriptor = &self.descriptors[self.batch];
        let skip = self.at - descriptor.position.get() as usize;
        let expected = &batch_prefix(descriptor)[skip..skip + bytes.len()];
        match bytes.iter().zip(expected).position(|(found, expected)| found != expected) {
            None => Ok(()),
            Some(differs) => {
                Err(FaultKind::BatchPrefix { batch: self.batch as u32 }
                    .at(self.in_segment(self.at + differs)))
            }
        }
    }

    fn batch_ends(&mut self) -> Result<(), EntryFault> {
        let descriptor = &self.descriptors[self.batch];
        let (batch, found, expected) = (self.batch as u32, self.crc, descriptor.crc.get());
        (self.batch, self.crc) = (self.batch + 1, 0);
        if found == expected {
            return Ok(());
        }
        let position = self.in_segment(descriptor.position.get() as usize);
        Err(FaultKind::BatchCrc { batch, expected, found }.at(position))
    }

    fn in_segment(&self, at: usize) -> u64 {
        self.header.position.get() + at as u64
    }
}

/// Compared a block at a time: small entries are mostly zeros, and byte by byte these cost more
/// than all else that is checked.
fn is_zero(bytes: &[u8]) -> bool {
    static ZEROS: [u8; BLOCK] = [0; BLOCK];
    bytes.chunks(BLOCK).all(|chunk| chunk == &ZEROS[..chunk.len()])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Head,
    Zeros,
    Prefix,
    Rest,
}

/// Checks all that is behind the head of an entry in memory.
pub fn check_body(entry: &EntryBytes) -> Result<(), EntryFault> {
    check_body_pieces(entry.head(), entry.pieces().iter().map(|piece| &**piece))
}

/// The same over plain slices that together are the entry, its head included.
pub fn check_body_pieces<'p>(
    head: &[u8],
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> Result<(), EntryFault> {
    let mut check = BodyCheck::new(head);
    for piece in pieces {
        check.feed(piece)?;
    }
    if check.is_complete() {
        return Ok(());
    }
    let (found, needed) = (check.at, check.header.entry_bytes());
    Err(FaultKind::Short { found, needed }.at(check.in_segment(found)))
}

/// Checks one batch that was read without the rest of its entry: `batch` is its number in the
/// entry, `parts` are its bytes in order.
pub fn check_batch<'p>(
    header: &EntryHeader,
    batch: u32,
    descriptor: &BatchDescriptor,
    parts: impl IntoIterator<Item = &'p [u8]>,
) -> Result<(), EntryFault> {
    let begin = header.position.get() + u64::from(descriptor.position.get());
    let prefix = batch_prefix(descriptor);
    let (mut at, mut crc) = (0, 0);
    for part in parts {
        let (first, rest) = part.split_at(part.len().min(prefix.len() - prefix.len().min(at)));
        if first != &prefix[at.min(prefix.len())..][..first.len()] {
            return Err(FaultKind::BatchPrefix { batch }.at(begin + at as u64));
        }
        crc = crc32c::crc32c_append(crc, rest);
        at += part.len();
    }
    let needed = descriptor.bytes.get() as usize;
    if at != needed {
        return Err(FaultKind::Short { found: at, needed }.at(begin));
    }
    let expected = descriptor.crc.get();
    if crc == expected { Ok(()) } else { Err(FaultKind::BatchCrc { batch, expected, found: crc }.at(begin)) }
}

/// What the next entry must continue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    pub index: Index,
    pub term: Term,
    /// The header checksum of the entry at `index`; 0 before index 1.
    pub checksum: u32,
}

impl Link {
    /// The link that this entry gives to the next.
    pub fn of(header: &EntryHeader) -> Self {
        Self { index: header.index(), term: header.term(), checksum: header.checksum.get() }
    }
}

/// Checks that an entry (its head checked) continues the one before.
pub fn check_chain(header: &EntryHeader, previous: &Link) -> Result<(), EntryFault> {
    let at = |kind: FaultKind, field: usize| Err(kind.at(header.position.get() + field as u64));
    let found = header.index();
    if found != previous.index.next() {
        return at(FaultKind::Order { before: previous.index, found }, offset_of!(EntryHeader, index));
    }
    if header.term() < previous.term {
        let fell = FaultKind::TermFell { before: previous.term, found: header.term() };
        return at(fell, offset_of!(EntryHeader, term));
    }
    let (expected, found) = (previous.checksum, header.previous_checksum.get());
    if found != expected {
        return at(FaultKind::Chain { expected, found }, offset_of!(EntryHeader, previous_checksum));
    }
    Ok(())
}

/// Whether a valid head begins at a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// No.
    Nothing,
    /// Yes: this is an entry's head, proven by its checksum.
    Head { index: Index, term: Term, entry_bytes: u32 },
    /// It may be: the head is this long.
    NeedsMore { head_bytes: usize },
    /// Yes, and a newer version wrote it.
    Newer { found: u16 },
}

/// Looks for a head at `block`, of which only the first block may be in hand.
pub fn probe(block: &[u8], expect: &Expect) -> Probe {
    match check_head(block, expect) {
        Ok(header) => {
            Probe::Head { index: header.index(), term: header.term(), entry_bytes: header.entry_bytes.get() }
        }
        Err(EntryFault { kind: FaultKind::Short { needed, .. }, .. }) => {
            Probe::NeedsMore { head_bytes: needed }
        }
        Err(EntryFault { kind: FaultKind::Newer { found }, .. }) => Probe::Newer { found },
        Err(_) => Probe::Nothing,
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
