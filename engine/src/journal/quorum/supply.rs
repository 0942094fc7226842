//! Entries for followers that are behind what raft has at hand: from the cache, or read back from
//! the disk and checked; given to raft, a few ahead of the one it asks for.

use crate::clock::Now;
use crate::entry::EntryBytes;
use crate::ids::Index;
use crate::journal::effects::{Done, Effects, JournalDone};
use crate::journal::read::cold::ReadFault;
use crate::journal::read::place::read_entry;
use crate::journal::running::Journal;
use crate::raft::{EntryMeta, Wanted};
use std::collections::{BTreeMap, VecDeque};

/// Entries read at once: four keep a disk busy. Beside a foreground one, which feels every burst.
const AHEAD_ENTRIES: u64 = 4;
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

    /// Entries are on their way from the disk.
    pub fn is_reading(&self) -> bool {
        !self.reading.is_empty()
    }

    /// Adds an entry that is not there; gives those that had to go for it.
    fn add(&mut self, entry: EntryBytes) -> Vec<Index> {
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

impl Journal {
    /// Begins to read what raft waits for.
    pub(in crate::journal) fn supply(&mut self, now: Now, fx: &mut Effects) {
        let mut all = core::mem::take(&mut self.supply.paced);
        all.append(&mut self.replica.take_wanted());
        for wanted in all {
            let first = wanted.index;
            if self.supply.get(first).is_none() && !self.context.pace.may_read(now) {
                // Where another follower wants the same, raft asks again with the next heartbeat.
                if self.supply.paced.iter().all(|waiting| waiting.index != first) {
                    self.supply.paced.push(wanted);
                }
                continue;
            }
            let ahead = if self.context.pace.is_alone(now) { AHEAD_ENTRIES } else { 1 };
            for index in (first.0..first.0 + ahead).map(Index) {
                self.begin_read(index, fx);
            }
            if self.supply.get(first).is_some() {
                self.replica.go_on(wanted);
            } else if let Some(waiting) = self.supply.reading.get_mut(&first) {
                waiting.push(wanted);
            }
        }
    }

    fn begin_read(&mut self, index: Index, fx: &mut Effects) {
        let hot = self.cache.recent_first(self.cursor.next);
        let known = self.supply.get(index).is_some() || self.supply.reading.contains_key(&index);
        // What is not durable is in memory; what is in memory need not be read.
        if known || self.replica.can_send_at_once(index, hot) || index > self.appender.durable().index {
            return;
        }
        // Where entries are small the cache goes further back than raft's own window.
        if let Some(entry) = self.cache.get(index) {
            return self.take_supply(entry);
        }
        let Some(place) = self.segments.place_of(index) else { return };
        self.supply.reading.insert(index, Vec::new());
        let (context, identity, journal) = (self.context.clone(), self.meta.identity(), self.id);
        fx.start(async move {
            let result = read_entry(context, identity, place, index).await;
            Done::of(journal, JournalDone::Supplied { index, result: Box::new(result) })
        });
    }

    /// Raft may send this entry from now on, until it has to go for others.
    fn take_supply(&mut self, entry: EntryBytes) {
        self.replica.fetched(&EntryMeta::of(entry.header()));
        for gone in self.supply.add(entry) {
            self.replica.forget_fetched(gone);
        }
    }

    /// An entry was read for followers.
    pub fn supplied(
        &mut self,
        index: Index,
        result: Result<EntryBytes, ReadFault>,
        now: Now,
        fx: &mut Effects,
    ) {
        let waiting = self.supply.reading.remove(&index).unwrap_or_default();
        match result {
            Ok(entry) if self.replica.is_leader() => {
                self.context.pace.took(entry.len());
                self.take_supply(entry);
                waiting.into_iter().for_each(|wanted| self.replica.go_on(wanted));
                self.pump(now, fx);
            }
            Ok(_) => {}
            Err(fault) => self.note_fault(&fault, fx),
        }
    }
}
