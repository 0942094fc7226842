//! What a shard asks of the shard that leads a journal, wherever in the cluster that is: ends of transactions to be
//! written, and whether a partition belongs to one. Who carries errands is the caller's business; one that is lost is
//! not answered.

use super::transaction::{JoinRefusal, JoinTransaction, MarkerAnswer, Markers};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// To the leader of the partitions' journal; the request's number is given there.
    Mark(Markers),
    /// To the producer's coordinator.
    Join(JoinTransaction),
}

/// One answer, of the errand's kind: one result for each of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrandAnswer {
    Marked(Vec<MarkerAnswer>),
    Joined(Vec<Result<(), JoinRefusal>>),
}
