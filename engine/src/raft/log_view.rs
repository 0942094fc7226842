//! The log as raft sees it: terms of all entries, and metadata of the newest ones.

use super::meta::EntryMeta;
use super::start::ReplicaStart;
use crate::ids::{Index, Term};
use core::cell::{Cell, RefCell};
use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};
use std::collections::{BTreeMap, VecDeque};

/// What a follower may have on its way, bytes: the product of 1 GiB/s and 8 ms. A follower that
/// is slow or dead pins no more of the leader's memory than this.
pub const CREDIT_BYTES: usize = 8 << 20;

/// What raft may ask of the log. Everything below `first` is gone from the disk.
#[derive(Debug)]
pub struct LogView {
    first: u64,
    last: u64,
    /// (first index, term), ascending; covers first − 1 to last.
    terms: Vec<(Index, Term)>,
    /// The newest entries, up to `last`; at least all above the applied one.
    window: VecDeque<Entry>,
    /// How many stay in it once they are applied. Where entries are small their bytes may be in
    /// memory for longer.
    window_entries: usize,
    /// From here on the bytes are in memory, so that an entry can be sent at once.
    hot_first: u64,
    /// Entries below `hot_first` whose bytes were read back.
    fetched: BTreeMap<u64, Entry>,
    /// Entries that raft wants to send and whose bytes must be read first.
    wanted: RefCell<Vec<(u64, GetEntriesContext)>>,
    /// Bytes of entries given to be sent since the last burst began.
    burst_bytes: Cell<usize>,
    /// Followers that need what is before `first`.
    lagging: RefCell<Vec<u64>>,
    pub hard_state: HardState,
    pub conf_state: ConfState,
}

impl LogView {
    pub fn new(start: &ReplicaStart) -> Self {
        let (first, last, window) = (start.first.0, start.last, &start.window);
        assert!(window.last().is_none_or(|meta| meta.index == last));
        Self {
            first,
            last: last.0,
            terms: start.terms.clone(),
            window: window.iter().map(|meta| meta.to_raft()).collect(),
            window_entries: start.window_entries,
            hot_first: last.0 + 1,
            fetched: BTreeMap::new(),
            wanted: RefCell::default(),
            burst_bytes: Cell::new(0),
            lagging: RefCell::default(),
            hard_state: HardState::default(),
            conf_state: ConfState::default(),
        }
    }

    /// Appends entries of a Ready. Gives the first index that they replace, if any.
    pub fn append(&mut self, entries: &[Entry]) -> Option<Index> {
        let first = entries.first()?.index;
        assert!(first >= self.first && first <= self.last + 1, "a hole before {first}, last {}", self.last);
        let replaced = (first <= self.last).then_some(Index(first));
        if replaced.is_some() {
            self.cut(first);
        }
        for entry in entries {
            assert_eq!(entry.index, self.last + 1);
            if self.terms.last().is_none_or(|(_, term)| term.0 < entry.term) {
                self.terms.push((Index(entry.index), Term(entry.term)));
            }
            self.window.push_back(entry.clone());
            self.last = entry.index;
        }
        replaced
    }

    /// The first entry whose metadata is here.
    pub fn window_first(&self) -> Index {
        Index(self.last + 1 - self.window.len() as u64)
    }

    fn cut(&mut self, first: u64) {
        let keep = first.saturating_sub(self.window_first().0);
        self.window.truncate(keep as usize);
        // The term of the entry before stays, whatever is cut: it began at or below it.
        self.terms.retain(|(start, _)| start.0 < first);
        self.fetched.split_off(&first);
        self.hot_first = self.hot_first.min(first);
        self.last = first - 1;
    }

    /// Entries up to `applied` may leave the window; a follower that needs them gets them from
    /// the cache or the disk.
    pub fn trim_window(&mut self, applied: Index) {
        while self.window.len() > self.window_entries && self.window[0].index <= applied.0 {
            self.window.pop_front();
        }
    }

    /// Segments below `first` were deleted.
    pub fn compact(&mut self, first: Index) {
        assert!(
            first.0 >= self.first && first.0 <= self.last + 1,
            "compact to {first} of {}..={}",
            self.first,
            self.last
        );
        self.first = first.0;
        let keep = self.terms.iter().rposition(|(start, _)| start.0 < first.0).unwrap_or(0);
        self.terms.drain(..keep);
        while self.window.front().is_some_and(|entry| entry.index < first.0) {
            self.window.pop_front();
        }
        self.fetched = self.fetched.split_off(&first.0);
    }

    /// The bytes of entries from `first` on are in memory.
    pub fn set_hot(&mut self, first: Index) {
        self.hot_first = first.0;
    }

    /// An entry's bytes were read back.
    pub fn add_fetched(&mut self, meta: &EntryMeta) {
        self.fetched.insert(meta.index.0, meta.to_raft());
    }

    pub fn forget_fetched(&mut self, index: Index) {
        self.fetched.remove(&index.0);
    }

    pub fn forget_all_fetched(&mut self) {
        self.fetched.clear();
    }

    /// What was given to be sent is on its way.
    pub fn begin_burst(&self) {
        self.burst_bytes.set(0);
    }

    /// raft counts messages: whom it believes to take hundreds may be meant to get large ones.
    fn fits_burst(&self, entry: &Entry) -> bool {
        let before = self.burst_bytes.get();
        let after = before + EntryMeta::of_raft(entry).entry_bytes as usize;
        let fits = before == 0 || after <= CREDIT_BYTES;
        if fits {
            self.burst_bytes.set(after);
        }
        fits
    }

    /// Entries that raft waits for, with the questions to be asked again when they are there.
    pub fn take_wanted(&self) -> Vec<(u64, GetEntriesContext)> {
        core::mem::take(&mut self.wanted.borrow_mut())
    }

    /// Followers that asked for what is before the first entry since this was called last.
    pub fn take_lagging(&self) -> Vec<u64> {
        core::mem::take(&mut self.lagging.borrow_mut())
    }

    /// The term of an entry, or of the one before the first.
    pub fn term_of(&self, index: u64) -> Option<Term> {
        if index == 0 {
            return Some(Term(0));
        }
        if index + 1 < self.first || index > self.last {
            return None;
        }
        self.terms.iter().rfind(|(start, _)| start.0 <= index).map(|(_, term)| *term)
    }
}

impl Storage for LogView {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(RaftState { hard_state: self.hard_state.clone(), conf_state: self.conf_state.clone() })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        _max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        if low < self.first {
            return Err(Error::Store(StorageError::Compacted));
        }
        assert!(low <= high && high <= self.last + 1, "{low}..{high} of a log up to {}", self.last);
        if low == high {
            return Ok(Vec::new());
        }
        let window_first = self.window_first().0;
        if context.can_async() {
            // To be sent, one at a time, with its bytes.
            let entry = match self.fetched.get(&low) {
                Some(entry) => entry,
                None if low < self.hot_first || low < window_first => {
                    self.wanted.borrow_mut().push((low, context));
                    return Err(Error::Store(StorageError::LogTemporarilyUnavailable));
                }
                None => &self.window[(low - window_first) as usize],
            };
            // raft asks again with the next answer or heartbeat.
            let may_go = low == self.last || self.fits_burst(entry);
            return if may_go {
                Ok(vec![entry.clone()])
            } else {
                Err(Error::Store(StorageError::LogTemporarilyUnavailable))
            };
        }
        assert!(low >= window_first, "entry {low} left the window at {window_first}");
        let range = (low - window_first) as usize..(high - window_first) as usize;
        Ok(self.window.range(range).cloned().collect())
    }

    fn term(&self, index: u64) -> Result<u64> {
        match self.term_of(index) {
            Some(term) => Ok(term.0),
            None if index < self.first => Err(Error::Store(StorageError::Compacted)),
            None => Err(Error::Store(StorageError::Unavailable)),
        }
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.first)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last)
    }

    /// None is ever given to raft (see the journal's `install`); whom it is for is noted.
    fn snapshot(&self, _request_index: u64, to: u64) -> Result<Snapshot> {
        let mut lagging = self.lagging.borrow_mut();
        if !lagging.contains(&to) {
            lagging.push(to);
        }
        Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}

#[cfg(test)]
#[path = "log_view_tests.rs"]
mod tests;
