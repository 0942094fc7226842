//! What of a partition may go: its log start moves, and what of it lies below is dead.
//!
//! Partitions are visited one by one, those first of which something is known to have changed. Each visit looks at
//! the oldest containers that have something alive of the partition, so that its cost does not grow with what is kept.

use crate::entry::item::Item;
use crate::ids::{Offset, PartitionId};
use crate::journal::read::catalog::Finder;
use crate::journal::read::run::OpenRun;
use crate::journal::read::sealed_index::IndexError;

/// Containers that a round of visits looks into at most: it goes on with the next round.
const LOOKED_AT_MAX: usize = 256;

/// A partition's bounds and rules at the time of the pass.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub log_start: Offset,
    /// All that is sealed of it lies below.
    pub next_offset: Offset,
    /// Offsets below this one may be missing: they are dead, or were accepted as lost.
    pub whole_from: Offset,
    pub kept_bytes: u64,
    /// Records whose segment's newest is older than this may go; `None` keeps them for ever.
    pub expired_before_ms: Option<i64>,
    pub bytes_max: Option<u64>,
}

/// A partition to be looked at; one without rules was dropped.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    pub partition: PartitionId,
    pub rules: Option<Rules>,
}

/// Part of a container that is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dead {
    pub partition: PartitionId,
    pub container: u64,
    pub bytes: u64,
}

/// What a round of visits found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visited {
    /// Log starts that may move.
    pub items: Vec<Item>,
    /// By partition, and in each by container.
    pub dead: Vec<Dead>,
    /// A partition begins in the first container that has it, but behind offsets that are alive: containers that held
    /// them are gone, though nothing deleted them.
    pub front_is_missing: bool,
    /// To be visited again, since there was more of them than a round looks at.
    pub unfinished: Vec<PartitionId>,
}

/// Visits partitions, each once.
pub async fn visit(finder: &Finder, visits: &[Visit]) -> Result<Visited, IndexError> {
    let mut visited = Visited::default();
    let mut left = LOOKED_AT_MAX;
    for one in visits {
        let is_done = left > 0 && visit_one(finder, one, &mut left, &mut visited).await?;
        if !is_done {
            visited.unfinished.push(one.partition);
        }
    }
    Ok(visited)
}

/// True when the partition needs no more visits.
async fn visit_one(
    finder: &Finder,
    visit: &Visit,
    left: &mut usize,
    visited: &mut Visited,
) -> Result<bool, IndexError> {
    let partition = visit.partition;
    let mut from = finder.alive_from(partition);
    // The log start as it may become, and what would be kept above it.
    let mut moved: Option<(Offset, u64)> = None;
    let is_done = loop {
        let Some((number, container)) = finder.next_entered(partition, from) else { break true };
        if *left == 0 {
            break false;
        }
        *left -= 1;
        from = number + 1;
        let Some(facts) = container.facts(partition).await? else { continue };
        let Some(rules) = visit.rules.filter(|rules| facts.next_offset > rules.log_start) else {
            visited.dead.push(Dead { partition, container: number, bytes: facts.batch_bytes });
            continue;
        };
        if facts.next_offset > rules.next_offset {
            // Batches of the partition as it was before it was dropped: a leader whose view of the metadata was an older
            // one opened it again, and drops it once more as soon as it knows. They are dead then.
            break true;
        }
        if moved.is_none() && facts.first_offset > rules.whole_from {
            visited.front_is_missing = true;
        }
        let (start, kept_bytes) = moved.unwrap_or((rules.log_start, rules.kept_bytes));
        let expired = rules.expired_before_ms.is_some_and(|before| facts.max_timestamp < before);
        let kept_bytes = kept_bytes.saturating_sub(facts.batch_bytes);
        let too_much = rules.bytes_max.is_some_and(|bytes_max| kept_bytes >= bytes_max);
        if facts.first_offset > start || !(expired || too_much) {
            if let Some(run) = container.run()
                && let Some(before) = rules.expired_before_ms
            {
                let kept_bytes = moved.map_or(rules.kept_bytes, |(_, kept_bytes)| kept_bytes);
                moved = expired_in_run(run, partition, (start, kept_bytes), before).await?.or(moved);
            }
            break true;
        }
        moved = Some((facts.next_offset, kept_bytes));
    };
    if let Some((log_start, kept_bytes)) = moved {
        visited.items.push(Item::LogStartMoved { partition, log_start, kept_bytes });
    }
    Ok(is_done)
}

/// In a run, which has all that is old of a partition, records go by its chunks: where the log start may move to, and what
/// is kept above it.
async fn expired_in_run(
    run: &OpenRun,
    partition: PartitionId,
    (start, kept_bytes): (Offset, u64),
    before_ms: i64,
) -> Result<Option<(Offset, u64)>, IndexError> {
    let Some(young) = run.first_at_time(partition, before_ms).await? else { return Ok(None) };
    let first = run.chunks_from(partition, start, 1).await?.pop();
    let Some(first) = first.filter(|first| first.position < young.position && young.first_offset > start)
    else {
        return Ok(None);
    };
    Ok(Some((young.first_offset, kept_bytes.saturating_sub(young.position - first.position))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::read::samples::on_containers;

    const P: PartitionId = PartitionId(1);

    /// Three records a container, 100 bytes each time, of times 10, 20, 30 and 40; another partition in the second.
    const CONTAINERS: &[&[(u64, i64, i64)]] =
        &[&[(1, 0, 10)], &[(1, 3, 20), (2, 0, 1)], &[(1, 6, 30)], &[(1, 9, 40)]];

    fn rules(log_start: i64) -> Rules {
        Rules {
            log_start: Offset(log_start),
            next_offset: Offset(12),
            whole_from: Offset(log_start),
            kept_bytes: 400,
            expired_before_ms: None,
            bytes_max: None,
        }
    }

    fn visited(rules: Option<Rules>) -> Visited {
        on_containers(CONTAINERS, 4, async move |catalog| {
            visit(&catalog.finder(), &[Visit { partition: P, rules }]).await.expect("good files")
        })
    }

    fn moved(log_start: i64, kept_bytes: u64) -> Vec<Item> {
        vec![Item::LogStartMoved { partition: P, log_start: Offset(log_start), kept_bytes }]
    }

    fn dead(containers: &[u64]) -> Vec<Dead> {
        containers.iter().map(|container| Dead { partition: P, container: *container, bytes: 100 }).collect()
    }

    #[test]
    fn containers_below_the_log_start_are_dead() {
        assert_eq!(visited(Some(rules(0))), Visited::default());
        assert_eq!(visited(Some(rules(5))).dead, dead(&[0]));
        assert_eq!(visited(Some(rules(6))).dead, dead(&[0, 1]));
        assert_eq!(visited(None).dead, dead(&[0, 1, 2, 3]));
    }

    #[test]
    fn what_is_too_old_or_too_much_goes_container_by_container() {
        let old = Rules { expired_before_ms: Some(21), ..rules(0) };
        assert_eq!(visited(Some(old)).items, moved(6, 200));
        let much = Rules { bytes_max: Some(150), ..rules(0) };
        assert_eq!(visited(Some(much)).items, moved(6, 200));
        let both = Rules { expired_before_ms: Some(21), kept_bytes: 300, ..rules(3) };
        assert_eq!(
            visited(Some(both)),
            Visited { items: moved(6, 200), dead: dead(&[0]), ..Visited::default() }
        );
    }

    #[test]
    fn a_front_that_nobody_deleted_is_missed() {
        on_containers(&[&[(1, 3, 20)]], 1, async |catalog| {
            let visit = |rules| [Visit { partition: P, rules: Some(rules) }];
            let finder = catalog.finder();
            assert!(super::visit(&finder, &visit(rules(0))).await.expect("good files").front_is_missing);
            assert!(!super::visit(&finder, &visit(rules(3))).await.expect("good files").front_is_missing);
            let accepted = Rules { whole_from: Offset(3), ..rules(0) };
            assert!(!super::visit(&finder, &visit(accepted)).await.expect("good files").front_is_missing);
        });
    }

    #[test]
    fn what_a_dropped_partition_left_is_no_front_of_the_one_that_was_opened_again() {
        on_containers(&[&[(1, 3, 20)]], 1, async |catalog| {
            let visit =
                |next| [Visit { partition: P, rules: Some(Rules { next_offset: Offset(next), ..rules(0) }) }];
            let finder = catalog.finder();
            let again = super::visit(&finder, &visit(5)).await.expect("good files");
            assert_eq!(again, Visited::default(), "nor does it go before it is dropped once more");
            assert!(super::visit(&finder, &visit(6)).await.expect("good files").front_is_missing);
        });
    }

    #[test]
    fn a_round_is_bounded_and_goes_on() {
        let containers: Vec<Vec<(u64, i64, i64)>> = (0..300).map(|at| vec![(1, at * 3, at)]).collect();
        let containers: Vec<&[(u64, i64, i64)]> = containers.iter().map(Vec::as_slice).collect();
        on_containers(&containers, 300, async |catalog| {
            let visits =
                [Visit { partition: P, rules: None }, Visit { partition: PartitionId(9), rules: None }];
            let first = visit(&catalog.finder(), &visits).await.expect("good files");
            assert_eq!((first.dead.len(), first.unfinished.len()), (LOOKED_AT_MAX, 2));
            first.dead.iter().for_each(|dead| catalog.note_dead(P, dead.container, dead.bytes));
            let second = visit(&catalog.finder(), &visits).await.expect("good files");
            assert_eq!((second.dead.len(), second.unfinished.len()), (300 - LOOKED_AT_MAX, 0));
            second.dead.iter().for_each(|dead| catalog.note_dead(P, dead.container, dead.bytes));
            assert_eq!((catalog.dead_bytes(), catalog.pinned_bytes()), (30_000, 0));
        });
    }
}
