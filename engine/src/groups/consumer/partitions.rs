//! A set of partitions, by topic id.

use crate::ids::TopicId;
use std::collections::{BTreeMap, BTreeSet};

/// Invariant: no topic without partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partitions(BTreeMap<TopicId, BTreeSet<i32>>);

impl Partitions {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    pub fn contains(&self, (topic, number): (TopicId, i32)) -> bool {
        self.0.get(&topic).is_some_and(|numbers| numbers.contains(&number))
    }

    pub fn insert(&mut self, (topic, number): (TopicId, i32)) {
        self.0.entry(topic).or_default().insert(number);
    }

    pub fn remove(&mut self, (topic, number): (TopicId, i32)) {
        let Some(numbers) = self.0.get_mut(&topic) else { return };
        numbers.remove(&number);
        if numbers.is_empty() {
            self.0.remove(&topic);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (TopicId, i32)> + '_ {
        self.0.iter().flat_map(|(topic, numbers)| numbers.iter().map(move |number| (*topic, *number)))
    }

    /// Topic by topic.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = (TopicId, &BTreeSet<i32>)> {
        self.0.iter().map(|(topic, numbers)| (*topic, numbers))
    }

    pub fn is_within(&self, other: &Self) -> bool {
        self.iter().all(|one| other.contains(one))
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.iter().any(|one| other.contains(one))
    }

    /// Those for which this holds, and those for which it does not.
    pub fn split(&self, holds: impl Fn((TopicId, i32)) -> bool) -> (Self, Self) {
        let (mut yes, mut no) = (Self::default(), Self::default());
        for one in self.iter() {
            if holds(one) { yes.insert(one) } else { no.insert(one) }
        }
        (yes, no)
    }
}

impl FromIterator<(TopicId, i32)> for Partitions {
    fn from_iter<I: IntoIterator<Item = (TopicId, i32)>>(all: I) -> Self {
        let mut partitions = Self::default();
        all.into_iter().for_each(|one| partitions.insert(one));
        partitions
    }
}

impl Extend<(TopicId, i32)> for Partitions {
    fn extend<I: IntoIterator<Item = (TopicId, i32)>>(&mut self, all: I) {
        all.into_iter().for_each(|one| self.insert(one));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_without_partitions_is_not_there() {
        let mut some: Partitions = [(TopicId(1), 0), (TopicId(1), 2), (TopicId(2), 0)].into_iter().collect();
        assert_eq!((some.len(), some.topics().len()), (3, 2));
        some.remove((TopicId(2), 0));
        some.remove((TopicId(2), 0));
        assert_eq!(some.topics().len(), 1);
        let (even, odd) = some.split(|(_, number)| number == 0);
        assert!(even.is_within(&some) && odd.is_within(&some) && !some.is_within(&odd));
        assert!(!even.overlaps(&odd) && even.overlaps(&some));
        assert_eq!(odd.iter().collect::<Vec<_>>(), [(TopicId(1), 2)]);
    }
}
