//! A shard: the journals of its lanes and their partitions, behind one `step`.

pub mod config;
pub mod input;
pub mod output;

pub use config::{Advertised, ShardConfig};
pub use input::{Acks, Fetch, FetchPartition, Input, Produce, Query, QueryKind, RequestId};
pub use output::{
    Answer, ControlRefusal, Event, Fatal, FetchedPartition, Output, PartitionStatus, Produced,
    ProducerStatus, Refusal,
};

use crate::clock::Now;
use crate::disk::BufferPool;
use crate::ids::PartitionId;

/// The state of one shard. `step` is its only way to change.
pub struct Shard {
    pool: BufferPool,
}

impl Shard {
    /// A shard that has done nothing yet; its first input is [`Input::Start`].
    pub fn new(config: ShardConfig, pool: BufferPool) -> Self {
        let _ = config;
        Self { pool }
    }

    /// Takes one input and appends what follows from it. Never blocks, never awaits.
    pub fn step(&mut self, now: Now, input: Input<'_>, out: &mut Vec<Output>) {
        let _ = (now, input, out, &self.pool);
    }

    /// Whether a batch of `bytes` for this partition can be taken now. When not, hold the request
    /// and stop reading from that producer until [`Output::Room`].
    pub fn room_for(&self, partition: PartitionId, bytes: usize) -> bool {
        let _ = (partition, bytes);
        true
    }

    /// The shard's figures, for the metrics page.
    pub fn metrics(&self) -> ShardMetrics {
        ShardMetrics::default()
    }
}

/// Counters since the start and gauges of now; `net` turns them into Prometheus text.
#[derive(Clone, Debug, Default)]
pub struct ShardMetrics {
    pub journals: Vec<JournalMetrics>,
    pub parked_fetches: u64,
    pub cache_bytes: u64,
    pub pool_used_bytes: u64,
    pub pool_free_bytes: u64,
}

/// One journal's part.
#[derive(Clone, Debug, Default)]
pub struct JournalMetrics {
    pub journal: crate::ids::JournalId,
    pub term: u64,
    pub is_leader: bool,
    pub commit: u64,
    pub durable: u64,
    pub last: u64,
    pub entries: u64,
    pub entry_bytes: u64,
    pub batches: u64,
    pub batch_bytes: u64,
    pub syncs: u64,
    /// Entries made durable by those syncs.
    pub synced_entries: u64,
    pub duplicates: u64,
    pub segments: u64,
    pub live_bytes: u64,
    /// Bytes of batches below a log start or of deleted partitions, in segments still there.
    pub dead_bytes: u64,
    /// Dead bytes in sealed segments that something alive in the same or an earlier segment keeps.
    pub pinned_bytes: u64,
    pub full: bool,
    pub damaged_ranges: u64,
    /// Nanoseconds: append to durable, the sum and count over all entries.
    pub durable_latency_sum_ns: u64,
    pub durable_latency_count: u64,
}
