//! Entries in memory: the newest ones, as the very buffers that were written, and those that
//! reads brought in; both bounded in bytes of capacity.

use crate::collections::Map;
use crate::entry::EntryBytes;
use crate::ids::Index;
use std::collections::VecDeque;

/// The entries of one journal that are in memory.
#[derive(Debug)]
pub struct EntryCache {
    /// Contiguous, ending with the newest entry of the journal.
    recent: VecDeque<EntryBytes>,
    recent_bytes: usize,
    /// Entries read back, with the tick of their last use.
    read: Map<Index, (u64, EntryBytes)>,
    read_bytes: usize,
    uses: u64,
}

impl EntryCache {
    pub fn new() -> Self {
        Self { recent: VecDeque::new(), recent_bytes: 0, read: Map::default(), read_bytes: 0, uses: 0 }
    }

    /// Adds the journal's newest entry.
    pub fn push(&mut self, entry: EntryBytes) {
        if let Some(last) = self.recent.back() {
            assert_eq!(entry.header().index(), last.header().index().next());
        }
        self.recent_bytes += entry.capacity();
        self.recent.push_back(entry);
    }

    /// The first of the newest entries that are all here; `after_last` when there are none.
    pub fn recent_first(&self, after_last: Index) -> Index {
        self.recent.front().map_or(after_last, |entry| entry.header().index())
    }

    /// Forgets the entries from `first` on: raft cut them.
    pub fn cut(&mut self, first: Index) {
        while self.recent.back().is_some_and(|entry| entry.header().index() >= first) {
            let entry = self.recent.pop_back().expect("there is a back");
            self.recent_bytes -= entry.capacity();
        }
        let gone: Vec<_> = self.read.keys().filter(|index| **index >= first).copied().collect();
        for index in gone {
            let (_, entry) = self.read.remove(&index).expect("listed above");
            self.read_bytes -= entry.capacity();
        }
    }

    /// Adds an entry that was read back and checked.
    pub fn insert_read(&mut self, entry: EntryBytes) {
        self.uses += 1;
        self.read_bytes += entry.capacity();
        if let Some((_, before)) = self.read.insert(entry.header().index(), (self.uses, entry)) {
            self.read_bytes -= before.capacity();
        }
    }

    /// The entry, if it is in memory.
    pub fn get(&mut self, index: Index) -> Option<EntryBytes> {
        if let Some(first) = self.recent.front().map(|entry| entry.header().index())
            && index >= first
        {
            return self.recent.get((index.0 - first.0) as usize).cloned();
        }
        self.uses += 1;
        let (used, entry) = self.read.get_mut(&index)?;
        *used = self.uses;
        Some(entry.clone())
    }

    pub fn bytes(&self) -> usize {
        self.recent_bytes + self.read_bytes
    }

    /// Evicts down to `bytes_max`: first what was read back and not used longest, then the oldest
    /// recent entries up to `keep_above`; what is not durable and folded stays whatever it takes.
    pub fn evict(&mut self, bytes_max: usize, keep_above: Index) {
        if self.bytes() <= bytes_max {
            return;
        }
        self.evict_read(bytes_max);
        while self.bytes() > bytes_max {
            match self.recent.front() {
                Some(oldest) if oldest.header().index() <= keep_above => {
                    self.recent_bytes -= oldest.capacity();
                    self.recent.pop_front();
                }
                _ => break,
            }
        }
    }

    fn evict_read(&mut self, bytes_max: usize) {
        if self.read.is_empty() {
            return;
        }
        let mut by_use: Vec<_> = self.read.iter().map(|(index, (used, _))| (*used, *index)).collect();
        by_use.sort_unstable();
        for (_, index) in by_use {
            if self.bytes() <= bytes_max {
                return;
            }
            let (_, entry) = self.read.remove(&index).expect("listed above");
            self.read_bytes -= entry.capacity();
        }
    }

    /// Forgets entries of segments that were deleted.
    pub fn forget_below(&mut self, first: Index) {
        let gone: Vec<_> = self.read.keys().filter(|index| **index < first).copied().collect();
        for index in gone {
            let (_, entry) = self.read.remove(&index).expect("listed above");
            self.read_bytes -= entry.capacity();
        }
        while self.recent.front().is_some_and(|entry| entry.header().index() < first) {
            let entry = self.recent.pop_front().expect("there is a front");
            self.recent_bytes -= entry.capacity();
        }
    }
}

impl Default for EntryCache {
    fn default() -> Self {
        Self::new()
    }
}
