//! Who gets which partitions: the assignors, as functions.
//!
//! Each gives every partition of a topic that somebody subscribes to, to one of those who do.

mod range;
mod uniform;

use super::partitions::Partitions;
use super::plan::AssignmentPlan;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assignor {
    /// Everybody has about as many, and keeps what it had.
    #[default]
    Uniform,
    /// Of each topic everybody has a run of partitions; topics with the same members are cut alike.
    Range,
}

impl Assignor {
    pub const ALL: [Assignor; 2] = [Assignor::Uniform, Assignor::Range];

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }

    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|assignor| assignor.name() == name)
    }
}

impl Assignor {
    /// The members' partitions, in their order.
    pub fn assign(self, plan: &AssignmentPlan) -> Vec<Partitions> {
        let assigned = match self {
            Assignor::Uniform => uniform::assign(plan),
            Assignor::Range => range::assign(plan),
        };
        assert_eq!(assigned.len(), plan.members.len());
        assigned
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::{MemberPlan, TopicPlan};
    use super::*;
    use crate::ids::TopicId;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    prop_compose! {
        fn plans()(
            counts in prop::collection::vec(1..12i32, 1..5),
            kinds in prop::collection::vec(prop::collection::btree_set(0..5u128, 0..5), 1..4),
            members in prop::collection::vec((0..4usize, 0..3u8), 0..9),
            racks in any::<bool>(),
        ) -> AssignmentPlan {
            let rack = |number: u8| Arc::from(format!("r{number}"));
            let topic = |(id, partitions): (u128, i32)| {
                let of = |number: i32| BTreeSet::from([rack((number % 3) as u8)]);
                let racks = if racks { (0..partitions).map(of).collect() } else { Vec::new() };
                (TopicId(id), TopicPlan { partitions, racks })
            };
            let topics: BTreeMap<_, _> = (0..).zip(counts).map(topic).collect();
            let kinds: Vec<BTreeSet<TopicId>> = kinds
                .into_iter()
                .map(|kind| kind.into_iter().map(TopicId).filter(|id| topics.contains_key(id)).collect())
                .collect();
            let members = members.into_iter().map(|(kind, number)| MemberPlan {
                kind: kind % kinds.len(),
                rack: (number > 0).then(|| rack(number)),
                had: Partitions::default(),
            });
            let members = members.collect();
            AssignmentPlan { topics, kinds, members }
        }
    }

    /// Every partition that somebody subscribes to has one owner, who does.
    fn check_whole(plan: &AssignmentPlan, assigned: &[Partitions]) {
        let mut owners = BTreeMap::new();
        for (member, partitions) in assigned.iter().enumerate() {
            for one in partitions.iter() {
                assert!(plan.subscribes(member, one.0), "{member} does not want {one:?}");
                assert_eq!(owners.insert(one, member), None, "{one:?} has two owners");
            }
        }
        for (id, topic) in &plan.topics {
            let wanted = (0..plan.members.len()).any(|member| plan.subscribes(member, *id));
            for number in 0..topic.partitions {
                assert_eq!(owners.contains_key(&(*id, number)), wanted, "{id:?} {number}");
            }
        }
    }

    /// Nobody could take a partition from another and still have fewer.
    fn check_balanced(plan: &AssignmentPlan, assigned: &[Partitions]) {
        for (giver, partitions) in assigned.iter().enumerate() {
            for one in partitions.iter() {
                for (taker, taken) in assigned.iter().enumerate() {
                    let fair = partitions.len() <= taken.len() + 1;
                    assert!(fair || !plan.subscribes(taker, one.0), "{giver} could give {one:?} to {taker}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_partition_has_one_owner_who_wants_it(plan in plans()) {
            for assignor in Assignor::ALL {
                check_whole(&plan, &assignor.assign(&plan));
            }
        }

        #[test]
        fn uniform_is_balanced_and_moves_no_more_than_it_must(mut plan in plans()) {
            let first = Assignor::Uniform.assign(&plan);
            check_balanced(&plan, &first);
            for (member, had) in plan.members.iter_mut().zip(&first) {
                member.had = had.clone();
            }
            prop_assert_eq!(&Assignor::Uniform.assign(&plan), &first, "nothing changed");
            plan.members.push(MemberPlan::default());
            let second = Assignor::Uniform.assign(&plan);
            check_whole(&plan, &second);
            check_balanced(&plan, &second);
            if plan.kinds.len() == 1 {
                // Who was there gives to the new one, and gets nothing.
                for (before, after) in first.iter().zip(&second) {
                    prop_assert!(after.is_within(before));
                }
            }
        }
    }

    #[test]
    fn range_gives_runs_and_cuts_topics_alike() {
        let topic = || TopicPlan { partitions: 5, racks: Vec::new() };
        let topics = BTreeMap::from([(TopicId(1), topic()), (TopicId(2), topic())]);
        let kinds = vec![topics.keys().copied().collect()];
        let members = (0..2).map(|_| MemberPlan::default()).collect();
        let assigned = Assignor::Range.assign(&AssignmentPlan { topics, kinds, members });
        let of = |numbers: &[i32]| -> Partitions {
            [TopicId(1), TopicId(2)].iter().flat_map(|id| numbers.iter().map(|one| (*id, *one))).collect()
        };
        assert_eq!(assigned, [of(&[0, 1, 2]), of(&[3, 4])]);
    }
}
