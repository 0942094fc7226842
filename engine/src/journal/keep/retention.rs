//! What may go: log starts to move, segments that are dead, and how much dead space others pin.

use crate::collections::Map;
use crate::entry::item::Item;
use crate::ids::{Offset, PartitionId};
use crate::journal::read::container::Sealed;
use crate::journal::read::want::ReadFault;
use std::rc::Rc;

/// A partition's bounds and rules at the time of the pass.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub log_start: Offset,
    /// Offsets below this one may be missing: they are dead, or were accepted as lost.
    pub whole_from: Offset,
    pub kept_bytes: u64,
    /// Records whose segment's newest is older than this may go; `None` keeps them for ever.
    pub expired_before_ms: Option<i64>,
    pub bytes_max: Option<u64>,
}

/// What a pass over the sealed segments found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionDone {
    pub items: Vec<Item>,
    /// So many segments from the front hold nothing alive.
    pub dead_segments: usize,
    pub dead_bytes: u64,
    /// Dead bytes behind the first segment that something alive keeps.
    pub pinned_bytes: u64,
    /// A partition begins in the first segment that has it, but behind offsets that are alive: segments that held
    /// them are gone, though nothing deleted them.
    pub front_is_missing: bool,
}

/// Passes over the sealed segments, oldest first. A partition without rules was dropped.
pub async fn pass(
    segments: Vec<Rc<Sealed>>,
    partitions: Map<PartitionId, Rules>,
) -> Result<RetentionDone, ReadFault> {
    let mut done = RetentionDone::default();
    let mut moved: Map<PartitionId, (Offset, u64)> = Map::default();
    let mut seen: Map<PartitionId, ()> = Map::default();
    let mut front_is_dead = true;
    for segment in &segments {
        let mut dead_bytes = 0;
        let mut is_dead = true;
        for summary in segment.index.partitions().await? {
            let Some(rules) = partitions.get(&summary.partition) else {
                dead_bytes += summary.batch_bytes;
                continue;
            };
            if seen.insert(summary.partition, ()).is_none() && summary.first_offset > rules.whole_from {
                done.front_is_missing = true;
            }
            if summary.next_offset <= rules.log_start {
                dead_bytes += summary.batch_bytes;
                continue;
            }
            is_dead = false;
            let (start, kept_bytes) =
                moved.get(&summary.partition).copied().unwrap_or((rules.log_start, rules.kept_bytes));
            let is_oldest = summary.first_offset <= start;
            let expired = rules.expired_before_ms.is_some_and(|before| summary.max_timestamp < before);
            let left = kept_bytes.saturating_sub(summary.batch_bytes);
            let too_much = rules.bytes_max.is_some_and(|bytes_max| left >= bytes_max);
            if is_oldest && (expired || too_much) {
                moved.insert(summary.partition, (summary.next_offset, left));
            }
        }
        front_is_dead &= is_dead;
        done.dead_segments += usize::from(front_is_dead);
        done.dead_bytes += dead_bytes;
        done.pinned_bytes += if front_is_dead { 0 } else { dead_bytes };
    }
    done.items = moved_items(moved);
    Ok(done)
}

fn moved_items(moved: Map<PartitionId, (Offset, u64)>) -> Vec<Item> {
    let mut moved: Vec<_> = moved.into_iter().collect();
    moved.sort_unstable();
    let item =
        |(partition, (log_start, kept_bytes))| Item::LogStartMoved { partition, log_start, kept_bytes };
    moved.into_iter().map(item).collect()
}
