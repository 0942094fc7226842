//! What an assignor is given.

use super::partitions::Partitions;
use crate::ids::TopicId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is to be assigned, and to whom.
#[derive(Debug, Default)]
pub struct AssignmentPlan {
    pub topics: BTreeMap<TopicId, TopicPlan>,
    /// The topics that members of a kind subscribe to: most groups have one kind.
    pub kinds: Vec<BTreeSet<TopicId>>,
    /// In the order of [`super::member::ConsumerMember::order`].
    pub members: Vec<MemberPlan>,
}

#[derive(Debug, Default)]
pub struct TopicPlan {
    pub partitions: i32,
    /// By partition: where its replicas are. Empty where nobody asks for that.
    pub racks: Vec<BTreeSet<Arc<str>>>,
}

#[derive(Debug, Default)]
pub struct MemberPlan {
    /// In [`AssignmentPlan::kinds`].
    pub kind: usize,
    pub rack: Option<Arc<str>>,
    /// By the last assignment.
    pub had: Partitions,
}

impl AssignmentPlan {
    /// About what it costs to make an assignment of it.
    pub fn size(&self) -> usize {
        self.members.len() + self.topics.values().map(|topic| topic.partitions.max(0) as usize).sum::<usize>()
    }

    pub(super) fn subscribes(&self, member: usize, topic: TopicId) -> bool {
        self.kinds[self.members[member].kind].contains(&topic)
    }
}
