//! What consumer groups were promised: offsets whose commit was answered, owners of partitions,
//! generations; and that in the end every member is in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Partitions of each group's topic.
pub const PARTITIONS: i32 = 5;

/// All groups, by number.
#[derive(Debug, Default)]
pub struct GroupsModel {
    groups: BTreeMap<usize, GroupModel>,
}

/// One group, as its members know it together.
#[derive(Debug, Default)]
pub struct GroupModel {
    /// By partition: the highest commit that was answered.
    committed: BTreeMap<i32, i64>,
    /// By partition: what was seen last.
    seen: BTreeMap<i32, i64>,
    /// By generation and partition: who owns it.
    owners: BTreeMap<(i32, i32), Arc<str>>,
    /// The generation that each member is in, if it is.
    members: BTreeMap<usize, Option<i32>>,
    /// All was looked at since the last time that this was asked for.
    is_looked_at: bool,
}

impl GroupsModel {
    pub fn group(&mut self, group: usize) -> &mut GroupModel {
        self.groups.entry(group).or_default()
    }

    /// Every rebalance came to its end: all members are in, and each partition has an owner.
    pub fn are_whole(&self) -> bool {
        self.groups.values().all(GroupModel::is_whole)
    }

    pub fn are_looked_at(&self) -> bool {
        self.groups.values().all(|group| group.is_looked_at)
    }

    /// Somebody is to look at all committed offsets, whatever was seen before.
    pub fn look_again(&mut self) {
        self.groups.values_mut().for_each(|group| group.is_looked_at = false);
    }

    /// How many groups have members.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

impl GroupModel {
    fn is_whole(&self) -> bool {
        let generations: BTreeSet<Option<i32>> = self.members.values().copied().collect();
        let [Some(generation)] = generations.into_iter().collect::<Vec<_>>()[..] else { return false };
        self.owners.range((generation, 0)..=(generation, i32::MAX)).count() == PARTITIONS as usize
    }

    pub fn is_new(&self, client: usize) -> bool {
        !self.members.contains_key(&client)
    }

    pub fn member(&mut self, client: usize, generation: Option<i32>) {
        self.members.insert(client, generation);
    }

    /// A member was assigned these partitions.
    pub fn assigned(&mut self, member: &Arc<str>, generation: i32, partitions: &[i32]) {
        for partition in partitions {
            let owner = self.owners.entry((generation, *partition)).or_insert_with(|| Arc::clone(member));
            assert_eq!(owner, member, "partition {partition} of generation {generation} has two owners");
        }
    }

    /// A commit was answered without error.
    pub fn committed(&mut self, partition: i32, offset: i64) {
        // The member may have slept since: others may have been told more.
        let promised = self.committed.entry(partition).or_insert(offset);
        *promised = offset.max(*promised);
    }

    /// What the coordinator says is committed; nothing where there is −1.
    pub fn saw(&mut self, partition: i32, offset: i64) {
        let promised = self.committed.get(&partition).copied().unwrap_or(-1);
        assert!(
            offset >= promised,
            "partition {partition}: {offset} is committed, and {promised} was promised"
        );
        let before = self.seen.insert(partition, offset).unwrap_or(-1);
        assert!(before <= offset, "partition {partition}: moved back from {before} to {offset}");
    }

    /// All that is committed, as the coordinator says.
    pub fn saw_all(&mut self, offsets: &BTreeMap<i32, i64>) {
        for partition in 0..PARTITIONS {
            self.saw(partition, offsets.get(&partition).copied().unwrap_or(-1));
        }
        self.is_looked_at = true;
    }
}
