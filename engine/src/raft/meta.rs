//! What raft knows of an entry, and the descriptor that stands for it in raft's log.

use crate::entry::{EntryHeader, EntryKind};
use crate::ids::{Index, Term};
use raft::eraftpb::{Entry, EntryType};

/// Enough to find an entry and prove its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryMeta {
    pub index: Index,
    pub term: Term,
    pub kind: EntryKind,
    /// The checksum of the entry's head.
    pub checksum: u32,
    pub entry_bytes: u32,
}

impl EntryMeta {
    pub fn of(header: &EntryHeader) -> Self {
        Self {
            index: header.index(),
            term: header.term(),
            kind: header.kind().expect("the header was checked"),
            checksum: header.checksum.get(),
            entry_bytes: header.entry_bytes.get(),
        }
    }

    /// What stands in raft's `Entry.data`: nothing for a term start, which raft itself makes.
    pub(super) fn descriptor(&self) -> Vec<u8> {
        if self.kind == EntryKind::TermStart {
            return Vec::new();
        }
        let mut bytes = vec![self.kind as u8];
        bytes.extend_from_slice(&self.checksum.to_le_bytes());
        bytes.extend_from_slice(&self.entry_bytes.to_le_bytes());
        bytes
    }

    pub(super) fn to_raft(self) -> Entry {
        let mut entry = Entry { index: self.index.0, term: self.term.0, ..Entry::default() };
        if self.kind == EntryKind::Membership {
            // raft-rs reads the data of such an entry only where it is proposed.
            entry.set_entry_type(EntryType::EntryConfChangeV2);
            entry.context = self.descriptor().into();
        } else {
            entry.data = self.descriptor().into();
        }
        entry
    }

    /// Only our own descriptors reach raft: proposals, and entries whose head was checked.
    pub(super) fn of_raft(entry: &Entry) -> Self {
        let (index, term) = (Index(entry.index), Term(entry.term));
        let data = match entry.get_entry_type() {
            EntryType::EntryConfChangeV2 => &entry.context[..],
            _ => &entry.data[..],
        };
        if data.is_empty() {
            return Self { index, term, kind: EntryKind::TermStart, checksum: 0, entry_bytes: 0 };
        }
        let data: [u8; 9] = data.try_into().expect("our own descriptor");
        Self {
            index,
            term,
            kind: EntryKind::of(data[0]).expect("our own descriptor"),
            checksum: u32::from_le_bytes(data[1..5].try_into().expect("four bytes")),
            entry_bytes: u32::from_le_bytes(data[5..].try_into().expect("four bytes")),
        }
    }
}
