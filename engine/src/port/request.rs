//! What clients ask of a shard.

use super::writer::BatchWriter;
use crate::batch::Checked;
use crate::ids::{Offset, PartitionId};

/// Names a request from the caller's side until it is answered; unique within the shard's run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// How many copies must be durable before the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Acks {
    /// Nothing is answered, but for an error.
    None,
    /// This replica.
    Leader,
    /// A quorum, and `min.insync.replicas`.
    All,
}

/// One partition's batch of a produce request.
#[derive(Clone, Copy, Debug)]
pub struct Produce<'a> {
    pub request: RequestId,
    /// Which of the request's batches; comes back with the answer.
    pub slot: u32,
    pub partition: PartitionId,
    pub acks: Acks,
    /// The partition's records as received: exactly one batch v2.
    pub records: &'a [u8],
    /// What a [`RecordCheck`](crate::batch::RecordCheck) of them came to, which can take long
    /// where they are compressed. Without it they are looked at in the engine's step, if at all.
    pub checked: Option<Checked>,
    pub writer: BatchWriter,
}

/// A fetch of partitions that this shard leads. Answered once, with one result per partition in
/// the order given, when `min_bytes` are there, at the deadline, or at once when a partition has
/// an error.
#[derive(Clone, Debug)]
pub struct Fetch {
    pub request: RequestId,
    pub partitions: Vec<FetchPartition>,
    pub isolation: Isolation,
    pub min_bytes: u32,
    /// Reached by whole batches; the first batch found is given even when it is longer.
    pub max_bytes: u32,
    /// Monotonic nanoseconds.
    pub deadline_ns: u64,
}

/// What a reader is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// All below the watermark.
    #[default]
    ReadUncommitted,
    /// What is below the stable offset, and which transactions there were aborted.
    ReadCommitted,
}

#[derive(Clone, Copy, Debug)]
pub struct FetchPartition {
    pub partition: PartitionId,
    pub offset: Offset,
    pub max_bytes: u32,
    /// The epoch the client believes current; −1 is unknown.
    pub leader_epoch: i32,
    /// The epoch of the last record the client has (KIP-595); −1 is unknown.
    pub last_fetched_epoch: i32,
}

/// A question about one partition, answered by [`crate::port::Output::Answered`].
#[derive(Clone, Debug)]
pub struct Query {
    pub request: RequestId,
    pub slot: u32,
    pub partition: PartitionId,
    /// The epoch the client believes current; −1 is unknown.
    pub leader_epoch: i32,
    pub kind: QueryKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryKind {
    /// ListOffsets −2.
    Earliest,
    /// ListOffsets −1.
    Latest,
    /// The same for those who read only what is committed.
    Stable,
    /// ListOffsets −3 (KIP-734): the record with the highest timestamp.
    MaxTimestamp,
    /// ListOffsets: the first record at or after this time, milliseconds since 1970.
    AtTime(i64),
    /// OffsetForLeaderEpoch: where the newest epoch at or below this one ends.
    EpochEnd(i32),
    /// DeleteRecords: move the log start here; −1 is the high watermark.
    DeleteBefore(i64),
    /// DescribeLogDirs and tools: sizes and bounds.
    Describe,
    /// DescribeProducers.
    Producers,
}
