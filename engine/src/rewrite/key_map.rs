//! Where the newest record of each key is, in bounded memory: for a pass of compaction. It holds a hash of partition and
//! key with 128 bits, never the key, so that a slot has 24 bytes whatever the keys are.
//!
//! Two keys with one hash would lose a record. With 1.2 million keys that happens once in 2^88 passes, and nobody can
//! look for such keys: the hash is keyed (SipHash-2-4), with a fresh secret for each pass.

use crate::ids::{Offset, PartitionId};
use core::hash::Hasher;
use siphasher::sip128::{Hasher128, SipHasher24};

/// What a map may take unless it is told otherwise: 1.2 million keys.
pub const KEY_MAP_BYTES: usize = 32 << 20;
/// Above this share of full slots a look-up takes many steps.
const FILL_EIGHTHS_MAX: usize = 7;

/// A key of a partition, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHash(u64, u64);

/// A key that is being hashed, piece by piece.
pub struct KeyHasher(SipHasher24);

impl KeyHasher {
    pub fn write(&mut self, piece: &[u8]) {
        self.0.write(piece);
    }

    pub fn finish(self) -> KeyHash {
        let (high, low) = self.0.finish128().as_u64();
        KeyHash(high, low)
    }
}

/// There was no slot left for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapFull;

#[derive(Clone, Copy)]
struct Slot {
    hash: KeyHash,
    /// One more than the offset; 0 is a free slot, which is how fresh memory comes.
    offset_1: u64,
}

pub const SLOT_BYTES: usize = 24;
const _: () = assert!(size_of::<Slot>() == SLOT_BYTES);

/// The newest offset of each key.
pub struct KeyMap {
    secret: (u64, u64),
    slots: Vec<Slot>,
    used: usize,
}

impl KeyMap {
    /// A map of at most `bytes_max`, and of no more than `keys` need, which is at most how many records there are.
    /// `secret` is random, and for this pass alone.
    pub fn new(secret: u128, bytes_max: usize, keys: u64) -> Self {
        let needed = usize::try_from(keys).unwrap_or(usize::MAX).saturating_mul(8) / FILL_EIGHTHS_MAX + 8;
        let count = needed.min(bytes_max / SLOT_BYTES).max(8);
        let free = Slot { hash: KeyHash(0, 0), offset_1: 0 };
        Self { secret: ((secret >> 64) as u64, secret as u64), slots: vec![free; count], used: 0 }
    }

    /// Begins to hash a key of this partition.
    pub fn hasher(&self, partition: PartitionId) -> KeyHasher {
        let mut hasher = SipHasher24::new_with_keys(self.secret.0, self.secret.1);
        hasher.write(&partition.0.to_le_bytes());
        KeyHasher(hasher)
    }

    pub fn hash(&self, partition: PartitionId, key: &[u8]) -> KeyHash {
        let mut hasher = self.hasher(partition);
        hasher.write(key);
        hasher.finish()
    }

    /// The slot that has this key, or the free one where it would be.
    fn place(&self, hash: KeyHash) -> usize {
        let count = self.slots.len();
        // The high half of the product: a number below `count` without a division.
        let mut at = ((u128::from(hash.0) * count as u128) >> 64) as usize;
        while self.slots[at].offset_1 != 0 && self.slots[at].hash != hash {
            at = if at + 1 == count { 0 } else { at + 1 };
        }
        at
    }

    /// Notes that the key has a record at `offset`.
    pub fn note(&mut self, hash: KeyHash, offset: Offset) -> Result<(), MapFull> {
        let offset_1 = u64::try_from(offset.0).expect("offsets are not negative") + 1;
        let at = self.place(hash);
        if self.slots[at].offset_1 == 0 {
            if self.is_full() {
                return Err(MapFull);
            }
            self.used += 1;
            assert!(self.used < self.slots.len(), "a look-up ends at a free slot");
        }
        self.slots[at] = Slot { hash, offset_1: self.slots[at].offset_1.max(offset_1) };
        Ok(())
    }

    /// The newest offset that was noted of the key.
    pub fn newest(&self, hash: KeyHash) -> Option<Offset> {
        let offset_1 = self.slots[self.place(hash)].offset_1;
        offset_1.checked_sub(1).map(|offset| Offset(offset as i64))
    }

    /// Whether a key that it does not have would find no slot.
    pub fn is_full(&self) -> bool {
        self.used >= self.slots.len() / 8 * FILL_EIGHTHS_MAX
    }

    pub fn keys(&self) -> usize {
        self.used
    }

    pub fn bytes(&self) -> usize {
        self.slots.len() * SLOT_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn thirty_two_mebibytes_are_more_than_a_million_keys() {
        let map = KeyMap::new(1, KEY_MAP_BYTES, u64::MAX);
        assert!(map.bytes() <= KEY_MAP_BYTES);
        assert!(map.slots.len() / 8 * FILL_EIGHTHS_MAX > 1_200_000);
        assert!(KeyMap::new(1, KEY_MAP_BYTES, 100).bytes() < 4_000, "no more than it needs");
    }

    #[test]
    fn a_full_map_takes_keys_that_it_has_and_no_others() {
        let mut map = KeyMap::new(7, 40 * SLOT_BYTES, u64::MAX);
        let hash = |map: &KeyMap, key: u32| map.hash(PartitionId(1), &key.to_be_bytes());
        let mut taken = 0;
        while map.note(hash(&map, taken), Offset(i64::from(taken))) == Ok(()) {
            taken += 1;
        }
        assert_eq!((taken, map.keys(), map.is_full()), (35, 35, true));
        assert_eq!(map.note(hash(&map, 3), Offset(90)), Ok(()));
        assert_eq!(map.newest(hash(&map, 3)), Some(Offset(90)));
        assert_eq!(map.newest(hash(&map, taken)), None);
    }

    #[test]
    fn partitions_and_passes_have_keys_of_their_own() {
        let (one, other) = (KeyMap::new(1, 1 << 10, 9), KeyMap::new(2, 1 << 10, 9));
        let hash = one.hash(PartitionId(1), b"key");
        assert_ne!(hash, one.hash(PartitionId(2), b"key"));
        assert_ne!(hash, other.hash(PartitionId(1), b"key"));
        let mut pieces = one.hasher(PartitionId(1));
        pieces.write(b"k");
        pieces.write(b"ey");
        assert_eq!(pieces.finish(), hash);
    }

    proptest! {
        #[test]
        fn it_says_what_an_ordinary_map_says(
            notes in proptest::collection::vec((0u64..3, 0u8..40, 0i64..1_000), 0..300),
        ) {
            let mut map = KeyMap::new(5, 1 << 16, notes.len() as u64);
            let mut model = BTreeMap::new();
            for (partition, key, offset) in &notes {
                let hash = map.hash(PartitionId(*partition), &[*key]);
                prop_assert_eq!(map.note(hash, Offset(*offset)), Ok(()));
                let newest = model.entry((*partition, *key)).or_insert(*offset);
                *newest = (*newest).max(*offset);
            }
            prop_assert_eq!(map.keys(), model.len());
            for (partition, key) in (0..3).flat_map(|partition| (0..40).map(move |key| (partition, key))) {
                let newest = map.newest(map.hash(PartitionId(partition), &[key]));
                prop_assert_eq!(newest, model.get(&(partition, key)).copied().map(Offset));
            }
        }
    }
}
