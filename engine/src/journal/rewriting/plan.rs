//! What a pass is told before it begins.

use crate::control::life::TopicSettings;
use crate::ids::{Index, Offset, PartitionId, RunId};
use crate::journal::read::aborted::MarkerAt;
use crate::journal::read::catalog::Finder;
use crate::journal::read::container::Container;
use std::collections::BTreeMap;

/// What a pass is given: all of it as it was when the pass began.
pub struct Plan {
    pub run: RunId,
    pub applied: Index,
    /// The clock of the leader.
    pub now_ms: i64,
    /// Random, for this pass alone.
    pub secret: u128,
    /// What keys are remembered in.
    pub key_map_bytes: usize,
    /// What is read, oldest first: a run or none, then segments.
    pub containers: Vec<Container>,
    /// Finds what came after them, too.
    pub live: Finder,
    /// Those that there are; of others nothing is alive.
    pub parts: BTreeMap<PartitionId, PartPlan>,
}

/// What is known of a partition.
pub struct PartPlan {
    pub settings: TopicSettings,
    pub log_start: Offset,
    /// Records below it were compared by their keys.
    pub clean_to: Offset,
    /// All below is decided.
    pub stable: Offset,
    /// Offsets below this one may be missing.
    pub skipped_below: Offset,
    /// There ever was a transaction.
    pub has_transactions: bool,
    /// Markers of segments whose index is in memory.
    pub markers: Vec<MarkerAt>,
}
