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
pub const LISTENERS_MAX: usize = 17;

/// The listener by which a node is reached by other nodes; none for clients has that name.
pub const PEER_LISTENER: &str = "PEER";

impl Advertised {
    /// Where other nodes reach shard 0; none of a node that listens for none, or did not tell.
    pub fn peer(&self) -> Option<&AdvertisedListener> {
        self.listeners.iter().find(|listener| listener.name == PEER_LISTENER)
    }
}

/// A node that may come, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Invited {
    /// The one life that may; zero where its certificate says enough.
    pub incarnation: Incarnation,
    pub advertised: Advertised,
}

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
