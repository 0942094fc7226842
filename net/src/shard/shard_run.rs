//! One shard's life on its thread: recover, listen, serve, stop.

use super::results::TICK;
use crate::client::connections::Connections;
use crate::client::listener;
use crate::client::sasl::shard_sasl::SaslSetup;
use crate::kafka::listener::Listener;
use crate::observe::status::{Phase, Status};
use crate::peer::addresses::Addresses;
use crate::peer::met_nodes::MetNodes;
use crate::peer::secure::{PeerTls, Security};
use crate::process::descriptors::Descriptors;
use crate::process::end::{End, NodeError};
use crate::shard::mailbox::Ends;
use crate::shard::shard_loop::peers::PeerSetup;
use crate::shard::shard_loop::{ShardLoop, ShardPhase};
use crate::tls::live::LiveTls;
use engine::disk::BufferPool;
use engine::disk::glommio_disk::GlommioDisk;
use engine::entry::layout::LARGE_ENTRY_BYTES_MAX;
use engine::port::Input;
use engine::shard::{Shard, ShardConfig};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What a shard's thread is given.
pub struct ShardSetup {
    pub config: ShardConfig,
    /// The shard's whole budget.
    pub memory_bytes: usize,
    pub data_dir: PathBuf,
    /// Where this shard listens for clients.
    pub listeners: Vec<(Arc<Listener>, SocketAddr)>,
    /// Where this shard listens for other nodes, and where they are.
    pub peers: Option<(SocketAddr, Arc<Addresses>)>,
    /// Members that the data folder has.
    pub met: MetNodes,
    /// Whether links to them are within TLS.
    pub peer_tls: PeerTls,
    pub sasl: SaslSetup,
    /// Certificates, where a listener is within TLS.
    pub tls: Option<Arc<LiveTls>>,
    pub status: Arc<Status>,
    pub descriptors: Arc<Descriptors>,
    pub end: Arc<End>,
    pub ends: Ends,
}

/// Once per this many ticks figures are published and connections looked at.
const TICKS_PER_SECOND: u64 = 100;
/// On a stop the node hands over what it leads first, for at most this long: two elections.
const HAND_OVER_TIME_MAX: Duration = Duration::from_secs(1);
/// Then requests in flight may take this long, and then the engine's own stop this long;
/// together they are below what the process waits for.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(3);
/// What waits for one other shard pins the engine's buffers: this part of its memory at most, and
/// room for a largest entry and what is said around it at least.
const LINK_SHARE: usize = 8;
const LINK_QUEUE_BYTES_MIN: usize = LARGE_ENTRY_BYTES_MAX + (4 << 20);

/// Runs a shard to its end.
pub async fn run(setup: ShardSetup) -> Result<(), NodeError> {
    let ShardSetup {
        config,
        memory_bytes,
        data_dir,
        listeners,
        peers,
        met,
        peer_tls,
        sasl,
        tls,
        status,
        descriptors,
        end,
        ends,
    } = setup;
    let disk = GlommioDisk::open_counted(&data_dir, Arc::clone(&descriptors.files)).await;
    let disk = disk.map_err(|error| NodeError::Environment(error.to_string()))?;
    let (shards, engine_bytes) = (config.shards, config.memory_bytes);
    // A quarter of the engine's part may lie in free lists, ready for the next burst.
    let pool = BufferPool::new(engine_bytes / 4);
    let engine = Shard::new(config.clone(), pool.clone());
    let at_fatal = Arc::clone(&end);
    let on_fatal = Box::new(move |error| at_fatal.fail(error));
    let shard = ShardLoop::new(config, engine, disk, Arc::clone(&status), on_fatal);
    if let Some((listen, addresses)) = peers {
        let queue_bytes_max = (engine_bytes / LINK_SHARE).max(LINK_QUEUE_BYTES_MIN);
        let security = tls.clone().filter(|_| peer_tls != PeerTls::Off);
        let security = security.map(|tls| Security::new(tls, peer_tls));
        let linked = shard.link(PeerSetup { listen, addresses, met, security, pool, queue_bytes_max });
        linked.map_err(|error| NodeError::Environment(format!("cannot listen on {listen}: {error}")))?;
    }
    shard.start(ends);
    let connections =
        Connections::new(Rc::clone(&shard), memory_bytes, (sasl, tls), Arc::clone(&descriptors));
    let ticking = (Rc::clone(&shard), Rc::clone(&connections));
    glommio::spawn_local(async move { tick(ticking.0, &ticking.1).await }).detach();

    let recovered = || shard.phase.get() >= ShardPhase::Ready;
    shard.changes.until(|| recovered() || status.stopping()).await;
    end.shard_recovered();
    // Metadata names every shard: none is reachable before all can answer.
    shard.changes.until(|| end.recovered() == shards || status.stopping()).await;
    let over = || status.stopping() || shard.phase.get() >= ShardPhase::Stopped;
    if !status.stopping() && shard.phase.get() == ShardPhase::Ready {
        descriptors.count_own();
        let bind = |(listener, at)| Ok((listener, listener::bind(at)?));
        let bound: Vec<_> = listeners.into_iter().map(bind).collect::<Result<_, NodeError>>()?;
        for (listener, socket) in bound {
            glommio::spawn_local(listener::accept(socket, listener, Rc::clone(&connections))).detach();
        }
        // Clients of other nodes are sent here only once the metadata has this node's address.
        shard.changes.until(|| shard.view().is_registered(shard.config.node) || over()).await;
        // Whoever sees that the node is ready sees its own figures, not those of one that is not there.
        shard.publish_page();
        status.shard_ready();
        if status.phase() == Phase::Serving {
            tracing::info!(shards, "ready: every shard answers clients");
        }
    }
    shard.changes.until(over).await;
    stop(&shard, &connections).await;
    Ok(())
}

/// The engine's tick, and about every second the figures and the look at connections.
async fn tick(shard: Rc<ShardLoop>, connections: &Connections) {
    for ticks in 1u64.. {
        let due_ns = shard.now().plus(TICK);
        glommio::timer::sleep(TICK).await;
        let late_ns = shard.now().mono_ns.saturating_sub(due_ns);
        shard.page.borrow_mut().ticks_late.record(late_ns);
        shard.tick();
        if ticks.is_multiple_of(TICKS_PER_SECOND) {
            connections.sweep();
            shard.look_at_disk();
            shard.publish_page();
        }
    }
}

/// Hands over what is led here while clients are still served, answers what is in flight, then lets the engine
/// write what makes the next start short.
async fn stop(shard: &Rc<ShardLoop>, connections: &Connections) {
    shard.step(Input::Drain);
    let deadline_ns = shard.now().plus(HAND_OVER_TIME_MAX);
    shard.changes.until(|| !shard.hands_over() || shard.now().mono_ns > deadline_ns).await;
    connections.stop();
    let deadline_ns = shard.now().plus(DRAIN_TIME_MAX);
    let drained = || connections.is_empty() || shard.now().mono_ns > deadline_ns;
    shard.changes.until(drained).await;
    connections.close_all();
    shard.step(Input::Stop);
    shard.changes.until(|| shard.phase.get() >= ShardPhase::Stopped).await;
    shard.publish_page();
}
