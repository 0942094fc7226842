//! A node: its shards' threads, from a checked configuration to the last one's end.

use crate::client::sasl::shard_sasl::SaslSetup;
use crate::observe::status::Status;
use crate::peer::addresses::Addresses;
use crate::peer::config::ClusterConfig;
use crate::process::descriptors::Descriptors;
use crate::process::end::{End, NodeError};
use crate::process::entropy;
use crate::process::node_config::NodeConfig;
use crate::shard::mailbox;
use crate::shard::shard_run::{self, ShardSetup};
use crate::tls::live::LiveTls;
use engine::ids::{NodeId, ShardId};
use engine::shard::ShardConfig;
use glommio::{LocalExecutorBuilder, Placement, PoolPlacement};
use std::net::SocketAddr;
use std::sync::Arc;

/// Memory that glommio pins for each shard's rings; beyond it the engine's own pool serves
/// (notes: with 16 MiB a shard four idle ones stay under 100 MB resident).
const IO_MEMORY_BYTES: usize = 16 << 20;
/// About a megabyte of metadata for a busy journal.
const RAFT_WINDOW_ENTRIES: usize = 8192;
/// Threads that make a shard's blocking calls, on any core.
const BLOCKING_THREADS: usize = 1;

/// Runs the node's shards until it is asked to stop or one of them cannot go on.
pub fn run(
    config: NodeConfig,
    sasl: &SaslSetup,
    tls: Option<Arc<LiveTls>>,
    status: Arc<Status>,
) -> Result<(), NodeError> {
    assert_eq!(config.cpus.len(), usize::from(config.shards));
    let end = Arc::new(End::default());
    // Zero is not told.
    let nonce = entropy::random::<1>()[0] | 1;
    let descriptors = Descriptors::new(config.open_files_max, config.shards);
    let peers = config.cluster.as_ref().map(|cluster| peers(cluster, config.node)).transpose()?;
    for (shard, ends) in mailbox::ends(config.shards).into_iter().enumerate() {
        let shard = ShardId(shard as u16);
        let setup = ShardSetup {
            config: shard_config(&config, nonce, shard),
            memory_bytes: config.memory_bytes / usize::from(config.shards),
            data_dir: config.data_dir.clone(),
            listeners: {
                let all = config.listeners.0.iter();
                all.map(|one| (Arc::clone(&one.listener), of_shard(one.listen, shard))).collect()
            },
            peer_tls: config.cluster.as_ref().map(|cluster| cluster.tls).unwrap_or_default(),
            met: config.cluster.as_ref().map(|cluster| cluster.met.clone()).unwrap_or_default(),
            peers: peers.as_ref().map(|(first, addresses)| (of_shard(*first, shard), Arc::clone(addresses))),
            sasl: sasl.clone(),
            tls: tls.clone(),
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
    let addresses = Addresses::start(&cluster.peers, &cluster.met, own)
        .map_err(|error| NodeError::Environment(format!("no thread to look up names: {error}")))?;
    Ok((cluster.listen, addresses))
}

fn shard_config(config: &NodeConfig, nonce: u64, shard: ShardId) -> ShardConfig {
    let cluster = config.cluster.as_ref();
    ShardConfig {
        node: config.node,
        peers: cluster.map(|cluster| cluster.nodes(config.node)).unwrap_or_default(),
        has_met_others: cluster.is_some_and(|cluster| !cluster.met.is_empty()),
        joins: cluster.is_some_and(|cluster| cluster.join.is_some()),
        shard,
        shards: config.shards,
        lanes: config.shards,
        // The other half is for frames and answers (see `connections`).
        memory_bytes: config.memory_bytes / usize::from(config.shards) / 2,
        segment_bytes: config.segment_bytes,
        broker_ids: config.broker_ids,
        rewrite_bytes_per_second: config.rewrite_bytes_per_second.div_ceil(u64::from(config.shards)),
        key_map_bytes: engine::rewrite::KEY_MAP_BYTES,
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
