//! Maps and sets whose iteration order is a function of their content's history alone, so that a
//! seed replays. Wherever the order reaches an output, use a `BTreeMap` or sort.

use core::hash::BuildHasherDefault;

/// A hash map with a fixed hasher.
pub type Map<K, V> = hashbrown::HashMap<K, V, BuildHasherDefault<rustc_hash::FxHasher>>;
/// A hash set with a fixed hasher.
pub type Set<K> = hashbrown::HashSet<K, BuildHasherDefault<rustc_hash::FxHasher>>;
