//! One simulated node: its disk, which outlives its processes, and its shards while one runs.

use super::carried::Carried;
use super::coordinating::Coordinating;
use super::disk::SimDisk;
use super::promises::Promises;
use engine::clock::Now;
use engine::control::View;
use engine::disk::BufferPool;
use engine::groups::Groups;
use engine::ids::{Index, JournalId, NodeId, ShardId, Term};
use engine::register::{Meeting, Met};
use engine::rewrite::KEY_MAP_BYTES;
use engine::rng::mix;
use engine::shard::{Advertised, Shard, ShardConfig};
use engine::transactions::TransactionalIds;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a shard keeps for reuse: one largest entry is enough for a simulated node.
const POOL_FREE_BYTES_MAX: usize = 4 << 20;
/// These little logs are gone through in a second or two.
const SCRUB_BYTES_PER_SECOND: u64 = 512 << 10;
const REWRITE_BYTES_PER_SECOND: u64 = 4 << 20;
/// So few that a partition's keys do not all find room, in some seeds.
const KEY_MAP_FEW_BYTES: usize = 24 * 12;
const SHARD_MEMORY_BYTES: usize = 64 << 20;
/// Few, so that a follower that was away for a little needs more than that.
const RAFT_WINDOW_ENTRIES: usize = 64;
/// Low enough that the small logs here are held up by it.
const CATCH_UP_BYTES_PER_S: u64 = 8 << 20;
/// 2026-01-01: far from zero, so that differences of wall clocks show no luck.
pub const WALL_EPOCH_MS: i64 = 1_767_225_600_000;

/// A running shard.
pub struct ShardSlot {
    pub shard: Shard,
    pub pool: BufferPool,
    pub turn_is_due: bool,
    pub is_ready: bool,
    pub is_stopped: bool,
    /// The newest view that it was given.
    pub view: Arc<View>,
    pub(super) groups: Coordinating<Groups>,
    pub(super) transactions: Coordinating<TransactionalIds>,
}

pub struct Node {
    pub number: usize,
    pub disk: SimDisk,
    /// What its processes wrote there, and said of it.
    pub(super) promises: Promises,
    pub shards: Vec<ShardSlot>,
    /// Processes started so far; events of an earlier one are void.
    pub run: u64,
    /// When the process started, and its monotonic clock then.
    mono_base_ns: u64,
    /// What the wall clock is ahead of true time.
    pub wall_offset_ms: i64,
    /// Nothing on this node runs before then.
    pub paused_until_ns: u64,
    /// No disk operation completes before then.
    pub stalled_until_ns: u64,
    /// A write or sync failed: the process must end with its next turn.
    pub must_end: bool,
    /// The process was asked to stop.
    pub is_stopping: bool,
    /// This process, or the last one, answered clients.
    pub was_ready: bool,
    /// The newest view that this process made.
    pub published: Index,
    pub accept_loss: Vec<JournalId>,
    /// The operator's list, where it is not that of all nodes.
    pub listed: Option<Vec<NodeId>>,
    /// Nodes that it wrote down when the metadata named them.
    pub met: Vec<NodeId>,
    /// It joins the cluster that those listed are of.
    pub joins: bool,
    /// Disks that it lost.
    pub wipes: u64,
    /// Who leads what, as far as this process knows.
    pub leaders: BTreeMap<JournalId, (Term, Option<NodeId>)>,
    /// Grows whenever one was told.
    pub leader_changes: u64,
    /// What its process does for transactions.
    pub(super) carried: Carried,
}

impl Node {
    pub fn new(number: usize) -> Self {
        Self {
            number,
            disk: SimDisk::new(),
            promises: Promises::default(),
            shards: Vec::new(),
            run: 0,
            mono_base_ns: 0,
            wall_offset_ms: 0,
            paused_until_ns: 0,
            stalled_until_ns: 0,
            must_end: false,
            is_stopping: false,
            was_ready: false,
            published: Index::NONE,
            accept_loss: Vec::new(),
            listed: None,
            met: Vec::new(),
            joins: false,
            wipes: 0,
            leaders: BTreeMap::new(),
            leader_changes: 0,
            carried: Carried::default(),
        }
    }

    /// Whether it would speak to another node.
    pub fn knows(&self, node: usize) -> bool {
        let node = NodeId(node as u32);
        self.listed.as_ref().is_none_or(|listed| listed.contains(&node)) || self.met.contains(&node)
    }

    pub fn is_running(&self) -> bool {
        !self.shards.is_empty()
    }

    pub fn is_ready(&self) -> bool {
        self.is_running() && self.shards.iter().all(|slot| slot.is_ready)
    }

    /// Ready, and not about to stop.
    pub fn is_serving(&self) -> bool {
        self.is_ready() && !self.is_stopping
    }

    /// Makes the shards of a new process; they have had no input yet.
    pub fn boot(&mut self, seed: u64, nodes: usize, shards: u16, segment_bytes: u64) {
        assert!(!self.is_running());
        self.run += 1;
        self.must_end = false;
        self.is_stopping = false;
        self.was_ready = false;
        self.published = Index::NONE;
        self.leaders.clear();
        self.carried = Carried::default();
        // A monotonic clock starts anywhere.
        self.mono_base_ns = mix(seed ^ self.run) >> 20;
        for shard in 0..shards {
            let pool = BufferPool::new(POOL_FREE_BYTES_MAX);
            let config = self.shard_config(seed, nodes, (shard, shards), segment_bytes);
            self.shards.push(ShardSlot {
                shard: Shard::new(config, pool.clone()),
                pool,
                turn_is_due: false,
                is_ready: false,
                is_stopped: false,
                view: Arc::default(),
                groups: Coordinating::of_groups(),
                transactions: Coordinating::of_transactions(),
            });
        }
    }

    fn nonce(&self, seed: u64) -> u64 {
        mix(mix(seed ^ 0x6e_6f6e_6365) ^ (self.run << 8 | self.number as u64)) | 1
    }

    /// Its process, as a handshake names it; none before its start is written down.
    pub fn process(&self) -> Option<Met> {
        let shard = &self.shards.first()?.shard;
        let (node, incarnation) = (NodeId(self.number as u32), shard.node()?.incarnation);
        Some(Met { node, incarnation, run: shard.run()? })
    }

    /// Whether this node knows the process that another one runs.
    pub fn has_met(&self, other: &Node) -> bool {
        let register = self.shards.first().and_then(|slot| slot.shard.register());
        let known = register.zip(other.process()).map(|(register, process)| register.meet(&process));
        known == Some(Meeting::Known)
    }

    fn shard_config(
        &self,
        seed: u64,
        nodes: usize,
        (shard, shards): (u16, u16),
        segment_bytes: u64,
    ) -> ShardConfig {
        let draw = |word: u64| {
            mix(seed ^ mix(self.run << 24 | (self.number as u64) << 16 | u64::from(shard) << 8 | word))
        };
        let all = || if nodes > 1 { (0..nodes as u32).map(NodeId).collect() } else { Vec::new() };
        let listed = self.listed.clone().unwrap_or_else(all);
        ShardConfig {
            node: NodeId(self.number as u32),
            peers: listed.into_iter().chain(self.met.iter().copied()).collect(),
            has_met_others: !self.met.is_empty(),
            joins: self.joins,
            shard: ShardId(shard),
            shards,
            lanes: shards,
            memory_bytes: SHARD_MEMORY_BYTES,
            segment_bytes,
            broker_ids: None,
            scrub_bytes_per_second: SCRUB_BYTES_PER_SECOND,
            rewrite_bytes_per_second: REWRITE_BYTES_PER_SECOND,
            key_map_bytes: if seed.is_multiple_of(3) { KEY_MAP_FEW_BYTES } else { KEY_MAP_BYTES },
            catch_up_bytes_per_s: CATCH_UP_BYTES_PER_S,
            raft_window_entries: RAFT_WINDOW_ENTRIES,
            entropy: [draw(0), draw(1), draw(2), draw(3)],
            nonce: self.nonce(seed),
            accept_loss: self.accept_loss.clone(),
            kafka: Vec::new(),
            advertised: Advertised {
                host: "sim".into(),
                first_port: 9092,
                rack: None,
                ..Advertised::default()
            },
        }
    }

    pub fn now(&self, true_ns: u64) -> Now {
        Now { mono_ns: self.mono_base_ns + true_ns, wall_ms: self.wall_ms(true_ns) }
    }

    pub fn wall_ms(&self, true_ns: u64) -> i64 {
        WALL_EPOCH_MS + (true_ns / 1_000_000) as i64 + self.wall_offset_ms
    }

    /// A shard says who leads a journal.
    pub fn learn(&mut self, journal: JournalId, term: Term, leader: Option<NodeId>) {
        let known = self.leaders.entry(journal).or_default();
        // What is said of the same term later is newer: also that nobody is known to lead any more.
        if term >= known.0 {
            *known = (term, leader);
            self.leader_changes += 1;
        }
    }

    /// The newest view that any shard has.
    pub fn view(&self) -> Arc<View> {
        self.shards.iter().map(|slot| &slot.view).max_by_key(|view| view.version).cloned().unwrap_or_default()
    }
}
