//! The committed offsets of one group.

use super::record::OffsetValue;
use crate::ids::Offset;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A committed offset and where its record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    pub value: OffsetValue,
    /// Of two commits the one further on in the log counts.
    pub at: Offset,
}

/// What is known of a partition.
#[derive(Debug)]
struct Known {
    committed: Committed,
    /// It is part of a rewrite that is on its way.
    is_copied: bool,
}

#[derive(Debug, Default)]
pub struct Offsets {
    topics: BTreeMap<Arc<str>, BTreeMap<i32, Known>>,
    /// Commits on their way, by partition.
    pending: BTreeMap<(Arc<str>, i32), u32>,
}

impl Offsets {
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.pending.is_empty()
    }

    pub fn get(&self, topic: &str, partition: i32) -> Option<&Committed> {
        self.topics.get(topic)?.get(&partition).map(|known| &known.committed)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, i32, &Committed)> {
        self.topics.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(move |(partition, known)| (topic, *partition, &known.committed))
        })
    }

    pub fn of_topic(&self, topic: &str) -> impl Iterator<Item = i32> {
        self.topics.get(topic).into_iter().flat_map(|partitions| partitions.keys().copied())
    }

    /// Takes in a record at this place of the log.
    pub fn put(&mut self, topic: &Arc<str>, partition: i32, committed: Committed) {
        let partitions = self.topics.entry(Arc::clone(topic)).or_default();
        let is_older = partitions.get(&partition).is_some_and(|known| known.committed.at > committed.at);
        if !is_older {
            partitions.insert(partition, Known { committed, is_copied: false });
        }
    }

    /// These are about to be written again.
    pub fn begin_copies(&mut self, is_copied: impl Fn(&Arc<str>, i32) -> bool) {
        for (topic, partitions) in &mut self.topics {
            partitions.iter_mut().for_each(|(number, known)| known.is_copied = is_copied(topic, *number));
        }
    }

    /// They were written again, from this offset of the log on, or were not.
    pub fn end_copies(&mut self, from: Option<Offset>) {
        for known in self.topics.values_mut().flat_map(BTreeMap::values_mut) {
            if core::mem::take(&mut known.is_copied)
                && let Some(from) = from
            {
                known.committed.at = known.committed.at.max(from);
            }
        }
    }

    /// Takes in a tombstone at this place of the log.
    pub fn remove(&mut self, topic: &str, partition: i32, at: Offset) {
        let Some(partitions) = self.topics.get_mut(topic) else { return };
        if partitions.get(&partition).is_some_and(|known| known.committed.at < at) {
            partitions.remove(&partition);
        }
        if partitions.is_empty() {
            self.topics.remove(topic);
        }
    }

    pub fn begin(&mut self, topic: &Arc<str>, partition: i32) {
        *self.pending.entry((Arc::clone(topic), partition)).or_default() += 1;
    }

    pub fn end(&mut self, topic: &Arc<str>, partition: i32) {
        let key = (Arc::clone(topic), partition);
        let pending = self.pending.get_mut(&key).expect("it was begun");
        *pending -= 1;
        if *pending == 0 {
            self.pending.remove(&key);
        }
    }

    /// A commit of this partition is on its way.
    pub fn is_unstable(&self, topic: &Arc<str>, partition: i32) -> bool {
        self.pending.contains_key(&(Arc::clone(topic), partition))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(offset: i64, at: i64) -> Committed {
        let value =
            OffsetValue { offset, leader_epoch: -1, metadata: "".into(), commit_ms: 0, expire_ms: None };
        Committed { value, at: Offset(at) }
    }

    #[test]
    fn the_place_in_the_log_decides() {
        let mut offsets = Offsets::default();
        let topic: Arc<str> = "t".into();
        offsets.put(&topic, 0, committed(5, 10));
        offsets.put(&topic, 0, committed(4, 9));
        assert_eq!(offsets.get("t", 0), Some(&committed(5, 10)));
        offsets.remove("t", 0, Offset(8));
        assert!(offsets.get("t", 0).is_some());
        offsets.remove("t", 0, Offset(11));
        assert!(offsets.is_empty());
        offsets.begin(&topic, 1);
        assert!(offsets.is_unstable(&topic, 1) && !offsets.is_empty());
        offsets.end(&topic, 1);
        assert!(offsets.is_empty());
    }
}
