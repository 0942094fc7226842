//! Walks a segment entry by entry, and past what is bad to the next good head.

use super::bytes::SegmentBytes;
use engine::disk::BLOCK;
use engine::entry::layout::{BatchDescriptor, EntryHeader, EntryKind, HEADER_BYTES, descriptors_of};
use engine::entry::reader::{EntryFault, Expect, FaultKind, Probe, check_head, probe};
use engine::ids::{Index, JournalIdentity};
use std::borrow::Cow;
use std::io;
use zerocopy::FromBytes;

/// Blocks that are looked at in one read while searching.
const SEARCH_BYTES: usize = 1 << 20;

static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// An entry whose head is good.
pub struct Entry<'a> {
    /// Where it begins in the file.
    pub position: u64,
    /// The head, or the whole entry.
    pub bytes: Cow<'a, [u8]>,
    /// Its body is not what the head says; told where the whole was read and judged.
    pub is_damaged: bool,
}

impl Entry<'_> {
    pub fn header(&self) -> &EntryHeader {
        EntryHeader::ref_from_bytes(&self.bytes[..HEADER_BYTES]).expect("a header is unaligned bytes")
    }

    pub fn head(&self) -> &[u8] {
        &self.bytes[..self.header().head_bytes()]
    }

    pub fn items(&self) -> &[u8] {
        &self.head()[HEADER_BYTES..]
    }

    pub fn descriptors(&self) -> &[BatchDescriptor] {
        match self.header().kind() {
            Some(EntryKind::Batches) => {
                descriptors_of(self.head(), self.header().count.get()).expect("the head was checked")
            }
            _ => &[],
        }
    }

    /// A batch's bytes, when the whole entry was read.
    pub fn batch(&self, descriptor: &BatchDescriptor) -> Option<&[u8]> {
        let begin = descriptor.position.get() as usize;
        self.bytes.get(begin..begin + descriptor.bytes.get() as usize)
    }
}

/// What a walk meets.
pub enum Step<'a> {
    Entry(Entry<'a>),
    /// Bytes that are no entry, with good entries behind them.
    Gap {
        from: u64,
        to: u64,
        fault: EntryFault,
    },
    /// Bytes that are no entry up to the end of what was written.
    Tail {
        from: u64,
        to: u64,
        fault: EntryFault,
    },
    /// The file could not be read, or a newer version wrote it.
    Unreadable(String),
}

/// The walk.
pub struct Scanner<'a> {
    bytes: &'a SegmentBytes,
    expect: Expect,
    last: Index,
    /// Read bodies too.
    whole: bool,
    ended: bool,
}

impl<'a> Scanner<'a> {
    pub fn new(bytes: &'a SegmentBytes, identity: JournalIdentity, base: Index, whole: bool) -> Self {
        let expect = Expect { identity, segment_base: base, position: 0 };
        Self { bytes, expect, last: Index(base.0.saturating_sub(1)), whole, ended: false }
    }

    /// Where the walk is in the file.
    pub fn position(&self) -> u64 {
        self.expect.position
    }

    /// The next step; `None` at the end.
    pub fn step(&mut self) -> Option<Step<'a>> {
        if self.ended || self.expect.position >= self.bytes.len() {
            return None;
        }
        let step = self.entry_or_fault().and_then(|found| match found {
            Ok(entry) => Ok(Some(Step::Entry(entry))),
            Err(EntryFault { kind: FaultKind::Newer { found }, position }) => {
                Ok(Some(Step::Unreadable(format!("byte {position}: {}", FaultKind::Newer { found }))))
            }
            Err(fault) => self.pass(fault),
        });
        let step = step.unwrap_or_else(|error| Some(Step::Unreadable(error.to_string())));
        self.ended = !matches!(step, Some(Step::Entry(_) | Step::Gap { .. }));
        step
    }

    fn entry_or_fault(&mut self) -> io::Result<Result<Entry<'a>, EntryFault>> {
        let position = self.expect.position;
        let mut bytes = self.bytes.read(position, BLOCK)?;
        let mut checked = check_head(&bytes, &self.expect).copied();
        if let Err(EntryFault { kind: FaultKind::Short { needed, .. }, .. }) = checked {
            bytes = self.bytes.read(position, needed)?;
            checked = check_head(&bytes, &self.expect).copied();
        }
        let header = match checked {
            Ok(header) => header,
            Err(fault) => return Ok(Err(fault)),
        };
        let fault = |kind| Ok(Err(EntryFault { position, kind }));
        if header.index() <= self.last {
            return fault(FaultKind::Order { before: self.last, found: header.index() });
        }
        let entry_bytes = header.entry_bytes();
        let found = (self.bytes.len() - position).min(entry_bytes as u64) as usize;
        if found < entry_bytes {
            return fault(FaultKind::Short { found, needed: entry_bytes });
        }
        let bytes = if self.whole {
            self.bytes.read(position, entry_bytes)?
        } else {
            self.bytes.read(position, header.head_bytes())?
        };
        if self.whole && bytes.len() < entry_bytes {
            return fault(FaultKind::Short { found: bytes.len(), needed: entry_bytes });
        }
        self.last = header.index();
        self.expect.position += entry_bytes as u64;
        Ok(Ok(Entry { position, bytes, is_damaged: false }))
    }

    /// Goes to the next good head behind a fault, or finds that there is none.
    fn pass(&mut self, fault: EntryFault) -> io::Result<Option<Step<'a>>> {
        let from = self.expect.position;
        // What a raft cut left over is whole and older: the log ends before it.
        if matches!(fault.kind, FaultKind::Order { .. }) {
            return Ok(None);
        }
        let mut written_to = from;
        let mut search = Expect { position: from, ..self.expect };
        while search.position < self.bytes.len() {
            let piece = self.bytes.read(search.position, SEARCH_BYTES)?;
            if piece.is_empty() {
                break;
            }
            for block in piece.chunks(BLOCK) {
                if block != &ZEROS[..block.len()] {
                    written_to = search.position + block.len() as u64;
                    if search.position > from && self.begins_entry(block, &search)? {
                        self.expect.position = search.position;
                        return Ok(Some(Step::Gap { from, to: search.position, fault }));
                    }
                }
                search.position += block.len() as u64;
            }
        }
        Ok((written_to > from).then_some(Step::Tail { from, to: written_to, fault }))
    }

    /// Whether an entry behind the last good one begins at this block.
    fn begins_entry(&self, block: &[u8], at: &Expect) -> io::Result<bool> {
        let probed = match probe(block, at) {
            Probe::NeedsMore { head_bytes } => probe(&self.bytes.read(at.position, head_bytes)?, at),
            probed => probed,
        };
        Ok(matches!(probed, Probe::Head { index, .. } if index > self.last))
    }
}
