//! Digests: what a sealed segment comes to, so that replicas notice when theirs is another one.
//!
//! Whoever leads says it in a control entry once it has sealed the segment itself; every replica
//! compares as soon as it has sealed it too. The sum runs over the header checksums, in each of which
//! all before it are chained, and beside it stands the checkpoint's. Where headers differ, the chain
//! tells from the segment's end on which entries are another's, and these are repaired.
//!
//! Invariants:
//! - A segment waits on one side at most: what is there of both is compared and forgotten.
//! - Each side keeps so many segments at most, the newest; what goes is never compared.
//! - In one term a segment is told once.

use crate::ids::{Index, Term};
use std::collections::BTreeMap;

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

/// Segments that wait to be compared: a replica that seals slower than this is far behind.
const KEPT_MAX: usize = 64;

/// What was sealed here and what was told, as far as the other is still to come.
#[derive(Debug, Default)]
pub struct Digests {
    /// By segment; with the term in which it was last proposed.
    own: BTreeMap<Index, (Digest, Term)>,
    told: BTreeMap<Index, Digest>,
    pub compared: u64,
    pub differing: u64,
}

/// Both sides of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    pub base: Index,
    pub own: Digest,
    pub told: Digest,
}

impl Compared {
    pub fn agrees(&self) -> bool {
        self.own == self.told
    }

    /// Whether it is the entries that differ, and not only the checkpoint behind them.
    pub fn entries_differ(&self) -> bool {
        (self.own.last, self.own.headers) != (self.told.last, self.told.headers)
    }
}

impl Digests {
    /// A segment was sealed here.
    pub fn sealed(&mut self, base: Index, own: Digest) -> Option<Compared> {
        if let Some(told) = self.told.remove(&base) {
            return Some(self.compare(base, own, told));
        }
        self.own.insert(base, (own, Term(0)));
        keep_newest(&mut self.own);
        self.check();
        None
    }

    /// A leader said what a segment comes to; here all up to `sealed` are sealed.
    pub fn told(&mut self, base: Index, told: Digest, sealed: Option<Index>) -> Option<Compared> {
        match self.own.remove(&base) {
            Some((own, _)) => return Some(self.compare(base, own, told)),
            None if sealed.is_none_or(|sealed| sealed < base) => {
                self.told.insert(base, told);
                keep_newest(&mut self.told);
            }
            // Sealed by an earlier process, which compared it or will never.
            None => {}
        }
        self.check();
        None
    }

    /// What the leader of this term has not told yet.
    pub fn to_tell(&mut self, term: Term) -> Vec<(Index, Digest)> {
        let due = self.own.iter_mut().filter(|(_, (_, told_in))| *told_in != term);
        due.map(|(base, (digest, told_in))| {
            *told_in = term;
            (*base, *digest)
        })
        .collect()
    }

    fn compare(&mut self, base: Index, own: Digest, told: Digest) -> Compared {
        let compared = Compared { base, own, told };
        self.compared += 1;
        self.differing += u64::from(!compared.agrees());
        compared
    }

    fn check(&self) {
        assert!(self.own.len() <= KEPT_MAX && self.told.len() <= KEPT_MAX);
        debug_assert!(self.own.keys().all(|base| !self.told.contains_key(base)), "both sides wait");
    }
}

fn keep_newest<V>(kept: &mut BTreeMap<Index, V>) {
    while kept.len() > KEPT_MAX {
        kept.pop_first();
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

    fn digest(last: u64, headers: u64) -> Digest {
        Digest { last: Index(last), headers, checkpoint: 7 }
    }

    #[test]
    fn both_sides_are_compared_once_whichever_comes_first() {
        let mut digests = Digests::default();
        assert_eq!(digests.sealed(Index(1), digest(9, 5)), None);
        let compared = digests.told(Index(1), digest(9, 5), Some(Index(1))).expect("both are there");
        assert!(compared.agrees() && !compared.entries_differ());
        assert_eq!(digests.told(Index(10), digest(19, 5), Some(Index(1))), None);
        let compared = digests.sealed(Index(10), digest(19, 6)).expect("both are there");
        assert!(!compared.agrees() && compared.entries_differ());
        assert_eq!((digests.compared, digests.differing), (2, 1));
        assert_eq!(digests.to_tell(Term(3)), [], "what was compared is forgotten");
    }

    #[test]
    fn another_checkpoint_behind_the_same_entries_is_no_reason_to_repair_them() {
        let mut digests = Digests::default();
        digests.sealed(Index(1), digest(9, 5));
        let told = Digest { checkpoint: 8, ..digest(9, 5) };
        let compared = digests.told(Index(1), told, None).expect("both are there");
        assert!(!compared.agrees() && !compared.entries_differ());
    }

    #[test]
    fn what_an_earlier_process_sealed_does_not_wait() {
        let mut digests = Digests::default();
        assert_eq!(digests.told(Index(1), digest(9, 5), Some(Index(10))), None);
        assert_eq!(digests.sealed(Index(1), digest(9, 5)), None, "nothing was kept of it");
    }

    #[test]
    fn each_is_told_once_in_a_term_and_again_in_the_next() {
        let mut digests = Digests::default();
        digests.sealed(Index(1), digest(9, 5));
        assert_eq!(digests.to_tell(Term(3)), [(Index(1), digest(9, 5))]);
        assert_eq!(digests.to_tell(Term(3)), []);
        assert_eq!(digests.to_tell(Term(4)), [(Index(1), digest(9, 5))]);
    }

    #[test]
    fn the_newest_are_kept() {
        let mut digests = Digests::default();
        for base in 1..=KEPT_MAX as u64 + 10 {
            digests.sealed(Index(base), digest(base, 0));
            digests.told(Index(1000 + base), digest(base, 0), None);
        }
        let told: Vec<u64> = digests.to_tell(Term(1)).iter().map(|(base, _)| base.0).collect();
        assert_eq!(told, (11..=KEPT_MAX as u64 + 10).collect::<Vec<_>>());
        assert_eq!(digests.told.len(), KEPT_MAX);
    }
}
