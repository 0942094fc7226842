//! Which containers have a partition, in the order of offsets.
//!
//! ```text
//! partition 7:  group 0 ─ containers 0 . 2 3 . … 63    first offset 0,   newest time 900
//!               group 2 ─ containers 128 . . 131 …      first offset 512, newest time 700
//! ```
//! A group is one word of bits for 64 containers, so that a partition that is in each of 4,000 containers takes
//! 2 KiB here. Where in a group an offset lies the indexes of at most seven containers tell.

use super::index::PartitionFacts;
use crate::ids::{Offset, PartitionId};
use core::ops::{Bound, Range};
use std::collections::BTreeMap;

/// Containers of a group.
const GROUP: u64 = 64;

/// 64 containers in a row, at least one of which has the partition, or had it.
#[derive(Clone, Copy, Debug)]
struct Group {
    number: u64,
    /// Bit n: container `number` × 64 + n has it.
    present: u64,
    /// Of the first of them that was told; it may be gone.
    first_offset: Offset,
    /// The highest time in any of them.
    max_timestamp: i64,
}

/// The containers of one partition.
///
/// Invariants: groups ascend in number and in first offset; none is empty.
#[derive(Debug, Default)]
struct Chain {
    groups: Vec<Group>,
    /// All that containers below this one have of it is dead, and was counted so.
    alive_from: u64,
}

/// Partition → containers.
#[derive(Debug, Default)]
pub struct Fence {
    chains: BTreeMap<PartitionId, Chain>,
    groups: usize,
}

/// What a walk by time comes to next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// All containers of a group are whole behind the offset: their newest time, and where the walk goes on.
    Whole { max_timestamp: i64, next: u64 },
    /// One container, to be looked into.
    One(u64),
}

impl Fence {
    /// A container, above all that have the partition so far or the last of them again.
    pub fn note(&mut self, container: u64, facts: &PartitionFacts) {
        let chain = self
            .chains
            .entry(facts.partition)
            .or_insert_with(|| Chain { groups: Vec::with_capacity(1), alive_from: container });
        let (number, bit) = (container / GROUP, 1 << (container % GROUP));
        match chain.groups.last_mut() {
            Some(last) if last.number == number => {
                assert!(
                    last.present >> (container % GROUP) <= 1,
                    "container {container} comes after those behind it"
                );
                last.present |= bit;
                last.max_timestamp = last.max_timestamp.max(facts.max_timestamp);
            }
            last => {
                assert!(
                    last.is_none_or(|last| last.number < number && last.first_offset < facts.first_offset),
                    "{:?} goes back in container {container}",
                    facts.partition
                );
                chain.groups.push(Group {
                    number,
                    present: bit,
                    first_offset: facts.first_offset,
                    max_timestamp: facts.max_timestamp,
                });
                self.groups += 1;
            }
        }
    }

    /// The first container within the range that has the partition and may have a record at or after `time`.
    pub fn next(&self, partition: PartitionId, range: Range<u64>, time: i64) -> Option<u64> {
        let chain = self.chains.get(&partition)?;
        let begin = chain.groups.partition_point(|group| group.number < range.start / GROUP);
        let reaching = chain.groups[begin..].iter().filter(|group| group.max_timestamp >= time);
        reaching.take_while(|group| group.number * GROUP < range.end).find_map(|group| group.first(&range))
    }

    /// As [`Self::next`], for the newest time behind `offset`: groups that lie behind it whole are told at once.
    pub fn leg(&self, partition: PartitionId, range: Range<u64>, offset: Offset) -> Option<Leg> {
        let chain = self.chains.get(&partition)?;
        let begin = chain.groups.partition_point(|group| group.number < range.start / GROUP);
        for group in &chain.groups[begin..] {
            let Some(first) = group.first(&range) else { continue };
            let end = (group.number + 1) * GROUP;
            let is_whole = group.number * GROUP >= range.start && end <= range.end;
            return Some(if is_whole && group.first_offset >= offset {
                Leg::Whole { max_timestamp: group.max_timestamp, next: end }
            } else {
                Leg::One(first)
            });
        }
        None
    }

    /// The containers of the last group that begins at or below `offset`, ascending: where the offset is in a
    /// container of the range at all, it is in one of these or in the first one behind them.
    pub fn around(&self, partition: PartitionId, offset: Offset, range: &Range<u64>) -> Vec<u64> {
        let Some(chain) = self.chains.get(&partition) else { return Vec::new() };
        let behind = chain.groups.partition_point(|group| group.first_offset <= offset);
        behind.checked_sub(1).map_or_else(Vec::new, |at| chain.groups[at].all(range).collect())
    }

    /// The first container whose part of the partition is not counted as dead.
    pub fn alive_from(&self, partition: PartitionId) -> u64 {
        self.chains.get(&partition).map_or(0, |chain| chain.alive_from)
    }

    /// What a container has of the partition is dead, as is all that those before it have.
    pub fn note_dead(&mut self, partition: PartitionId, container: u64) {
        let chain = self.chains.get_mut(&partition).expect("what dies was there");
        assert!(
            container >= chain.alive_from,
            "{partition:?} of container {container} dies again: alive from {}",
            chain.alive_from
        );
        chain.alive_from = container + 1;
    }

    /// Up to `count` partitions behind this one, ascending.
    pub fn partitions_behind(&self, last: Option<PartitionId>, count: usize) -> Vec<PartitionId> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.chains.range((from, Bound::Unbounded)).take(count).map(|(partition, _)| *partition).collect()
    }

    /// Forgets where the partition was in containers below this one.
    pub fn forget_below(&mut self, partition: PartitionId, container: u64) {
        let Some(chain) = self.chains.get_mut(&partition) else { return };
        let gone = chain.groups.partition_point(|group| (group.number + 1) * GROUP <= container);
        chain.groups.drain(..gone);
        self.groups -= gone;
        if chain.groups.is_empty() {
            self.chains.remove(&partition);
        }
    }

    /// What it takes in memory, bytes.
    pub fn memory_bytes(&self) -> usize {
        self.groups * size_of::<Group>() + self.chains.len() * (size_of::<PartitionId>() + size_of::<Chain>())
    }
}

impl Group {
    /// Those within the range, as bits.
    fn within(&self, range: &Range<u64>) -> u64 {
        let begin = self.number * GROUP;
        let below = range.start.saturating_sub(begin);
        let up_to = range.end.saturating_sub(begin);
        let from = if below >= GROUP { 0 } else { u64::MAX << below };
        let until = if up_to >= GROUP { u64::MAX } else { (1 << up_to) - 1 };
        self.present & from & until
    }

    fn first(&self, range: &Range<u64>) -> Option<u64> {
        let within = self.within(range);
        (within != 0).then(|| self.number * GROUP + u64::from(within.trailing_zeros()))
    }

    fn all(&self, range: &Range<u64>) -> impl Iterator<Item = u64> {
        let (within, begin) = (self.within(range), self.number * GROUP);
        (0..GROUP).filter(move |bit| within >> bit & 1 == 1).map(move |bit| begin + bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: PartitionId = PartitionId(7);

    fn facts(container: u64) -> PartitionFacts {
        PartitionFacts {
            partition: P,
            first_offset: Offset(container as i64 * 10),
            next_offset: Offset(container as i64 * 10 + 10),
            max_timestamp: if container == 130 { 900 } else { container as i64 },
            batch_bytes: 100,
        }
    }

    fn fence(containers: impl IntoIterator<Item = u64>) -> Fence {
        let mut fence = Fence::default();
        containers.into_iter().for_each(|container| fence.note(container, &facts(container)));
        fence
    }

    #[test]
    fn a_walk_meets_those_that_have_the_partition_and_no_other() {
        let containers = [0, 2, 3, 63, 64, 130, 131, 300];
        let fence = fence(containers);
        let walk = |range: Range<u64>, time| {
            let mut from = range.start;
            core::iter::from_fn(|| {
                let found = fence.next(P, from..range.end, time)?;
                from = found + 1;
                Some(found)
            })
            .collect::<Vec<_>>()
        };
        assert_eq!(walk(0..400, i64::MIN), containers);
        assert_eq!(walk(3..131, i64::MIN), [3, 63, 64, 130]);
        assert_eq!(walk(0..400, 200), [130, 131, 300], "groups whose newest record is older are passed over");
        assert_eq!(fence.next(PartitionId(8), 0..400, i64::MIN), None);
    }

    #[test]
    fn an_offset_is_looked_for_in_one_group() {
        let fence = fence([0, 2, 3, 64, 66, 130]);
        let all = 0..200;
        assert_eq!(fence.around(P, Offset(25), &all), [0, 2, 3]);
        assert_eq!(fence.around(P, Offset(640), &all), [64, 66]);
        assert_eq!(fence.around(P, Offset(640), &(65..200)), [66]);
        assert_eq!(fence.around(P, Offset(9_999), &all), [130]);
        assert_eq!(fence.around(P, Offset(-1), &all), [] as [u64; 0]);
    }

    #[test]
    fn whole_groups_tell_their_newest_time() {
        let fence = fence([1, 64, 65, 130]);
        assert_eq!(fence.leg(P, 0..200, Offset(15)), Some(Leg::One(1)), "the offset is within");
        let whole = Leg::Whole { max_timestamp: 65, next: 128 };
        assert_eq!(fence.leg(P, 2..200, Offset(15)), Some(whole));
        assert_eq!(fence.leg(P, 65..200, Offset(15)), Some(Leg::One(65)), "some were walked");
        assert_eq!(fence.leg(P, 128..131, Offset(15)), Some(Leg::One(130)), "more may come");
        assert_eq!(fence.leg(P, 131..200, Offset(15)), None);
    }

    #[test]
    fn what_is_gone_is_forgotten_group_by_group() {
        let mut fence = fence([0, 1, 64]);
        fence.note_dead(P, 1);
        assert_eq!(fence.alive_from(P), 2);
        fence.forget_below(P, 63);
        assert_eq!(fence.next(P, 0..100, i64::MIN), Some(0));
        fence.forget_below(P, 64);
        assert_eq!(fence.next(P, 0..100, i64::MIN), Some(64));
        fence.forget_below(P, 128);
        assert_eq!((fence.next(P, 0..100, i64::MIN), fence.memory_bytes()), (None, 0));
    }

    #[test]
    #[should_panic(expected = "dies again")]
    fn nothing_dies_twice() {
        let mut fence = fence([0, 1]);
        fence.note_dead(P, 0);
        fence.note_dead(P, 0);
    }

    #[test]
    #[should_panic(expected = "goes back")]
    fn offsets_rise_from_group_to_group() {
        let mut fence = fence([70]);
        fence.note(128, &facts(60));
    }
}
