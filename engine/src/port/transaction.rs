//! What coordinators of transactions and the leaders of the partitions that take part say to each other. The shards that
//! carry it (mailboxes, links between nodes) are the caller's business.

use super::request::RequestId;
use crate::batch::Ending;
use crate::ids::{PartitionId, ProducerId};
pub use crate::partition::producers::TransactionVersion;
use std::sync::Arc;

/// A transaction's end, for its partitions that this shard leads. Each of them has its own answer,
/// `Output::Marked`; those of one journal turn visible at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markers {
    pub request: RequestId,
    pub producer: ProducerId,
    /// The marker's own: with version 2 above that of the records.
    pub epoch: i16,
    pub version: TransactionVersion,
    /// The leader epoch of the coordinator's partition of `__transaction_state`.
    pub coordinator_epoch: i32,
    pub ending: Ending,
    /// A partition's slot in the answer is its place here.
    pub partitions: Vec<PartitionId>,
}

/// What became of a marker in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkerAnswer {
    /// It is committed, was so before, or the partition was deleted.
    Done,
    /// Not led here (any more), or not open here yet: look for the leader and ask again. Whether the marker was
    /// written is not known.
    Moved,
    /// No space left: ask again later.
    Full,
    /// INVALID_PRODUCER_EPOCH: the producer is known here with a higher epoch. Nothing will come of it.
    OldEpoch,
    /// TRANSACTION_COORDINATOR_FENCED: another coordinator with a higher epoch wrote here. Nothing will come of it.
    OldCoordinator,
}

/// Before a producer's first batch of a transaction in some partitions: is it theirs? Asked of the producer's
/// coordinator, by the shard that has the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinTransaction {
    pub transactional_id: Arc<str>,
    pub producer: ProducerId,
    pub epoch: i16,
    /// Partitions that do not belong to it yet are added (clients from Produce 12 on do not say so before). Else it is
    /// only looked whether they do.
    pub adds: bool,
    /// By topic and number; the answer has one result for each, in this order.
    pub partitions: Vec<(Arc<str>, i32)>,
}

/// Why a partition does not belong to a producer's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinRefusal {
    /// CONCURRENT_TRANSACTIONS: the transaction before is still being ended. Asked again every 20 ms for a while.
    Concurrent,
    /// INVALID_TXN_STATE: the partition was not added, or there is no such transaction.
    NotInTransaction,
    /// INVALID_PRODUCER_EPOCH: another producer took over.
    OldEpoch,
    /// INVALID_PRODUCER_ID_MAPPING: the producer id is not that transactional id's.
    OtherProducer,
    /// UNKNOWN_TOPIC_OR_PARTITION.
    UnknownPartition,
    /// No coordinator answered in time; clients may try again.
    Unavailable,
}
