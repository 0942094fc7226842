//! Entries for followers that are behind what raft has at hand: from the cache, or read back from
//! the disk and checked; given to raft, a few ahead of the one it asks for.
//!
//! Invariants:
//! - An entry is here, being read, or neither; never twice.
//! - What is here is bounded in bytes and in number, but for one entry, whatever its length.
//! - What waits for the pace waits once for each entry.

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
    entries: BTreeMap<Index, EntryBytes>,
    order: VecDeque<Index>,
    bytes: usize,
    reading: BTreeMap<Index, Vec<Wanted>>,
    /// What raft waits for and the pace does not allow yet.
    paced: Vec<Wanted>,
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

    /// It is here or on its way.
    pub fn is_known(&self, index: Index) -> bool {
        self.entries.contains_key(&index) || self.reading.contains_key(&index)
    }

    /// A read of this entry begins.
    pub fn begin(&mut self, index: Index) {
        assert!(!self.is_known(index), "entry {index} is read twice");
        self.reading.insert(index, Vec::new());
    }

    /// A read ended: who waited for it.
    pub fn ended(&mut self, index: Index) -> Vec<Wanted> {
        self.reading.remove(&index).expect("it was begun")
    }

    /// Raft goes on once this entry was read; nothing is done where it is not being read.
    pub fn wait(&mut self, wanted: Wanted) {
        if let Some(waiting) = self.reading.get_mut(&wanted.index) {
            waiting.push(wanted);
        }
    }

    /// The pace does not allow it yet. Where another follower waits for the same, raft asks again with the next
    /// heartbeat.
    pub fn hold(&mut self, wanted: Wanted) {
        if self.paced.iter().all(|waiting| waiting.index != wanted.index) {
            self.paced.push(wanted);
        }
    }

    /// What waited for the pace.
    pub fn take_held(&mut self) -> Vec<Wanted> {
        core::mem::take(&mut self.paced)
    }

    /// Entries are on their way from the disk.
    pub fn is_reading(&self) -> bool {
        !self.reading.is_empty()
    }

    /// Adds an entry that is not there; gives those that had to go for it.
    pub fn add(&mut self, entry: EntryBytes) -> Vec<Index> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::samples::entry;

    fn indexes(wanted: Vec<Wanted>) -> Vec<u64> {
        wanted.iter().map(|wanted| wanted.index.0).collect()
    }

    #[test]
    fn who_waits_for_a_read_is_told_when_it_ends() {
        let mut supply = Supply::default();
        supply.begin(Index(5));
        assert!(supply.is_known(Index(5)) && supply.is_reading() && supply.get(Index(5)).is_none());
        supply.wait(Wanted::sample(Index(5)));
        supply.wait(Wanted::sample(Index(6)));
        assert_eq!(indexes(supply.ended(Index(5))), [5]);
        assert!(!supply.is_reading() && !supply.is_known(Index(5)));
        assert!(supply.add(entry(5, 1, 0, 100)).is_empty());
        assert!(supply.is_known(Index(5)) && supply.get(Index(5)).is_some());
    }

    #[test]
    #[should_panic(expected = "read twice")]
    fn an_entry_is_read_once() {
        let mut supply = Supply::default();
        supply.begin(Index(5));
        supply.begin(Index(5));
    }

    #[test]
    fn what_waits_for_the_pace_waits_once() {
        let mut supply = Supply::default();
        [5, 6, 5].into_iter().for_each(|index| supply.hold(Wanted::sample(Index(index))));
        assert_eq!(indexes(supply.take_held()), [5, 6]);
        assert!(supply.take_held().is_empty());
    }

    #[test]
    fn the_oldest_goes_for_the_newest() {
        let mut supply = Supply::default();
        let all = SUPPLY_ENTRIES_MAX as u64;
        assert!((1..=all).all(|index| supply.add(entry(index, 1, 0, 10)).is_empty()));
        assert_eq!(supply.add(entry(all + 1, 1, 0, 10)), [Index(1)]);
        assert!(supply.get(Index(1)).is_none() && supply.get(Index(2)).is_some());
        // Bytes count, too: of entries this long no 64 are kept.
        let long = 900 << 10;
        (100..140).for_each(|index| drop(supply.add(entry(index, 1, 0, long))));
        assert!(supply.bytes <= SUPPLY_BYTES_MAX && supply.entries.len() < 20);
        assert!(supply.get(Index(139)).is_some());
    }

    #[test]
    fn after_it_was_cleared_a_read_ends_unused() {
        let mut supply = Supply::default();
        supply.add(entry(4, 1, 0, 10));
        supply.begin(Index(5));
        supply.wait(Wanted::sample(Index(5)));
        supply.hold(Wanted::sample(Index(9)));
        supply.clear();
        assert!(supply.get(Index(4)).is_none() && supply.take_held().is_empty() && supply.is_reading());
        assert!(supply.ended(Index(5)).is_empty());
    }
}
