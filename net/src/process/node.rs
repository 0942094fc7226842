//! A node: its shards' threads, from a checked configuration to the last one's end.

use crate::observe::status::Status;
use crate::peer::addresses::Addresses;
use crate::peer::config::ClusterConfig;
use crate::process::descriptors::Descriptors;
use crate::process::entropy;
use crate::shard::mailbox;
use crate::shard::shard_run::{self, ShardSetup};
use engine::ids::{BrokerIds, JournalId, NodeId, ShardId};
use engine::port::Fatal;
use engine::shard::{Advertised, ShardConfig};
use glommio::{LocalExecutorBuilder, Placement, PoolPlacement};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

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
    /// Of all shards together.
    pub catch_up_bytes_per_s: u64,
    /// Of shard 0; shard s listens on port + s.
    pub listen: SocketAddr,
    pub advertised: Advertised,
    pub kafka: Vec<(String, String)>,
    pub accept_loss: Vec<JournalId>,
    /// The other nodes; `None` for a cluster of its own.
    pub cluster: Option<ClusterConfig>,
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

/// Memory that glommio pins for each shard's rings; beyond it the engine's own pool serves
/// (notes: with 16 MiB a shard four idle ones stay under 100 MB resident).
const IO_MEMORY_BYTES: usize = 16 << 20;
/// About a megabyte of metadata for a busy journal.
const RAFT_WINDOW_ENTRIES: usize = 8192;
/// Threads that make a shard's blocking calls, on any core.
const BLOCKING_THREADS: usize = 1;
/// A clean stop takes at most this long; then the process ends all the same.
const STOP_TIME_MAX: Duration = Duration::from_secs(9);
/// How often the main thread looks whether a stop was asked for.
const STOP_LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How the shards' threads tell the main one of their end.
#[derive(Default)]
pub struct End {
    state: Mutex<EndState>,
    changed: Condvar,
    recovered: AtomicU16,
}

#[derive(Default)]
struct EndState {
    error: Option<NodeError>,
    shards_ended: u16,
}

impl End {
    /// The node cannot go on; the first reason counts.
    pub fn fail(&self, error: NodeError) {
        self.state.lock().expect("a panic aborts").error.get_or_insert(error);
        self.changed.notify_all();
    }

    fn shard_ended(&self) {
        self.state.lock().expect("a panic aborts").shards_ended += 1;
        self.changed.notify_all();
    }

    pub fn shard_recovered(&self) {
        self.recovered.fetch_add(1, Ordering::AcqRel);
    }

    /// Shards whose recovery is over.
    pub fn recovered(&self) -> u16 {
        self.recovered.load(Ordering::Acquire)
    }

    /// Waits until all shards ended, one failed, or a stop takes too long.
    fn wait(&self, shards: u16, status: &Status) -> Result<(), NodeError> {
        let mut state = self.state.lock().expect("a panic aborts");
        let mut stopping_since: Option<Instant> = None;
        while state.shards_ended < shards {
            if let Some(error) = state.error.take() {
                return Err(error);
            }
            if status.stopping() && stopping_since.get_or_insert_with(Instant::now).elapsed() > STOP_TIME_MAX
            {
                tracing::error!("not all shards stopped in time: the next start recovers");
                return Ok(());
            }
            state = self.changed.wait_timeout(state, STOP_LOOK_INTERVAL).expect("a panic aborts").0;
        }
        state.error.take().map_or(Ok(()), Err)
    }
}

/// Runs the node's shards until it is asked to stop or one of them cannot go on.
pub fn run(config: NodeConfig, status: Arc<Status>) -> Result<(), NodeError> {
    assert_eq!(config.cpus.len(), usize::from(config.shards));
    let end = Arc::new(End::default());
    // Zero is not told.
    let nonce = entropy::random::<1>()[0] | 1;
    let descriptors = Descriptors::new(config.open_files_max, config.shards);
    let others = config.cluster.as_ref().filter(|cluster| cluster.has_others());
    let peers = others.map(|cluster| peers(cluster, config.node)).transpose()?;
    for (shard, ends) in mailbox::ends(config.shards).into_iter().enumerate() {
        let shard = ShardId(shard as u16);
        let setup = ShardSetup {
            config: shard_config(&config, nonce, shard),
            memory_bytes: config.memory_bytes / usize::from(config.shards),
            data_dir: config.data_dir.clone(),
            listen: of_shard(config.listen, shard),
            peers: peers.as_ref().map(|(first, addresses)| (of_shard(*first, shard), Arc::clone(addresses))),
            status: Arc::clone(&status),
            descriptors: Arc::clone(&descriptors),
            end: Arc::clone(&end),
            ends,
        };
        let at_end = Arc::clone(&end);
        LocalExecutorBuilder::new(Placement::Fixed(config.cpus[usize::from(shard.0)]))
            .name(&format!("shard-{shard}"))
            .io_memory(IO_MEMORY_BYTES)
            .blocking_thread_pool_placement(PoolPlacement::Unbound(BLOCKING_THREADS))
            .spawn(move || async move {
                let failed = Arc::clone(&at_end);
                if let Err(error) = shard_run::run(setup).await {
                    failed.fail(error);
                }
                at_end.shard_ended();
            })
            .map_err(|error| NodeError::Environment(format!("shard {shard} could not start: {error}")))?;
    }
    end.wait(config.shards, &status)
}

/// Shard s listens on the first port + s.
fn of_shard(first: SocketAddr, shard: ShardId) -> SocketAddr {
    SocketAddr::new(first.ip(), first.port() + shard.0)
}

fn peers(cluster: &ClusterConfig, own: NodeId) -> Result<(SocketAddr, Arc<Addresses>), NodeError> {
    let addresses = Addresses::start(&cluster.peers, own)
        .map_err(|error| NodeError::Environment(format!("no thread to look up names: {error}")))?;
    Ok((cluster.listen, addresses))
}

fn shard_config(config: &NodeConfig, nonce: u64, shard: ShardId) -> ShardConfig {
    ShardConfig {
        node: config.node,
        peers: config.cluster.as_ref().map(ClusterConfig::nodes).unwrap_or_default(),
        shard,
        shards: config.shards,
        lanes: config.shards,
        // The other half is for frames and answers (see `connections`).
        memory_bytes: config.memory_bytes / usize::from(config.shards) / 2,
        segment_bytes: config.segment_bytes,
        broker_ids: config.broker_ids,
        scrub_bytes_per_second: config.scrub_bytes_per_second.div_ceil(u64::from(config.shards)),
        catch_up_bytes_per_s: config.catch_up_bytes_per_s / u64::from(config.shards),
        raft_window_entries: RAFT_WINDOW_ENTRIES,
        entropy: entropy::random(),
        nonce,
        accept_loss: config.accept_loss.clone(),
        kafka: config.kafka.clone(),
        advertised: config.advertised.clone(),
    }
}
