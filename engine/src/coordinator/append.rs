//! How a batch of a coordinator stands to the log.

use crate::port::Guard;

/// One stay of a partition with this coordinator: whatever was begun in an earlier one is
/// nobody's, also when the term is the same (the topic was made anew, say).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tenure {
    pub partition: i32,
    pub number: u64,
}

/// Names an append until its outcome is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AppendId {
    pub tenure: Tenure,
    pub number: u64,
}

/// Why a batch is not in the log, as far as this leader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// This shard does not lead the partition any more.
    NotLeader,
    /// Above what a batch may be.
    TooLarge,
    /// The producer of its transaction has been fenced.
    Fenced,
    /// No room, too few replicas: it may work later.
    Unavailable,
}

/// The transaction that a batch is part of, for a client of the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InTransaction {
    pub producer: i64,
    pub epoch: i16,
    /// Where it begins the transaction in the partition: what the transaction's coordinator said yes to.
    pub guard: Option<Guard>,
}
