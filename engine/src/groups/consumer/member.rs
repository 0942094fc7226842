//! One member of a consumer group.

use super::assignor::Assignor;
use super::partitions::Partitions;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The epoch of a static member that left for a while: whoever has its instance id comes back.
pub const AWAY: i32 = -2;
/// The epoch of a member that leaves for good.
pub const LEAVES: i32 = -1;

/// How far a member is on its way to its target assignment; the numbers are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberProgress {
    /// It has what it was told, and there is nothing newer.
    Stable = 0,
    /// It must give partitions up, and has not said that it did.
    Unrevoked = 1,
    /// Others have not given up what it is to get.
    Unreleased = 2,
}

/// What a member has and is told to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentAssignment {
    /// That of the assignment that it follows.
    pub epoch: i32,
    /// The one before: the answer that told of the new one may be lost.
    pub previous_epoch: i32,
    pub progress: MemberProgress,
    /// Disjoint from what it is to give up.
    pub assigned: Partitions,
    pub revoking: Partitions,
}

impl Default for CurrentAssignment {
    fn default() -> Self {
        Self {
            epoch: 0,
            previous_epoch: -1,
            progress: MemberProgress::Stable,
            assigned: Partitions::default(),
            revoking: Partitions::default(),
        }
    }
}

/// What a member of the classic protocol brought to a consumer group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassicPart {
    pub session_timeout_ms: i32,
    /// The most wanted first.
    pub protocols: Vec<(String, Arc<[u8]>)>,
}

/// What it wants, and who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    pub instance: Option<Arc<str>>,
    pub rack: Option<Arc<str>>,
    pub client_id: String,
    pub client_host: String,
    pub topics: BTreeSet<Arc<str>>,
    /// Empty: none.
    pub pattern: Arc<str>,
    pub rebalance_timeout_ms: i32,
    pub assignor: Option<Assignor>,
    pub classic: Option<ClassicPart>,
}

impl Wish {
    /// In memory and in its record.
    pub fn bytes(&self) -> usize {
        let classic = self.classic.iter().flat_map(|classic| &classic.protocols);
        self.topics.iter().map(|topic| topic.len()).sum::<usize>()
            + self.pattern.len()
            + self.client_id.len()
            + self.client_host.len()
            + classic.map(|(name, metadata)| name.len() + metadata.len()).sum::<usize>()
    }

    /// What its assignment depends on.
    pub fn subscribes_like(&self, other: &Self) -> bool {
        self.topics == other.topics
            && self.pattern == other.pattern
            && self.rack == other.rack
            && self.assignor == other.assignor
    }
}

#[derive(Clone, Debug)]
pub struct ConsumerMember {
    pub id: Arc<str>,
    pub wish: Wish,
    pub current: CurrentAssignment,
    /// Of the group's assignment epoch.
    pub target: Partitions,
    /// The end of its session, monotonic nanoseconds; 0 until it has one.
    pub expires_ns: u64,
    /// Until when it must have given up what it is to give up.
    pub revoke_by_ns: Option<u64>,
    /// Of the classic protocol: until when it must have joined, or synced.
    pub must_act_by_ns: Option<u64>,
}

impl ConsumerMember {
    pub fn new(id: Arc<str>, wish: Wish) -> Self {
        Self {
            id,
            wish,
            current: CurrentAssignment::default(),
            target: Partitions::default(),
            expires_ns: 0,
            revoke_by_ns: None,
            must_act_by_ns: None,
        }
    }

    /// It has all of the group's assignment.
    pub fn is_at(&self, epoch: i32) -> bool {
        self.current.progress == MemberProgress::Stable && self.current.epoch == epoch
    }

    /// Assigners put static members where their instance stood, whatever their id is now.
    pub fn order(&self) -> (&str, &str) {
        (self.wish.instance.as_deref().unwrap_or(&self.id), &self.id)
    }

    /// What nobody else may have.
    pub fn owned(&self) -> impl Iterator<Item = (crate::ids::TopicId, i32)> + '_ {
        self.current.assigned.iter().chain(self.current.revoking.iter())
    }
}
