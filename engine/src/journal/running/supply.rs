//! How the journal supplies followers with entries that raft does not have at hand.

use super::Journal;
use crate::clock::Now;
use crate::entry::EntryBytes;
use crate::ids::Index;
use crate::journal::effects::{Done, Effects, JournalDone};
use crate::journal::read::place::read_entry;
use crate::journal::read::want::ReadFault;
use crate::raft::EntryMeta;

/// Entries read at once: four keep a disk busy. Beside a foreground one, which feels every burst.
const AHEAD_ENTRIES: u64 = 4;

impl Journal {
    /// Begins to read what raft waits for.
    pub(super) fn supply(&mut self, now: Now, fx: &mut Effects) {
        let mut all = self.quorum.supply.take_held();
        all.append(&mut self.quorum.replica.take_wanted());
        for wanted in all {
            let first = wanted.index;
            if self.quorum.supply.get(first).is_none() && !self.context.pace.may_read(now) {
                self.quorum.supply.hold(wanted);
                continue;
            }
            let ahead = if self.context.pace.is_alone(now) { AHEAD_ENTRIES } else { 1 };
            for index in (first.0..first.0 + ahead).map(Index) {
                self.begin_read(index, fx);
            }
            if self.quorum.supply.get(first).is_some() {
                self.quorum.replica.go_on(wanted);
            } else {
                self.quorum.supply.wait(wanted);
            }
        }
    }

    fn begin_read(&mut self, index: Index, fx: &mut Effects) {
        let hot = self.context.entries.recent_first(self.log.cursor.next);
        // What is not durable is in memory; what is in memory need not be read.
        if self.quorum.supply.is_known(index)
            || self.quorum.replica.can_send_at_once(index, hot)
            || index > self.log.appender.durable().index
        {
            return;
        }
        // Where entries are small the cache goes further back than raft's own window.
        if let Some(entry) = self.context.entries.get(index) {
            return self.take_supply(entry);
        }
        let Some(place) = self.log.segments.place_of(index) else { return };
        self.quorum.supply.begin(index);
        let (context, identity, journal) = (self.context.clone(), self.meta.identity(), self.id);
        fx.start(async move {
            let result = read_entry(context, identity, place, index).await;
            Done::of(journal, JournalDone::Supplied { index, result: Box::new(result) })
        });
    }

    /// Raft may send this entry from now on, until it has to go for others.
    fn take_supply(&mut self, entry: EntryBytes) {
        self.quorum.replica.fetched(&EntryMeta::of(entry.header()));
        for gone in self.quorum.supply.add(entry) {
            self.quorum.replica.forget_fetched(gone);
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
        let waiting = self.quorum.supply.ended(index);
        match result {
            Ok(entry) if self.quorum.replica.is_leader() => {
                self.context.pace.took(entry.len());
                self.take_supply(entry);
                waiting.into_iter().for_each(|wanted| self.quorum.replica.go_on(wanted));
                self.pump(now, fx);
            }
            Ok(_) => {}
            Err(fault) => self.note_fault(&fault, fx),
        }
    }
}
