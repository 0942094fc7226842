//! Digests: what a sealed segment comes to, so that replicas notice when theirs is another one.
//!
//! Whoever leads says it in a control entry once it has sealed the segment itself; every replica
//! compares as soon as it has sealed it too. The sum runs over the header checksums, in each of which
//! all before it are chained, and beside it stands the checkpoint's. Where headers differ, the chain
//! tells from the segment's end on which entries are another's, and these are repaired.

use crate::entry::item::Item;
use crate::ids::{Index, Term};
use crate::journal::effects::Effects;
use crate::journal::running::Journal;
use crate::port::{Event, Output};
use std::collections::BTreeMap;

/// Segments that wait to be compared: a replica that seals slower than this is far behind.
const KEPT_MAX: usize = 64;

/// What a sealed segment comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    pub last: Index,
    pub headers: u64,
    pub checkpoint: u64,
}

/// FNV-1a with 64 bits over the header checksums of a segment's entries, little-endian.
pub fn headers_sum(checksums: impl Iterator<Item = u32>) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = checksums.flat_map(u32::to_le_bytes);
    bytes.fold(OFFSET, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(PRIME))
}

/// What was sealed here and what was told, as far as the other is still to come.
#[derive(Debug, Default)]
pub struct Digests {
    /// By segment; with the term in which it was last proposed.
    own: BTreeMap<Index, (Digest, Term)>,
    told: BTreeMap<Index, Digest>,
    pub compared: u64,
    pub differing: u64,
}

impl Journal {
    pub fn digests(&self) -> &Digests {
        &self.digests
    }

    /// A segment was sealed here.
    pub(in crate::journal) fn note_sealed(&mut self, base: Index, digest: Digest, fx: &mut Effects) {
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
    pub(in crate::journal) fn propose_digests(&mut self) {
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
    pub(in crate::journal) fn digests_told(&mut self, items: &[Item], fx: &mut Effects) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_fnv_1a_over_little_endian_bytes() {
        assert_eq!(headers_sum([].into_iter()), 0xcbf2_9ce4_8422_2325);
        // "foob" "ar\0\0" as numbers: the sum of those eight bytes.
        let words = [u32::from_le_bytes(*b"foob"), u32::from_le_bytes(*b"ar\0\0")];
        let expected = b"foobar\0\0".iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        assert_eq!(headers_sum(words.into_iter()), expected);
        assert_ne!(headers_sum([1, 2].into_iter()), headers_sum([2, 1].into_iter()), "order counts");
    }
}
