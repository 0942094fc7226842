//! The journal's part in lending entries to replicas that repair theirs.

use super::Journal;
use crate::entry::EntryBytes;
use crate::entry::layout::LARGE_ENTRY_BYTES_MAX;
use crate::ids::Index;
use crate::journal::effects::{Done, Effects};
use crate::journal::heal::done::HealDone;
use crate::journal::heal::lending::Asked;
use crate::journal::read::place::{Place, read_entry};
use crate::journal::read::want::ReadFault;
use crate::peer::PeerMessage;
use crate::port::{Damage, Output};

impl Journal {
    /// Another replica asks for an entry.
    pub fn asked_for(&mut self, asked: Asked, fx: &mut Effects) {
        self.note_asked(asked.by, asked.index);
        if !self.heal.lending.ask(asked) {
            return self.answer_asked(asked, None, fx);
        }
        self.lend_next(fx);
    }

    fn lend_next(&mut self, fx: &mut Effects) {
        while let Some(asked) = self.heal.lending.front() {
            let index = asked.index;
            let is_here = index <= self.log.appender.durable().index;
            let cached = if is_here { self.context.entries.get(index) } else { None };
            let place = if is_here && cached.is_none() { self.log.segments.place_of(index) } else { None };
            let Some(place) = place else {
                self.heal.lending.pass();
                self.answer_asked(asked, cached, fx);
                continue;
            };
            let bytes = bytes_max(&place);
            if !self.heal.lending.begin(bytes) {
                return;
            }
            let (context, identity, journal) = (self.context.clone(), self.meta.identity(), self.id);
            fx.start(async move {
                let result = Box::new(read_entry(context, identity, place, index).await);
                Done::of(journal, HealDone::Lent { asked, bytes, result })
            });
        }
    }

    /// An entry was read for another replica.
    pub fn lent(
        &mut self,
        asked: Asked,
        bytes: usize,
        result: Result<EntryBytes, ReadFault>,
        fx: &mut Effects,
    ) {
        self.heal.lending.ended(bytes);
        if let Err(fault) = &result {
            self.note_fault(fault, fx);
        }
        self.answer_asked(asked, result.ok(), fx);
        self.lend_next(fx);
    }

    fn answer_asked(&self, asked: Asked, entry: Option<EntryBytes>, fx: &mut Effects) {
        let is_meant =
            |entry: &EntryBytes| asked.checksum == 0 || entry.header().checksum.get() == asked.checksum;
        let (journal, index, commit) = (self.id, asked.index, self.known_commit());
        let (sure, entry) = (self.is_sure_of(index), entry.filter(is_meant));
        let message = PeerMessage::ReadDone { journal, index, commit, sure, entry };
        fx.out.push(Output::Peer { to: asked.by, lane: self.lane(), message });
    }

    /// An entry next to a lost one or to a break in the chain may be a stale one.
    fn is_sure_of(&self, index: Index) -> bool {
        let is_near = |damage: &Damage| damage.first.0 <= index.0 + 1 && index.0 <= damage.last.0 + 1;
        !self.heal.damage.iter().any(is_near)
    }
}

/// A sealed segment's index, which tells the length, is on disk itself.
fn bytes_max(place: &Place) -> usize {
    match place {
        Place::Here(located) => located.item.entry_bytes as usize,
        Place::Sealed(_) => LARGE_ENTRY_BYTES_MAX,
    }
}
