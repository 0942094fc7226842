//! The meta journal's commands: what changes the cluster's metadata, versioned on disk.

use super::acls::{Acl, AclFilter};
use super::credentials::{Credential, Mechanism};
use super::life::Life;
use super::nodes::Advertised;
use super::quotas::{QuotaChange, QuotaEntity};
use crate::control::CommandError;
use crate::ids::{
    BrokerIds, ClusterId, Incarnation, JournalId, LaneId, NodeId, PartitionId, RaftId, TopicId,
};

/// One change. What depends on a clock or on chance is in the command; ids and places are given
/// by [`super::MetaState::apply`], a function of the state alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The first command of a cluster.
    Form {
        cluster: ClusterId,
        members: Vec<(NodeId, Incarnation)>,
        lanes: u16,
        segment_bytes: u64,
        broker_ids: BrokerIds,
    },
    /// A node says how clients reach it and how many shards it has.
    RegisterNode {
        node: NodeId,
        shards: u16,
        advertised: Advertised,
    },
    /// A node is invited in this life, or in any where that is zero, and is to be found there.
    AddNode {
        node: NodeId,
        incarnation: Incarnation,
        advertised: Advertised,
    },
    /// A node lost its disk, and comes back with an empty one.
    Rejoin {
        node: NodeId,
        incarnation: Incarnation,
        /// The one that it has in the metadata, as far as it knows.
        replaces: Incarnation,
    },
    /// A node lost its replica of a journal, and only that: it gets another raft id there.
    Renew {
        node: NodeId,
        incarnation: Incarnation,
        journal: JournalId,
        /// The replica that was lost.
        replaces: RaftId,
    },
    /// `topic_id` and `entropy` (for secrets of journals to be made) are drawn by the proposer;
    /// `life` depends on its node's file, so it too is decided there.
    CreateTopic {
        name: String,
        topic_id: TopicId,
        partitions: u32,
        replication_factor: u16,
        configs: Vec<(String, String)>,
        life: Life,
        entropy: u64,
        /// A place for each partition; none: the placement's own.
        by_hand: Vec<Place>,
    },
    DeleteTopic {
        topic_id: TopicId,
    },
    /// CreatePartitions: the topic has `total` partitions afterwards.
    AddPartitions {
        topic_id: TopicId,
        total: u32,
        entropy: u64,
        /// A place for each new partition; none: the placement's own.
        by_hand: Vec<Place>,
    },
    /// The topic has so many copies from now on: its journals get the replicas that are missing.
    AlterReplication {
        topic_id: TopicId,
        replication_factor: u16,
    },
    /// Settings of a topic or of all brokers: all of the changes or none.
    AlterConfigs {
        resource: Resource,
        changes: Vec<ConfigChange>,
    },
    /// A block of producer ids, never given again.
    AllocateProducerIds {
        count: u32,
    },
    /// Quotas of one entity: all of the changes or none.
    AlterQuotas {
        entity: QuotaEntity,
        changes: Vec<QuotaChange>,
    },
    /// A user's credential of one mechanism: set, or (with `None`) taken away.
    AlterCredential {
        user: String,
        mechanism: Mechanism,
        credential: Option<Credential>,
    },
    /// Access rules: all of them or none; one that is there stays.
    CreateAcls {
        acls: Vec<Acl>,
    },
    /// Takes away the first access rules that the filter means, so many at most; whether there are more is in the
    /// answer.
    DeleteAcls {
        filter: AclFilter,
        at_most: u16,
    },
}

/// Where a partition is to be, as a client said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub lane: LaneId,
    /// The preferred leader first.
    pub replicas: Vec<NodeId>,
}

/// Whose settings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    Topic(TopicId),
    /// All brokers (Kafka's empty resource name).
    Brokers,
    /// One broker, that is: one shard of a node, by Kafka's id of it.
    Broker(i32),
    /// A group, whether there is one or not.
    Group(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigChange {
    Set {
        key: String,
        value: String,
    },
    /// Back to the default.
    Delete {
        key: String,
    },
    Append {
        key: String,
        value: String,
    },
    Subtract {
        key: String,
        value: String,
    },
    /// AlterConfigs (not incremental): what is not named in this list goes back to the default.
    ReplaceAll {
        configs: Vec<(String, String)>,
    },
}

/// What a command that was carried out gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    TopicCreated {
        topic_id: TopicId,
        partitions: Vec<PartitionId>,
    },
    ProducerIds {
        first: i64,
        count: u32,
    },
    /// Who a node is now, and its replica: of the journal that was asked for, else of all.
    Member {
        incarnation: Incarnation,
        raft_id: RaftId,
    },
    /// The access rules that were taken away, and whether the filter means more.
    AclsDeleted {
        acls: Vec<Acl>,
        more: bool,
    },
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlRefusal {
    /// The state machine said no; nothing changed.
    Command(CommandError),
    /// Not the controller, or no longer: NOT_CONTROLLER.
    NotController,
    /// The meta journal cannot write now: KAFKA_STORAGE_ERROR.
    Storage,
    /// No answer within the requester's time; it may still be carried out: REQUEST_TIMED_OUT.
    TimedOut,
}
