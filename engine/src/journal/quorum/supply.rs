//! Entries for followers that are behind what raft has at hand: from the cache, or read back from
//! the disk and checked; given to raft, a few ahead of the one it asks for.

use crate::entry::EntryBytes;
use crate::ids::Index;
use crate::raft::Wanted;
use std::collections::{BTreeMap, VecDeque};

/// What is read back for all followers of a journal together; the oldest goes first.
const SUPPLY_BYTES_MAX: usize = 16 << 20;

/// The same where entries are small: a read-ahead for each of many followers.
const SUPPLY_ENTRIES_MAX: usize = 64;

/// What was read back for followers, and what is being read.
#[derive(Default)]
pub struct Supply {
    pub(in crate::journal) entries: BTreeMap<Index, EntryBytes>,
    pub(in crate::journal) order: VecDeque<Index>,
    pub(in crate::journal) bytes: usize,
    pub(in crate::journal) reading: BTreeMap<Index, Vec<Wanted>>,
    /// What raft waits for and the pace does not allow yet.
    pub(in crate::journal) paced: Vec<Wanted>,
}

impl Supply {
    pub fn get(&self, index: Index) -> Option<&EntryBytes> {
        self.entries.get(&index)
    }

    /// Drops what was read; reads under way end unused.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
        self.bytes = 0;
        self.paced.clear();
        self.reading.values_mut().for_each(Vec::clear);
    }

    /// Entries are on their way from the disk.
    pub fn is_reading(&self) -> bool {
        !self.reading.is_empty()
    }

    /// Adds an entry that is not there; gives those that had to go for it.
    pub(in crate::journal) fn add(&mut self, entry: EntryBytes) -> Vec<Index> {
        let index = entry.header().index();
        self.bytes += entry.capacity();
        assert!(self.entries.insert(index, entry).is_none(), "entry {index} was read twice");
        self.order.push_back(index);
        let mut gone = Vec::new();
        while self.order.len() > 1 && (self.bytes > SUPPLY_BYTES_MAX || self.order.len() > SUPPLY_ENTRIES_MAX)
        {
            let oldest = self.order.pop_front().expect("there are two");
            self.bytes -= self.entries.remove(&oldest).expect("in order").capacity();
            gone.push(oldest);
        }
        gone
    }
}
