//! Heads of entries that are not folded yet.

use crate::entry::layout::HEADER_BYTES;
use crate::entry::{EntryBytes, EntryHeader, EntryKind};
use crate::ids::{Index, Term};
use crate::raft::Change;
use std::collections::VecDeque;
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

    /// What it changes of the members; `Err` when a newer version wrote it.
    pub fn change(&self) -> Option<Result<Change, String>> {
        let (header, bytes) = self.known()?;
        let is_change = header.kind() == Some(EntryKind::Membership);
        is_change.then(|| Change::decode(&bytes[HEADER_BYTES..]))
    }

    /// Bytes of the entry; 0 of one that is lost.
    fn entry_bytes(&self) -> usize {
        self.known().map_or(0, |(header, _)| header.entry_bytes())
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

/// Heads of the entries behind the fold, ascending, and how long those entries are together: that is asked with
/// every batch.
///
/// Invariant: `bytes` is the sum over all that is known.
#[derive(Debug, Default)]
pub struct Heads {
    all: VecDeque<Head>,
    bytes: usize,
}

impl Heads {
    pub fn new(all: VecDeque<Head>) -> Self {
        let bytes = all.iter().map(Head::entry_bytes).sum();
        Self { all, bytes }
    }

    /// Bytes of the entries.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn push_back(&mut self, head: Head) {
        self.bytes += head.entry_bytes();
        self.all.push_back(head);
    }

    pub fn pop_front(&mut self) -> Option<Head> {
        let head = self.all.pop_front()?;
        self.bytes -= head.entry_bytes();
        assert!(!self.all.is_empty() || self.bytes == 0, "{} bytes of no entries", self.bytes);
        Some(head)
    }

    /// Forgets all but the first `count`.
    pub fn truncate(&mut self, count: usize) {
        while self.all.len() > count {
            let gone = self.all.pop_back().expect("there are more");
            self.bytes -= gone.entry_bytes();
        }
    }

    pub fn get(&self, at: usize) -> Option<&Head> {
        self.all.get(at)
    }

    pub fn front(&self) -> Option<&Head> {
        self.all.front()
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Head> {
        self.all.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::samples::entry;

    #[test]
    fn the_sum_follows_what_comes_and_goes() {
        let of = |index| Head::Entry(entry(index, 1, 0, 5_000));
        let bytes = of(1).entry_bytes();
        assert!(bytes > 5_000);
        let mut heads = Heads::new([of(1), Head::Lost { index: Index(2), term: None }].into());
        assert_eq!(heads.bytes(), bytes, "of a lost one nothing is known");
        heads.push_back(of(3));
        heads.push_back(of(4));
        assert_eq!(heads.bytes(), 3 * bytes);
        heads.truncate(3);
        assert_eq!((heads.bytes(), heads.iter().count()), (2 * bytes, 3));
        assert_eq!(heads.pop_front().map(|head| head.index()), Some(Index(1)));
        assert_eq!((heads.bytes(), heads.get(1).map(Head::index)), (bytes, Some(Index(3))));
        heads.truncate(0);
        assert_eq!((heads.bytes(), heads.pop_front().is_none()), (0, true));
    }
}
