//! What a node is told when it is made.

use crate::peer::config::ClusterConfig;
use crate::process::listeners::Listeners;
use crate::process::tls_config::TlsConfig;
use engine::ids::{BrokerIds, JournalId, NodeId};
use engine::shard::Advertised;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A configuration that was checked: the folder is there and locked, ports were free, names and
/// values of Kafka settings are valid.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    pub data_dir: PathBuf,
    pub node: NodeId,
    /// Shards of this node, 1 to 1000.
    pub shards: u16,
    /// The core of each shard, by shard; the process may run on all of them.
    pub cpus: Vec<usize>,
    /// All shards together.
    pub memory_bytes: usize,
    /// What the process may open, files and sockets.
    pub open_files_max: usize,
    /// Used when the cluster is formed.
    pub segment_bytes: u64,
    /// Used when the cluster is formed.
    pub broker_ids: Option<BrokerIds>,
    /// Of all shards together; 0 is never.
    pub scrub_bytes_per_second: u64,
    pub rewrite_bytes_per_second: u64,
    /// Of all shards together.
    pub catch_up_bytes_per_s: u64,
    pub listeners: Listeners,
    /// Passwords and tokens are taken over connections that others can read, too.
    pub plaintext_passwords: bool,
    /// Certificates, where there are some.
    pub tls: Option<TlsConfig>,
    pub advertised: Advertised,
    pub kafka: Vec<(String, String)>,
    pub accept_loss: Vec<JournalId>,
    /// The other nodes; `None` for a cluster of its own.
    pub cluster: Option<ClusterConfig>,
}

pub(super) const PEER_LISTEN: &str = "--peer-listen";

impl NodeConfig {
    /// Where shard 0 listens, with the option that says so.
    pub(super) fn listens(&self) -> Vec<(&'static str, SocketAddr)> {
        let clients = self.listeners.0.iter().map(|one| (one.option(), one.listen));
        let peers = self.cluster.as_ref().map(|cluster| (PEER_LISTEN, cluster.listen));
        clients.chain(peers).collect()
    }
}

pub(super) fn share_a_host(one: SocketAddr, other: SocketAddr) -> bool {
    one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified()
}
