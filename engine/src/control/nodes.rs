//! The nodes of a cluster as the metadata has them.

use crate::ids::{Incarnation, NodeId, RaftId};

/// How clients reach a node's shards: shard s at `first_port + s`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Advertised {
    pub host: String,
    pub first_port: u16,
    pub rack: Option<String>,
    /// Its other listeners.
    pub listeners: Vec<AdvertisedListener>,
}

/// Listeners of a node beside the plaintext one: each answer with brokers looks through them.
pub const LISTENERS_MAX: usize = 16;

/// A listener beside the plaintext one; shard s at `first_port + s`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AdvertisedListener {
    pub name: String,
    /// Kafka's number of its security protocol.
    pub protocol: u8,
    pub host: String,
    pub first_port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    pub node: NodeId,
    pub incarnation: Incarnation,
    pub raft_id: RaftId,
    /// Of the incarnations before this one: their disks are lost.
    pub former: Vec<RaftId>,
    /// 0 until the node registered.
    pub shards: u16,
    pub advertised: Advertised,
}
