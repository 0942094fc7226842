//! The journal's part in digests: it tells them while it leads, and compares what it is told.

use super::Journal;
use crate::entry::item::Item;
use crate::ids::Index;
use crate::journal::effects::Effects;
use crate::journal::heal::digest::{Compared, Digest, Digests};
use crate::port::{Event, Output};

impl Journal {
    pub fn digests(&self) -> &Digests {
        &self.heal.digests
    }

    /// A segment was sealed here.
    pub(super) fn note_sealed(&mut self, base: Index, digest: Digest, fx: &mut Effects) {
        if self.is_alone() {
            return;
        }
        let compared = self.heal.digests.sealed(base, digest);
        compared.into_iter().for_each(|compared| self.compared(compared, fx));
    }

    /// The leader says what its segments come to, unless a leader before it did.
    pub(super) fn propose_digests(&mut self) {
        if !self.is_settled() {
            return;
        }
        let due = self.heal.digests.to_tell(self.quorum.replica.term());
        if due.is_empty() {
            return;
        }
        let items = due.into_iter().map(|(segment_base, Digest { last, headers, checkpoint })| {
            Item::SegmentDigest { segment_base, last, headers, checkpoint }
        });
        self.queue_items(items.collect(), Vec::new());
    }

    /// Items of an entry that is committed.
    pub(super) fn digests_told(&mut self, items: &[Item], fx: &mut Effects) {
        for item in items {
            let Item::SegmentDigest { segment_base, last, headers, checkpoint } = *item else { continue };
            let sealed = self.log.segments.sealed.back().map(|sealed| sealed.base);
            let compared = self.heal.digests.told(segment_base, Digest { last, headers, checkpoint }, sealed);
            compared.into_iter().for_each(|compared| self.compared(compared, fx));
        }
    }

    fn compared(&mut self, compared: Compared, fx: &mut Effects) {
        let (journal, base, last) = (self.id, compared.base, compared.own.last);
        if compared.agrees() {
            return fx.out.push(Output::Event(Event::DigestAgrees { journal, base }));
        }
        let entries = compared.entries_differ();
        fx.out.push(Output::Event(Event::DigestDiffers { journal, base, last, entries }));
        if entries {
            self.check_chain_from(last);
        }
    }
}
