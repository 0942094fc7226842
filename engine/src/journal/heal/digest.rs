//! Digests: what a sealed segment comes to, so that replicas notice when theirs is another one.
//!
//! Whoever leads says it in a control entry once it has sealed the segment itself; every replica
//! compares as soon as it has sealed it too. The sum runs over the header checksums, in each of which
//! all before it are chained, and beside it stands the checkpoint's. Where headers differ, the chain
//! tells from the segment's end on which entries are another's, and these are repaired.

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

/// What was sealed here and what was told, as far as the other is still to come.
#[derive(Debug, Default)]
pub struct Digests {
    /// By segment; with the term in which it was last proposed.
    pub(in crate::journal) own: BTreeMap<Index, (Digest, Term)>,
    pub(in crate::journal) told: BTreeMap<Index, Digest>,
    pub compared: u64,
    pub differing: u64,
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
