//! An immutable view of the cluster's metadata; every shard holds the newest it was given.

use super::acls::AclIndex;
use super::credentials::{Credential, Credentials, Mechanism};
use super::life::Life;
use super::nodes::{Invited, NodeView};
use super::quotas::Quotas;
use crate::collections::Map;
use crate::control::life::TopicSettings;
use crate::health::Topics;
use crate::ids::{
    BrokerIds, ClusterId, Index, JournalId, LaneId, NodeId, PartitionId, RaftId, ShardId, TopicId,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Shared by all shards; made by [`super::ViewBuilder`] when commands were applied.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The meta journal's index that this view includes.
    pub version: Index,
    pub cluster: ClusterId,
    pub lanes: u16,
    pub broker_ids: BrokerIds,
    pub nodes: BTreeMap<NodeId, Arc<NodeView>>,
    /// Nodes that may come, and where they are to be found.
    pub invited: Arc<BTreeMap<NodeId, Invited>>,
    pub topics: BTreeMap<Arc<str>, Arc<TopicView>>,
    pub topic_ids: BTreeMap<TopicId, Arc<str>>,
    pub partitions: Arc<Map<PartitionId, PartitionRef>>,
    pub journals: BTreeMap<JournalId, Arc<JournalView>>,
    /// Dynamic settings of all brokers.
    pub broker_configs: Arc<BTreeMap<String, String>>,
    /// Those of single brokers, by their id; stronger than those of all.
    pub own_broker_configs: Arc<BTreeMap<i32, BTreeMap<String, String>>>,
    /// Those of groups, by name.
    pub group_configs: Arc<BTreeMap<String, BTreeMap<String, String>>>,
    pub quotas: Arc<Quotas>,
    /// Of users, for those that prove who they are; [`Self::credential`] looks one up.
    pub credentials: Arc<Credentials>,
    /// Who may do what, for those that ask.
    pub acls: Arc<AclIndex>,
    /// The topics that were deleted last, oldest first, each with the version that had it no more.
    /// Not part of the metadata: what this node has seen since its start.
    pub deleted: Arc<VecDeque<(Arc<str>, Index)>>,
    /// Entries of the metadata are lost, and nobody accepted that.
    pub has_lost: bool,
    /// Every number below it was given to a partition: one that is not in `partitions` was
    /// deleted, while one at or above it may be too new for this view.
    pub next_partition: PartitionId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicView {
    pub name: Arc<str>,
    pub id: TopicId,
    pub replication_factor: u16,
    /// By partition number.
    pub partitions: Vec<PartitionView>,
    /// What was set on the topic itself; effective values come from `config`.
    pub configs: BTreeMap<String, String>,
    /// The effective settings that the data path needs, brokers' dynamic defaults applied.
    pub settings: TopicSettings,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionView {
    pub id: PartitionId,
    /// Oldest first; the last one takes batches.
    pub spans: Vec<SpanView>,
}

/// One stretch of a partition, in one journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanView {
    pub journal: JournalId,
    pub first_offset: i64,
    pub epoch_base: i32,
}

/// From a partition's id to its topic.
#[derive(Clone, Debug)]
pub struct PartitionRef {
    pub topic: Arc<str>,
    pub number: u32,
}

/// A journal as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalView {
    pub id: JournalId,
    pub lane: LaneId,
    pub life: Life,
    pub replicas: Vec<NodeId>,
    /// The first of them; members change by the journal's own entries.
    pub voters: Vec<RaftId>,
    /// Replicas made anew because those before them were lost, while their nodes were not; raft ids
    /// rise.
    pub renewed: Vec<(NodeId, RaftId)>,
    pub secret: u64,
    pub segment_bytes: u64,
    pub batches_per_segment_max: u32,
}

impl JournalView {
    /// The replica that a node has of this journal: raft ids rise, so it is the newest.
    pub fn raft_id_of(&self, node: &NodeView) -> RaftId {
        self.raft_ids_of(node).max().expect("a node has one")
    }

    /// All that it has and had.
    pub fn raft_ids_of(&self, node: &NodeView) -> impl Iterator<Item = RaftId> {
        let renewed = self.renewed.iter().filter(|(of, _)| *of == node.node).map(|(_, id)| *id);
        node.former.iter().copied().chain([node.raft_id]).chain(renewed)
    }
}

impl View {
    /// Whether another view has the same topics in the same places.
    pub fn has_topics_of(&self, other: &View) -> bool {
        self.topics.len() == other.topics.len()
            && self.nodes.len() == other.nodes.len()
            && self.journals.len() == other.journals.len()
            && self.topics.values().zip(other.topics.values()).all(|(one, other)| Arc::ptr_eq(one, other))
            && self.journals.values().zip(other.journals.values()).all(|(one, other)| Arc::ptr_eq(one, other))
            && self.nodes.values().zip(other.nodes.values()).all(|(one, other)| Arc::ptr_eq(one, other))
    }

    /// Whether the cluster is formed and this view says so: before that no broker has an id.
    pub fn is_formed(&self) -> bool {
        !self.nodes.is_empty()
    }

    /// The node and the shard of it that Kafka's id names.
    pub fn broker(&self, id: i32) -> Option<(&NodeView, ShardId)> {
        broker(self.broker_ids, &self.nodes, id)
    }

    /// What proves a user's password by this mechanism; none where the user has none of it.
    pub fn credential(&self, user: &str, mechanism: Mechanism) -> Option<&Credential> {
        self.credentials.get(user)?.get(&mechanism)
    }

    /// Whether a partition of this number was there and is no more. Of what may be named in an entry that
    /// is lost nobody knows: see [`super::MetaState::skip_lost_numbers`].
    pub fn was_deleted(&self, id: PartitionId) -> bool {
        let known_from = PartitionId(self.next_partition.0 / LOST_NUMBERS * LOST_NUMBERS);
        let is_given = (known_from..self.next_partition).contains(&id);
        !self.has_lost && is_given && !self.partitions.contains_key(&id)
    }

    /// Some of the topics that take batches in a journal.
    pub fn topics_of(&self, journal: JournalId) -> Topics {
        let takes =
            |partition: &PartitionView| partition.spans.last().is_some_and(|span| span.journal == journal);
        let mut topics = self.topics.values().filter(|topic| topic.partitions.iter().any(takes));
        let names = topics.by_ref().take(Topics::NAMED_MAX).map(|topic| topic.name.clone()).collect();
        Topics { names, more: topics.count() }
    }

    /// Whether a topic asks for compaction and does not get it: records of it lie in a journal with those of topics that
    /// are deleted, which it was put into when it was made.
    pub fn awaits_compaction(&self, topic: &TopicView) -> bool {
        let is_of_others = |span: &SpanView| {
            self.journals.get(&span.journal).is_some_and(|journal| journal.life != Life::Compacted)
        };
        topic.settings.compacts
            && topic.partitions.iter().flat_map(|partition| &partition.spans).any(is_of_others)
    }

    /// By journal, the topics that wait for compaction there.
    pub fn awaiting_compaction(&self) -> BTreeMap<JournalId, Topics> {
        let mut found: BTreeMap<JournalId, Topics> = BTreeMap::new();
        for topic in self.topics.values().filter(|topic| self.awaits_compaction(topic)) {
            let spans = topic.partitions.iter().flat_map(|partition| &partition.spans);
            for journal in spans.map(|span| span.journal).collect::<BTreeSet<_>>() {
                let topics = found.entry(journal).or_default();
                if topics.names.len() < Topics::NAMED_MAX {
                    topics.names.push(Arc::clone(&topic.name));
                } else {
                    topics.more += 1;
                }
            }
        }
        found
    }

    /// The topic of a partition, as it is named to people.
    pub fn topic_of(&self, partition: PartitionId) -> Topics {
        let names = self.partition(partition).map(|(topic, _)| topic.name.clone()).into_iter().collect();
        Topics { names, more: 0 }
    }

    /// A partition's number in its topic; −1 where it is not known.
    pub fn number_of(&self, id: PartitionId) -> i32 {
        let found =
            self.partition(id).and_then(|(topic, _)| topic.partitions.iter().position(|one| one.id == id));
        found.map_or(-1, |at| i32::try_from(at).expect("bounded by the metadata's rules"))
    }

    /// Whether a node has told the cluster where its clients find it.
    pub fn is_registered(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|known| known.shards > 0)
    }

    /// The topic and number of a partition.
    pub fn partition(&self, id: PartitionId) -> Option<(&Arc<TopicView>, &PartitionView)> {
        let at = self.partitions.get(&id)?;
        let topic = self.topics.get(&at.topic)?;
        Some((topic, topic.partitions.get(at.number as usize)?))
    }
}

/// The registered node and the shard of it that Kafka's id names.
pub(super) fn broker(
    ids: BrokerIds,
    nodes: &BTreeMap<NodeId, Arc<NodeView>>,
    id: i32,
) -> Option<(&NodeView, ShardId)> {
    let (node, shard) = ids.place(id)?;
    let node = nodes.get(&node).filter(|node| shard.0 < node.shards)?;
    Some((node, shard))
}

/// Where entries are lost numbers go on at the next multiple of this: far more than they can have given.
pub const LOST_NUMBERS: u64 = 1 << 40;
