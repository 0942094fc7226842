//! Where each value stands, as all clients together know.

use super::anomaly::Anomaly;
use super::history::{Key, Operation, Outcome, Value};
use std::collections::{BTreeMap, BTreeSet};

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Versions {
    by_offset: BTreeMap<Key, BTreeMap<i64, BTreeSet<Value>>>,
    by_value: BTreeMap<(Key, Value), BTreeSet<i64>>,
    read: BTreeSet<(Key, Value)>,
    /// Up to which offset each key was read.
    read_to: BTreeMap<Key, i64>,
}

impl Versions {
    pub fn of(history: &[Operation]) -> Self {
        let mut versions = Self::default();
        for operation in history {
            for (key, value, offset) in operation.sends() {
                if let (Some(offset), true) = (offset, operation.outcome == Outcome::Ok) {
                    versions.stands(key, value, offset);
                }
            }
            for (key, offset, value) in operation.reads() {
                versions.stands(key, value, offset);
                versions.read.insert((key, value));
                let to = versions.read_to.entry(key).or_insert(offset);
                *to = offset.max(*to);
            }
        }
        versions
    }

    fn stands(&mut self, key: Key, value: Value, offset: i64) {
        self.by_offset.entry(key).or_default().entry(offset).or_default().insert(value);
        self.by_value.entry((key, value)).or_default().insert(offset);
    }

    pub fn was_read(&self, key: Key, value: Value) -> bool {
        self.read.contains(&(key, value))
    }

    /// Values that were read between two offsets, which are not counted.
    pub fn read_between(&self, key: Key, from: i64, to: i64) -> Vec<Value> {
        let Some(offsets) = self.by_offset.get(&key).filter(|_| from + 1 < to) else { return Vec::new() };
        let between = offsets.range(from + 1..to).flat_map(|(_, values)| values);
        between.copied().filter(|value| self.was_read(key, *value)).collect()
    }

    /// Offsets and values belong to each other.
    pub fn check(&self) -> Vec<Anomaly> {
        let mut found = Vec::new();
        for (key, offsets) in &self.by_offset {
            for (offset, values) in offsets.iter().filter(|(_, values)| values.len() > 1) {
                let values = values.iter().copied().collect();
                found.push(Anomaly::InconsistentOffsets { key: *key, offset: *offset, values });
            }
        }
        for ((key, value), offsets) in self.by_value.iter().filter(|(_, offsets)| offsets.len() > 1) {
            let offsets = offsets.iter().copied().collect();
            found.push(Anomaly::Duplicate { key: *key, value: *value, offsets });
        }
        found
    }

    /// A value that was acked and that nobody read: lost where what is behind it was read. In the end all is read.
    pub fn missing(&self, key: Key, value: Value) -> Option<Anomaly> {
        if self.was_read(key, value) {
            return None;
        }
        let at = self.by_value.get(&(key, value)).and_then(|offsets| offsets.first());
        let is_passed = at.is_some_and(|at| self.read_to.get(&key).is_some_and(|to| at < to));
        Some(if is_passed { Anomaly::LostWrite { key, value } } else { Anomaly::Unseen { key, value } })
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::Step;
    use super::*;

    #[test]
    fn what_lies_between_two_offsets_counts_where_somebody_read_it() {
        let read = [(1, vec![(0, 10), (2, 12), (4, 14)])].into();
        let poll = Operation { process: 0, outcome: Outcome::Ok, steps: vec![Step::Poll { read }] };
        let versions = Versions::of(&[poll]);
        assert_eq!(versions.read_between(1, 0, 4), [12]);
        assert!(versions.read_between(1, 0, 2).is_empty() && versions.read_between(9, 0, 9).is_empty());
        assert!(versions.check().is_empty());
    }
}
