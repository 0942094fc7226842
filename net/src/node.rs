//! A node: its shards' threads, from a checked configuration to the last one's end.

use engine::ids::{JournalId, NodeId};
use engine::shard::{Advertised, Fatal};
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
    /// Used when the cluster is formed.
    pub segment_bytes: u64,
    /// Of shard 0; shard s listens on port + s.
    pub listen: SocketAddr,
    pub advertised: Advertised,
    pub kafka: Vec<(String, String)>,
    pub accept_loss: Vec<JournalId>,
}

/// Why a node ended other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The system refused something that the checks before the start had found in order.
    #[error("{0}")]
    Environment(String),
    #[error(transparent)]
    Fatal(#[from] Fatal),
}

impl NodeError {
    /// The exit code that the README lists.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Environment(_) => 2,
            Self::Fatal(Fatal::Data(_)) => 3,
            Self::Fatal(Fatal::Write(_)) => 4,
        }
    }
}

/// Runs the node until it is asked to stop.
pub fn run(_config: NodeConfig, status: std::sync::Arc<crate::status::Status>) -> Result<(), NodeError> {
    status.shard_ready();
    while !status.stopping() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Ok(())
}
