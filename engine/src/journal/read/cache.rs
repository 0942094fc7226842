//! Entries in memory: the newest ones of each journal, as the very buffers that were written, and
//! those that reads brought in; bounded in bytes of capacity, for all journals of a shard
//! together, so that each has what its use earns it.
//!
//! What goes first: of what was read, the least recently used, as long as that takes more than
//! half; then the oldest of the newest entries, of whichever journal. So a reader of old records
//! never drives out more than half of what was just written, and readers that follow each other
//! find what the first one read even while the newest entries would fill everything.
//!
//! How much it keeps follows its use. Memory that is touched for the first time is dear (in a virtual machine 3
//! core-seconds for a GB), and a buffer that comes back is warm: a cache that nobody reads stays at [`KEPT_MIN`],
//! however much memory there is. It grows for a reader who would have found what it wanted, had more been kept, and
//! gives back what nobody wanted for two [`WINDOW`]s.
//!
//! Invariants:
//! - `bytes()` stays at or below `kept`, but for entries that are not durable or not folded; `kept` never passes
//!   `bytes_max`.
//! - What was read back has each entry once in `entries` and once in `used`.

use crate::clock::Now;
use crate::collections::Map;
use crate::entry::EntryBytes;
use crate::ids::{Index, JournalId};
use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// What is kept before anybody reads, and at least: enough for followers and consumers that keep up.
pub const KEPT_MIN: usize = 64 << 20;
/// How long what is kept stays as large as it was wanted.
pub const WINDOW: Duration = Duration::from_secs(30);
/// Entries that were read, went, and are remembered by their number: so many at most.
const GONE_MAX: usize = 16 << 10;

/// What the journals of a shard share: the bound, one order of use, and what was read back.
#[derive(Clone, Debug)]
pub struct CacheShare(Rc<Share>);

#[derive(Debug)]
struct Share {
    /// Never more than this, whatever is wanted.
    bytes_max: usize,
    /// The bound of now.
    kept: Cell<usize>,
    /// What would have had all that was wanted in this window, and in the one before it.
    wanted: Cell<(usize, usize)>,
    window_began_ns: Cell<u64>,
    /// Of the newest entries of all journals.
    recent_bytes: Cell<usize>,
    uses: Cell<u64>,
    read: RefCell<ReadBack>,
}

/// An entry by its journal and number.
type Key = (JournalId, Index);

/// Entries read back, with the number of their last use.
#[derive(Debug, Default)]
struct ReadBack {
    entries: Map<Key, Used>,
    used: BTreeMap<u64, Key>,
    bytes: usize,
    /// Bytes that were read back so far: how far an entry's last use is away is counted in them.
    clock_bytes: u64,
    /// Entries that went, with the clock at their last use; the oldest goes first.
    gone: Map<Key, u64>,
    gone_order: VecDeque<Key>,
}

#[derive(Debug)]
struct Used {
    number: u64,
    clock_bytes: u64,
    entry: EntryBytes,
}

impl CacheShare {
    pub fn new(bytes_max: usize) -> Self {
        let (recent_bytes, uses) = (Cell::new(0), Cell::new(0));
        let (kept, wanted) = (Cell::new(bytes_max.min(KEPT_MIN)), Cell::new((0, 0)));
        let (window_began_ns, read) = (Cell::new(0), RefCell::default());
        Self(Rc::new(Share { bytes_max, kept, wanted, window_began_ns, recent_bytes, uses, read }))
    }

    /// What it may take now.
    pub fn kept(&self) -> usize {
        self.0.kept.get()
    }

    /// Gives back what nobody wanted for long; called now and then.
    pub fn settle(&self, now: Now) {
        let began_ns = self.0.window_began_ns.get();
        if u128::from(now.mono_ns.saturating_sub(began_ns)) < WINDOW.as_nanos() {
            return;
        }
        self.0.window_began_ns.set(now.mono_ns);
        let (this, before) = self.0.wanted.replace((0, self.0.wanted.get().0));
        self.0.kept.set(self.bound_of(this.max(before)));
        self.trim_read();
    }

    /// A little more than what was wanted, within the bounds.
    fn bound_of(&self, wanted: usize) -> usize {
        let bytes_max = self.0.bytes_max;
        wanted.saturating_add(wanted / 4).clamp(bytes_max.min(KEPT_MIN), bytes_max)
    }

    /// A reader wanted what lies so deep among entries of its kind; `others` are the bytes of the other kind, which
    /// take as much at most.
    fn wants(&self, depth: usize, others: usize) {
        let wanted = depth.saturating_add(others.min(depth));
        // What no bound would have had is no reason to keep more.
        if wanted > self.0.bytes_max {
            return;
        }
        let (this, before) = self.0.wanted.get();
        self.0.wanted.set((this.max(wanted), before));
        self.0.kept.set(self.0.kept.get().max(self.bound_of(wanted)));
    }

    pub fn bytes(&self) -> usize {
        self.0.recent_bytes.get() + self.0.read.borrow().bytes
    }

    /// More is here than may be: the oldest of the newest entries must go.
    pub fn is_over(&self) -> bool {
        self.bytes() > self.kept()
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
        let left = self.kept().saturating_sub(self.0.recent_bytes.get());
        let read_max = left.max(self.kept() / 2);
        while read.bytes > read_max {
            read.evict_oldest();
        }
        debug_assert_eq!(read.entries.len(), read.used.len(), "each entry has its use");
    }
}

impl ReadBack {
    fn put(&mut self, key: Key, entry: EntryBytes, number: u64) {
        self.bytes += entry.capacity();
        self.clock_bytes += entry.capacity() as u64;
        self.used.insert(number, key);
        let used = Used { number, clock_bytes: self.clock_bytes, entry };
        if let Some(before) = self.entries.insert(key, used) {
            self.bytes -= before.entry.capacity();
            self.used.remove(&before.number);
        }
    }

    /// The entry, and how many bytes were read back since its last use; without the entry where it went.
    fn get(&mut self, key: Key, number: u64) -> Option<(Option<EntryBytes>, u64)> {
        let now = self.clock_bytes;
        if let Some(used) = self.entries.get_mut(&key) {
            self.used.remove(&used.number);
            self.used.insert(number, key);
            let depth = now - core::mem::replace(&mut used.clock_bytes, now);
            used.number = number;
            return Some((Some(used.entry.clone()), depth));
        }
        self.gone.remove(&key).map(|then| (None, now - then))
    }

    fn evict_oldest(&mut self) {
        let (_, key) = self.used.pop_first().expect("each entry has its use");
        let used = self.entries.remove(&key).expect("each use has its entry");
        self.bytes -= used.entry.capacity();
        if self.gone.insert(key, used.clock_bytes).is_none() {
            self.gone_order.push_back(key);
        }
        while self.gone_order.len() > GONE_MAX {
            let oldest = self.gone_order.pop_front().expect("there are some");
            self.gone.remove(&oldest);
        }
    }

    fn retain(&mut self, stays: impl Fn(Key) -> bool) {
        let Self { entries, used, bytes, .. } = self;
        entries.retain(|key, of| {
            let stays = stays(*key);
            if !stays {
                *bytes -= of.entry.capacity();
                used.remove(&of.number);
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

    /// The entry, if it is in memory. That it was wanted counts, also where it is not.
    pub fn get(&self, index: Index) -> Option<EntryBytes> {
        let recent = self.0.recent.borrow();
        let share = &self.0.share;
        let (recent_bytes, read_bytes) = (share.0.recent_bytes.get(), share.0.read.borrow().bytes);
        if let (Some((_, first)), Some((_, last))) = (recent.front(), recent.back()) {
            let (first, last) = (first.header().index(), last.header().index());
            // How many entries from the newest one back, in bytes of all journals: they are taken to grow alike.
            let back = (last.0 + 1).saturating_sub(index.0) as usize;
            let depth = (recent_bytes / recent.len()).saturating_mul(back);
            if index >= first {
                share.wants(depth.min(recent_bytes), read_bytes);
                return recent.get((index.0 - first.0) as usize).map(|(_, entry)| entry.clone());
            }
            share.wants(depth, read_bytes);
        }
        let number = share.next_use();
        let (entry, depth) = share.0.read.borrow_mut().get((self.0.journal, index), number)?;
        share.wants(usize::try_from(depth).unwrap_or(usize::MAX), recent_bytes);
        entry
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::samples::entry;

    const MIB: usize = 1 << 20;
    const LONG: usize = 900 << 10;
    const EACH: usize = MIB;

    fn of(share: &CacheShare) -> EntryCache {
        EntryCache::new(JournalId(1), share)
    }

    /// Appends entries of 1 MiB, and lets go what is over the bound, as a shard does.
    fn append(share: &CacheShare, cache: &EntryCache, indexes: core::ops::RangeInclusive<u64>) {
        // One allocation for all: what counts here is the bookkeeping.
        for index in indexes {
            cache.push(entry(index, 1, 0, LONG));
            while share.is_over() {
                cache.evict_oldest();
            }
        }
    }

    fn at(seconds: u64) -> Now {
        Now { mono_ns: seconds * 1_000_000_000, wall_ms: 0 }
    }

    #[test]
    fn a_cache_that_nobody_reads_stays_small() {
        let share = CacheShare::new(1 << 30);
        let cache = of(&share);
        append(&share, &cache, 1..=150);
        assert_eq!(share.kept(), KEPT_MIN);
        assert!(share.bytes() <= KEPT_MIN && share.bytes() > KEPT_MIN - 2 * EACH);
        // Who reads what was just written has it, and needs no more.
        assert!((120..=150).all(|index| cache.get(Index(index)).is_some()));
        assert_eq!(share.kept(), KEPT_MIN);
    }

    #[test]
    fn it_grows_for_a_reader_who_would_have_hit_it() {
        let share = CacheShare::new(1 << 30);
        let cache = of(&share);
        append(&share, &cache, 1..=150);
        assert!(cache.get(Index(51)).is_none());
        let kept = share.kept();
        assert!(kept > 100 * EACH && kept < 150 * EACH, "{kept}");
        append(&share, &cache, 151..=280);
        assert!(cache.get(Index(181)).is_some(), "a hundred back again, and it is there");
    }

    #[test]
    fn a_reader_beyond_all_bounds_is_no_reason_to_grow() {
        let share = CacheShare::new(128 * MIB);
        let cache = of(&share);
        append(&share, &cache, 1..=200);
        assert!(cache.get(Index(1)).is_none());
        assert_eq!(share.kept(), KEPT_MIN);
    }

    #[test]
    fn what_nobody_wants_any_more_is_given_back_after_two_windows() {
        let share = CacheShare::new(1 << 30);
        let cache = of(&share);
        share.settle(at(40));
        append(&share, &cache, 1..=150);
        cache.get(Index(51));
        let grown = share.kept();
        share.settle(at(60));
        assert_eq!(share.kept(), grown, "the window is not over");
        share.settle(at(71));
        assert_eq!(share.kept(), grown, "it was wanted in the one before");
        share.settle(at(102));
        assert_eq!(share.kept(), grown, "that one may have ended just before");
        share.settle(at(133));
        assert_eq!(share.kept(), KEPT_MIN);
        assert!(share.is_over() || share.bytes() <= KEPT_MIN);
    }

    #[test]
    fn what_was_read_grows_for_those_who_read_it_again() {
        let share = CacheShare::new(1 << 30);
        let cache = of(&share);
        let read = |index: u64| match cache.get(Index(index)) {
            Some(_) => true,
            None => {
                cache.insert_read(entry(index, 1, 0, LONG));
                false
            }
        };
        assert!(!(1..=100).any(read), "the first one reads all from the disk");
        assert_eq!(share.kept(), KEPT_MIN);
        // It is as if a second one began when the first had ended.
        assert!(!read(1), "that went for the others");
        assert!(share.kept() > 100 * EACH);
        assert!(!(2..=30).any(read), "nor is what went there yet");
        (31..=40).for_each(|index| _ = read(index));
        assert!((1..=100).all(read), "but the third one finds it");
    }

    #[test]
    fn the_bound_holds_for_both_kinds_together() {
        let share = CacheShare::new(8 * MIB);
        let cache = of(&share);
        (1..=20).for_each(|index| cache.insert_read(entry(index, 1, 0, LONG)));
        assert!(share.bytes() <= 8 * MIB);
        append(&share, &cache, 100..=120);
        assert!(share.bytes() <= 8 * MIB);
        assert!(cache.get(Index(20)).is_some(), "half is for what was read last");
        assert!(cache.get(Index(120)).is_some());
    }
}
