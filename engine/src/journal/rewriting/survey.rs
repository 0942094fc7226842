//! What a pass could take, and whether it is worth one.

use super::plan::{PartPlan, Plan};
use crate::disk::io::Io;
use crate::entry::run_made::RUN_INPUTS_MAX;
use crate::ids::PartitionId;
use crate::journal::read::container::Container;
use crate::journal::read::index::PartitionFacts;
use crate::journal::read::sealed_index::IndexError;
use crate::rewrite::due::young_from_ms;
use crate::rewrite::{CompactionDue, Dirt};
use std::collections::BTreeMap;

/// Partitions looked at in one step.
const AT_ONCE: u32 = 512;
/// A run's index beside its batches, at most: a chunk has 56 bytes for up to 64 KiB or one batch of at least 61 bytes, and
/// chunks are at least half full unless batches are long.
const INDEX_SHARE: u64 = 64;

/// What was found.
#[derive(Clone, Copy, Debug)]
pub struct Survey {
    /// So many of the first containers are taken.
    pub taken: usize,
    /// Of files, those taken.
    pub file_bytes: u64,
    /// No run of them is longer.
    pub file_bytes_max: u64,
    /// Of batches: what the run before has, and what the segments taken have.
    pub clean_bytes: u64,
    pub dirty_bytes: u64,
    pub due: CompactionDue,
}

/// What one partition has that is new.
#[derive(Clone, Copy, Default)]
struct New {
    bytes: u64,
    /// The newest time in the oldest segment: no record of it is later.
    oldest_ms: Option<i64>,
}

/// Containers, in order, up to the first segment that has what is not decided yet or too young.
pub async fn survey(io: &Io, plan: &Plan) -> Result<Survey, IndexError> {
    let mut survey = Survey {
        taken: 0,
        file_bytes: 0,
        file_bytes_max: 0,
        clean_bytes: 0,
        dirty_bytes: 0,
        due: CompactionDue::No,
    };
    let (mut new, mut dead_bytes, mut segments) = (BTreeMap::<PartitionId, New>::new(), 0, 0);
    let mut partitions = 0;
    for container in plan.containers.iter().take(RUN_INPUTS_MAX) {
        let all = facts_of(io, container).await?;
        let is_segment = container.segment().is_some();
        if is_segment && !all.iter().all(|facts| may_be_taken(plan, facts)) {
            break;
        }
        survey.taken += 1;
        survey.file_bytes += container.bytes();
        segments += usize::from(is_segment);
        partitions += all.len() as u64;
        for facts in &all {
            let is_alive = |part: &PartPlan| facts.next_offset > part.log_start;
            let alive = plan.parts.get(&facts.partition).is_some_and(is_alive);
            match (alive, is_segment) {
                (false, _) => dead_bytes += facts.batch_bytes,
                (true, false) => survey.clean_bytes += facts.batch_bytes,
                (true, true) => {
                    survey.dirty_bytes += facts.batch_bytes;
                    let new = new.entry(facts.partition).or_default();
                    new.bytes += facts.batch_bytes;
                    new.oldest_ms.get_or_insert(facts.max_timestamp);
                }
            }
        }
    }
    let batch_bytes = survey.clean_bytes + survey.dirty_bytes;
    survey.file_bytes_max =
        (batch_bytes + batch_bytes / INDEX_SHARE + partitions * 256 + (1 << 20)).next_multiple_of(4096);
    if segments > 0 {
        let is_pinned = dead_bytes * 4 > batch_bytes + dead_bytes;
        survey.due = due(plan, &survey, &new, is_pinned);
    }
    Ok(survey)
}

async fn facts_of(io: &Io, container: &Container) -> Result<Vec<PartitionFacts>, IndexError> {
    let mut all = Vec::new();
    while (all.len() as u32) < container.partitions() {
        all.extend(container.facts_from(all.len() as u32, AT_ONCE).await?);
        io.rest().await?;
    }
    Ok(all)
}

/// Whether all that a segment has of a partition is decided, and old enough.
fn may_be_taken(plan: &Plan, facts: &PartitionFacts) -> bool {
    let Some(part) = plan.parts.get(&facts.partition) else { return true };
    let young_from_ms = young_from_ms(&part.settings, plan.now_ms);
    facts.next_offset <= part.stable && young_from_ms.is_none_or(|young| facts.max_timestamp < young)
}

/// A journal is compacted by the ratio of all that it has; what one of its topics asks for makes it due.
fn due(plan: &Plan, survey: &Survey, new: &BTreeMap<PartitionId, New>, is_pinned: bool) -> CompactionDue {
    let mut due = if is_pinned { CompactionDue::ByRatio } else { CompactionDue::No };
    for (partition, new) in new {
        let Some(part) = plan.parts.get(partition) else { continue };
        let (clean_bytes, dirty_bytes) = (survey.clean_bytes, survey.dirty_bytes);
        let dirt = Dirt { clean_bytes, dirty_bytes, oldest_ms: new.oldest_ms };
        match dirt.due(&part.settings, plan.now_ms) {
            CompactionDue::ByLag => return CompactionDue::ByLag,
            CompactionDue::ByRatio => due = CompactionDue::ByRatio,
            CompactionDue::No => {}
        }
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::config::Statics;
    use crate::control::config::effective::Configs;
    use crate::control::life::TopicSettings;
    use crate::ids::{Index, Offset, RunId};
    use crate::journal::read::samples::with_containers;

    /// Three records a container, 100 bytes each time, of times 10, 20 and 30; partition 2 was dropped.
    const CONTAINERS: &[&[(u64, i64, i64)]] = &[&[(1, 0, 10), (2, 0, 10)], &[(1, 3, 20)], &[(1, 6, 30)]];

    fn surveyed(configs: &[(&str, &str)], stable: i64, log_start: i64) -> Survey {
        let configs = [("cleanup.policy", "compact")].iter().chain(configs);
        let configs: Configs = configs.map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let settings = TopicSettings::effective(&configs, &Configs::new(), &Statics::default());
        with_containers(CONTAINERS, 3, async move |io, catalog| {
            let part = PartPlan {
                settings,
                log_start: Offset(log_start),
                clean_to: Offset(0),
                stable: Offset(stable),
                skipped_below: Offset(0),
                has_transactions: false,
                markers: Vec::new(),
            };
            let plan = Plan {
                run: RunId(1),
                applied: Index(9),
                now_ms: 40,
                secret: 1,
                key_map_bytes: 1 << 10,
                containers: catalog.containers(),
                live: catalog.finder(),
                parts: BTreeMap::from([(PartitionId(1), part)]),
            };
            survey(&io, &plan).await.expect("good files")
        })
    }

    #[test]
    fn only_what_is_decided_and_old_enough_is_taken() {
        let all = surveyed(&[], 9, 0);
        assert_eq!((all.taken, all.clean_bytes, all.dirty_bytes), (3, 0, 300), "what was dropped is dead");
        assert_eq!(all.due, CompactionDue::ByRatio, "nothing was compacted before");
        assert_eq!(surveyed(&[], 8, 0).taken, 2, "the last one has what is not decided");
        assert_eq!(surveyed(&[], 2, 0).due, CompactionDue::No, "nor has the first");
        let lag = ("min.compaction.lag.ms", "15");
        assert_eq!(surveyed(&[lag], 9, 0).taken, 2, "30 is younger than 15 ms at 40");
    }

    #[test]
    fn what_is_dead_or_waits_too_long_makes_a_pass_due() {
        let never = ("min.cleanable.dirty.ratio", "1");
        assert_eq!(surveyed(&[never], 9, 0).due, CompactionDue::No, "a quarter is dead, and no more");
        assert_eq!(surveyed(&[never], 9, 3).due, CompactionDue::ByRatio, "half is dead");
        let lag = ("max.compaction.lag.ms", "29");
        assert_eq!(surveyed(&[never, lag], 9, 0).due, CompactionDue::ByLag, "the first one is of 10");
    }
}
