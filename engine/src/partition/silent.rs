//! Transactions that are open while their producers say nothing: what readers of what is committed may wait for in vain.

use super::fold::Fold;
use crate::ids::{Offset, PartitionId, ProducerId};

/// Where one is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silent {
    pub partition: PartitionId,
    /// Where it begins.
    pub first: Offset,
    pub producer: ProducerId,
    /// When the producer wrote there last, by the leaders' clocks.
    pub since_ms: i64,
}

impl Fold {
    /// Of the transactions whose producer wrote nothing since `before_ms` the one that is silent for longest, and in how
    /// many partitions there is such a one. A journal without open ones costs nothing, any other a pass over its partitions.
    pub fn silent(&self, before_ms: i64) -> Option<(Silent, u64)> {
        if self.open_transactions() == 0 {
            return None;
        }
        let mut found: Option<(Silent, u64)> = None;
        for (id, partition) in self.partitions() {
            let silent = |(first, producer)| {
                let known = partition.producers.get(&producer).expect("who has one open is never forgotten");
                Silent { partition: id, first, producer, since_ms: known.last_wall_ms }
            };
            let open = partition.transactions.open().map(silent).filter(|one| one.since_ms < before_ms);
            let Some(longest) = open.min_by_key(|one| one.since_ms) else { continue };
            found = Some(match found {
                Some((before, count)) if before.since_ms <= longest.since_ms => (before, count + 1),
                Some((_, count)) => (longest, count + 1),
                None => (longest, 1),
            });
        }
        found
    }
}
