//! The journal's part in digests: it tells them while it leads, and compares what it is told.

use super::Journal;
use crate::entry::item::Item;
use crate::ids::{Index, Term};
use crate::journal::effects::Effects;
use crate::journal::heal::digest::{Digest, Digests};
use crate::port::{Event, Output};

/// Segments that wait to be compared: a replica that seals slower than this is far behind.
const KEPT_MAX: usize = 64;

impl Journal {
    pub fn digests(&self) -> &Digests {
        &self.digests
    }

    /// A segment was sealed here.
    pub(super) fn note_sealed(&mut self, base: Index, digest: Digest, fx: &mut Effects) {
        if self.is_alone() {
            return;
        }
        if let Some(told) = self.digests.told.remove(&base) {
            return self.compare(base, digest, told, fx);
        }
        self.digests.own.insert(base, (digest, Term(0)));
        while self.digests.own.len() > KEPT_MAX {
            self.digests.own.pop_first();
        }
    }

    /// The leader says what its segments come to, unless a leader before it did.
    pub(super) fn propose_digests(&mut self) {
        if self.digests.own.is_empty() || !self.is_settled() {
            return;
        }
        let term = self.replica.term();
        let due = self.digests.own.iter_mut().filter(|(_, (_, proposed))| *proposed != term);
        let items: Vec<Item> = due
            .map(|(base, (digest, proposed))| {
                *proposed = term;
                let Digest { last, headers, checkpoint } = *digest;
                Item::SegmentDigest { segment_base: *base, last, headers, checkpoint }
            })
            .collect();
        self.queue_items(items, Vec::new());
    }

    /// Items of an entry that is committed.
    pub(super) fn digests_told(&mut self, items: &[Item], fx: &mut Effects) {
        for item in items {
            let Item::SegmentDigest { segment_base, last, headers, checkpoint } = *item else { continue };
            let told = Digest { last, headers, checkpoint };
            match self.digests.own.remove(&segment_base) {
                Some((own, _)) => self.compare(segment_base, own, told, fx),
                None if self.segments.sealed.back().is_none_or(|sealed| sealed.base < segment_base) => {
                    self.digests.told.insert(segment_base, told);
                    while self.digests.told.len() > KEPT_MAX {
                        self.digests.told.pop_first();
                    }
                }
                // Sealed by an earlier process, which compared it or will never.
                None => {}
            }
        }
    }

    fn compare(&mut self, base: Index, own: Digest, told: Digest, fx: &mut Effects) {
        self.digests.compared += 1;
        let journal = self.id;
        if own == told {
            return fx.out.push(Output::Event(Event::DigestAgrees { journal, base }));
        }
        self.digests.differing += 1;
        let entries = (own.last, own.headers) != (told.last, told.headers);
        fx.out.push(Output::Event(Event::DigestDiffers { journal, base, last: own.last, entries }));
        if entries {
            self.check_chain_from(own.last);
        }
    }
}
