//! Entries in memory: the newest ones of each journal, as the very buffers that were written, and
//! those that reads brought in; bounded in bytes of capacity, for all journals of a shard
//! together, so that each has what its use earns it.
//!
//! What goes first: of what was read, the least recently used, as long as that takes more than
//! half; then the oldest of the newest entries, of whichever journal. So a reader of old records
//! never drives out more than half of what was just written, and readers that follow each other
//! find what the first one read even while the newest entries would fill everything.

use crate::collections::Map;
use crate::entry::EntryBytes;
use crate::ids::{Index, JournalId};
use core::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// What the journals of a shard share: the bound, one order of use, and what was read back.
#[derive(Clone, Debug)]
pub struct CacheShare(Rc<Share>);

#[derive(Debug)]
struct Share {
    bytes_max: usize,
    /// Of the newest entries of all journals.
    recent_bytes: Cell<usize>,
    uses: Cell<u64>,
    read: RefCell<ReadBack>,
}

/// Entries read back, with the number of their last use.
#[derive(Debug, Default)]
struct ReadBack {
    entries: Map<(JournalId, Index), (u64, EntryBytes)>,
    used: BTreeMap<u64, (JournalId, Index)>,
    bytes: usize,
}

impl CacheShare {
    pub fn new(bytes_max: usize) -> Self {
        let (recent_bytes, uses) = (Cell::new(0), Cell::new(0));
        Self(Rc::new(Share { bytes_max, recent_bytes, uses, read: RefCell::default() }))
    }

    pub fn bytes(&self) -> usize {
        self.0.recent_bytes.get() + self.0.read.borrow().bytes
    }

    /// More is here than may be: the oldest of the newest entries must go.
    pub fn is_over(&self) -> bool {
        self.bytes() > self.0.bytes_max
    }

    fn next_use(&self) -> u64 {
        self.0.uses.set(self.0.uses.get() + 1);
        self.0.uses.get()
    }

    fn add_recent(&self, bytes: usize) {
        self.0.recent_bytes.set(self.0.recent_bytes.get() + bytes);
        self.trim_read();
    }

    fn take_recent(&self, bytes: usize) {
        self.0.recent_bytes.set(self.0.recent_bytes.get() - bytes);
    }

    /// Makes room among what was read, as far as that has more than half.
    fn trim_read(&self) {
        let read = &mut *self.0.read.borrow_mut();
        let left = self.0.bytes_max.saturating_sub(self.0.recent_bytes.get());
        let read_max = left.max(self.0.bytes_max / 2);
        while read.bytes > read_max {
            let (_, oldest) = read.used.pop_first().expect("each entry has its use");
            let (_, entry) = read.entries.remove(&oldest).expect("each use has its entry");
            read.bytes -= entry.capacity();
        }
    }
}

impl ReadBack {
    fn put(&mut self, key: (JournalId, Index), entry: EntryBytes, used: u64) {
        self.bytes += entry.capacity();
        self.used.insert(used, key);
        if let Some((used, before)) = self.entries.insert(key, (used, entry)) {
            self.bytes -= before.capacity();
            self.used.remove(&used);
        }
    }

    fn get(&mut self, key: (JournalId, Index), now: u64) -> Option<EntryBytes> {
        let (used, entry) = self.entries.get_mut(&key)?;
        self.used.remove(used);
        *used = now;
        self.used.insert(now, key);
        Some(entry.clone())
    }

    fn retain(&mut self, stays: impl Fn((JournalId, Index)) -> bool) {
        let Self { entries, used, bytes } = self;
        entries.retain(|key, (use_number, entry)| {
            let stays = stays(*key);
            if !stays {
                *bytes -= entry.capacity();
                used.remove(use_number);
            }
            stays
        });
    }
}

/// The entries of one journal that are in memory. Clones share them.
#[derive(Clone, Debug)]
pub struct EntryCache(Rc<OfJournal>);

#[derive(Debug)]
struct OfJournal {
    journal: JournalId,
    /// Contiguous, ending with the newest entry of the journal; each with when it came.
    recent: RefCell<VecDeque<(u64, EntryBytes)>>,
    share: CacheShare,
}

impl EntryCache {
    pub fn new(journal: JournalId, share: &CacheShare) -> Self {
        Self(Rc::new(OfJournal { journal, recent: RefCell::default(), share: share.clone() }))
    }

    /// Adds the journal's newest entry.
    pub fn push(&self, entry: EntryBytes) {
        let mut recent = self.0.recent.borrow_mut();
        if let Some((_, last)) = recent.back() {
            assert_eq!(entry.header().index(), last.header().index().next());
        }
        self.0.share.add_recent(entry.capacity());
        recent.push_back((self.0.share.next_use(), entry));
    }

    /// The first of the newest entries that are all here; `after_last` when there are none.
    pub fn recent_first(&self, after_last: Index) -> Index {
        self.0.recent.borrow().front().map_or(after_last, |(_, entry)| entry.header().index())
    }

    /// Forgets the entries from `first` on: raft cut them.
    pub fn cut(&self, first: Index) {
        let mut recent = self.0.recent.borrow_mut();
        while recent.back().is_some_and(|(_, entry)| entry.header().index() >= first) {
            self.gone(recent.pop_back());
        }
        self.0
            .share
            .0
            .read
            .borrow_mut()
            .retain(|(journal, index)| journal != self.0.journal || index < first);
    }

    /// Adds an entry that was read back and checked.
    pub fn insert_read(&self, entry: EntryBytes) {
        let (key, used) = ((self.0.journal, entry.header().index()), self.0.share.next_use());
        self.0.share.0.read.borrow_mut().put(key, entry, used);
        self.0.share.trim_read();
    }

    /// The entry, if it is in memory.
    pub fn get(&self, index: Index) -> Option<EntryBytes> {
        let recent = self.0.recent.borrow();
        if let Some((_, first)) = recent.front()
            && index >= first.header().index()
        {
            let at = (index.0 - first.header().index().0) as usize;
            return recent.get(at).map(|(_, entry)| entry.clone());
        }
        self.0.share.0.read.borrow_mut().get((self.0.journal, index), self.0.share.next_use())
    }

    /// When the oldest of the newest entries came, if it may go: what is above `keep_above` is not
    /// durable and folded, and stays whatever it takes.
    pub fn oldest(&self, keep_above: Index) -> Option<u64> {
        let recent = self.0.recent.borrow();
        recent.front().filter(|(_, entry)| entry.header().index() <= keep_above).map(|(came, _)| *came)
    }

    pub fn evict_oldest(&self) {
        let oldest = self.0.recent.borrow_mut().pop_front();
        self.gone(oldest);
    }

    /// Forgets entries of segments that were deleted.
    pub fn forget_below(&self, first: Index) {
        self.0
            .share
            .0
            .read
            .borrow_mut()
            .retain(|(journal, index)| journal != self.0.journal || index >= first);
        let mut recent = self.0.recent.borrow_mut();
        while recent.front().is_some_and(|(_, entry)| entry.header().index() < first) {
            self.gone(recent.pop_front());
        }
    }

    fn gone(&self, entry: Option<(u64, EntryBytes)>) {
        let (_, entry) = entry.expect("the caller looked");
        self.0.share.take_recent(entry.capacity());
    }
}

impl Drop for OfJournal {
    fn drop(&mut self) {
        let bytes = self.recent.get_mut().iter().map(|(_, entry)| entry.capacity()).sum();
        self.share.take_recent(bytes);
        self.share.0.read.borrow_mut().retain(|(journal, _)| journal != self.journal);
    }
}
