//! Heads of entries that are not folded yet.

use crate::entry::layout::HEADER_BYTES;
use crate::entry::{EntryBytes, EntryHeader};
use crate::ids::{Index, Term};
use zerocopy::FromBytes;

/// An entry's head, wherever it is held.
#[derive(Clone, Debug)]
pub enum Head {
    /// In the buffers that were written.
    Entry(EntryBytes),
    /// A copy, made by recovery.
    Bytes(Box<[u8]>),
    /// Lost to damage; the term when the neighbours tell it.
    Lost { index: Index, term: Option<Term> },
}

impl Head {
    pub fn index(&self) -> Index {
        match self {
            Head::Lost { index, .. } => *index,
            other => other.known().expect("not lost").0.index(),
        }
    }

    /// Header and whole head, unless they are lost.
    pub fn known(&self) -> Option<(&EntryHeader, &[u8])> {
        match self {
            Head::Entry(entry) => Some((entry.header(), entry.head())),
            Head::Bytes(bytes) => {
                let header = EntryHeader::ref_from_bytes(&bytes[..HEADER_BYTES]).expect("a checked head");
                Some((header, bytes))
            }
            Head::Lost { .. } => None,
        }
    }
}
