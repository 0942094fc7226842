//! The assignor `uniform`: members keep what they had, what is left goes to those who have least,
//! and then who has most gives to who has least. A member near a partition is taken before one that
//! has as few.

use crate::groups::consumer::partitions::Partitions;
use crate::groups::consumer::plan::AssignmentPlan;
use crate::ids::TopicId;
use std::collections::{BTreeMap, BTreeSet};

/// Of those who may have a partition so many are looked at for one that is near.
const NEAR_LOOKS_MAX: usize = 64;
/// Partitions looked at to move one. Kinds that overlap without end are left a little uneven rather
/// than holding up the shard; this takes some 50 ms.
const LOOKS_MAX: usize = 1 << 20;

type One = (TopicId, i32);

/// Topics whose members are the same.
#[derive(Default)]
struct Pool {
    topics: BTreeSet<TopicId>,
    kinds: Vec<usize>,
    /// How many partitions each member has, and which it is.
    loads: BTreeSet<(usize, usize)>,
    partitions: usize,
}

struct Work<'a> {
    plan: &'a AssignmentPlan,
    pools: Vec<Pool>,
    assigned: Vec<Partitions>,
    loads: Vec<usize>,
    looks: usize,
}

pub fn assign(plan: &AssignmentPlan) -> Vec<Partitions> {
    let mut work = Work::new(plan);
    let taken = work.keep();
    work.fill(&taken);
    work.even_out();
    work.assigned
}

impl<'a> Work<'a> {
    fn new(plan: &'a AssignmentPlan) -> Self {
        let mut pools: BTreeMap<Vec<usize>, Pool> = BTreeMap::new();
        for (id, topic) in &plan.topics {
            let kinds: Vec<usize> =
                (0..plan.kinds.len()).filter(|kind| plan.kinds[*kind].contains(id)).collect();
            let pool = pools.entry(kinds.clone()).or_default();
            pool.kinds = kinds;
            pool.topics.insert(*id);
            pool.partitions += topic.partitions.max(0) as usize;
        }
        let members = plan.members.len();
        let mut pools: Vec<Pool> = pools.into_values().collect();
        for pool in &mut pools {
            let own = (0..members).filter(|member| pool.kinds.contains(&plan.members[*member].kind));
            pool.loads = own.map(|member| (0, member)).collect();
        }
        Self {
            plan,
            pools,
            assigned: vec![Partitions::default(); members],
            loads: vec![0; members],
            looks: 0,
        }
    }

    /// What members had and still want is theirs.
    fn keep(&mut self) -> BTreeSet<One> {
        let plan = self.plan;
        let mut taken = BTreeSet::new();
        for (member, of) in plan.members.iter().enumerate() {
            for one in of.had.iter() {
                let is_there = plan.topics.get(&one.0).is_some_and(|topic| one.1 < topic.partitions);
                if is_there && plan.subscribes(member, one.0) && taken.insert(one) {
                    self.give(member, one);
                }
            }
        }
        taken
    }

    /// What nobody has goes to who has least.
    fn fill(&mut self, taken: &BTreeSet<One>) {
        for pool in 0..self.pools.len() {
            let topics = self.pools[pool].topics.clone();
            for id in topics {
                for number in
                    (0..self.plan.topics[&id].partitions).filter(|number| !taken.contains(&(id, *number)))
                {
                    if let Some(member) = self.pick(pool, (id, number)) {
                        self.give(member, (id, number));
                    }
                }
            }
        }
    }

    fn pick(&self, pool: usize, (id, number): One) -> Option<usize> {
        let pool = &self.pools[pool];
        let (_, first) = *pool.loads.first()?;
        let Some(racks) = self.plan.topics[&id].racks.get(number as usize) else { return Some(first) };
        let share = pool.partitions.div_ceil(pool.loads.len());
        let looked_at = pool.loads.iter().take(NEAR_LOOKS_MAX).take_while(|(load, _)| *load < share);
        let is_near = |member: &usize| {
            self.plan.members[*member].rack.as_ref().is_some_and(|rack| racks.contains(rack))
        };
        Some(looked_at.map(|(_, member)| *member).find(is_near).unwrap_or(first))
    }

    /// Until nobody who has two more than another could give it one.
    fn even_out(&mut self) {
        let mut moved = true;
        while moved && self.looks < LOOKS_MAX {
            moved = false;
            for pool in 0..self.pools.len() {
                while let Some((one, giver, taker)) = self.unfair(pool) {
                    self.take(giver, one);
                    self.give(taker, one);
                    moved = true;
                }
            }
        }
    }

    fn unfair(&mut self, pool: usize) -> Option<(One, usize, usize)> {
        let Self { pools, assigned, looks, .. } = self;
        let pool = &pools[pool];
        let (least, taker) = *pool.loads.first()?;
        for (load, giver) in pool.loads.iter().rev() {
            if *load < least + 2 || *looks >= LOOKS_MAX {
                return None;
            }
            *looks += 1;
            let given = assigned[*giver].topics().find(|(topic, _)| {
                *looks += 1;
                pool.topics.contains(topic)
            });
            if let Some((topic, numbers)) = given {
                let number = *numbers.last().expect("a topic has partitions");
                return Some(((topic, number), *giver, taker));
            }
        }
        None
    }

    fn give(&mut self, member: usize, one: One) {
        self.assigned[member].insert(one);
        self.set_load(member, self.loads[member] + 1);
    }

    fn take(&mut self, member: usize, one: One) {
        self.assigned[member].remove(one);
        self.set_load(member, self.loads[member] - 1);
    }

    fn set_load(&mut self, member: usize, load: usize) {
        let before = core::mem::replace(&mut self.loads[member], load);
        let kind = self.plan.members[member].kind;
        for pool in self.pools.iter_mut().filter(|pool| pool.kinds.contains(&kind)) {
            assert!(pool.loads.remove(&(before, member)), "a member's load is in its pools");
            pool.loads.insert((load, member));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::consumer::plan::{MemberPlan, TopicPlan};
    use std::sync::Arc;

    #[test]
    fn what_moves_when_a_member_goes_is_what_it_had() {
        let topics = BTreeMap::from([(TopicId(1), TopicPlan { partitions: 12, racks: Vec::new() })]);
        let kinds = vec![BTreeSet::from([TopicId(1)])];
        let members = (0..4).map(|_| MemberPlan::default()).collect();
        let mut plan = AssignmentPlan { topics, kinds, members };
        let first = assign(&plan);
        assert!(first.iter().all(|partitions| partitions.len() == 3));
        for (member, had) in plan.members.iter_mut().zip(&first) {
            member.had = had.clone();
        }
        plan.members.pop();
        let second = assign(&plan);
        for (before, after) in first.iter().zip(&second) {
            assert!(before.is_within(after) && after.len() == 4);
        }
    }

    #[test]
    fn members_get_what_is_near_where_that_costs_no_balance() {
        let rack = |number: usize| Arc::from(["a", "b", "c"][number % 3]);
        let racks = (0..9).map(|number| BTreeSet::from([rack(number)])).collect();
        let topics = BTreeMap::from([(TopicId(1), TopicPlan { partitions: 9, racks })]);
        let kinds = vec![BTreeSet::from([TopicId(1)])];
        let members =
            (0..3).rev().map(|number| MemberPlan { rack: Some(rack(number)), ..Default::default() });
        let assigned = assign(&AssignmentPlan { topics, kinds, members: members.collect() });
        let of = |numbers: [i32; 3]| numbers.into_iter().map(|number| (TopicId(1), number)).collect();
        assert_eq!(assigned, [of([2, 5, 8]), of([1, 4, 7]), of([0, 3, 6])]);
    }
}
