//! The assignor `range`.

use crate::groups::consumer::partitions::Partitions;
use crate::groups::consumer::plan::AssignmentPlan;

/// Of each topic the first members have one more where it cannot be even.
pub fn assign(plan: &AssignmentPlan) -> Vec<Partitions> {
    let mut assigned = vec![Partitions::default(); plan.members.len()];
    for (id, topic) in &plan.topics {
        let members: Vec<usize> =
            (0..plan.members.len()).filter(|member| plan.subscribes(*member, *id)).collect();
        let count = i32::try_from(members.len()).expect("members are bounded");
        let mut next = 0;
        for (at, member) in (0..).zip(&members) {
            let share = topic.partitions / count + i32::from(at < topic.partitions % count);
            assigned[*member].extend((next..next + share).map(|number| (*id, number)));
            next += share;
        }
    }
    assigned
}
