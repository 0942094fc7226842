//! The journal's part in entering containers into the catalog, and in finding what is dead.

use super::Journal;
use crate::clock::Now;
use crate::control::View;
use crate::entry::item::Item;
use crate::ids::{Index, PartitionId};
use crate::journal::effects::{Done, Effects, JournalDone};
use crate::journal::keep::retention::{self, Rules, Visit, Visited};
use crate::journal::phase::Phase;
use crate::journal::read::catalog::{Entering, ToEnter};
use crate::journal::read::container::Container;
use crate::journal::read::sealed_index::IndexError;

/// Partitions that are entered in one step: about a quarter of a millisecond.
const ENTERED_AT_ONCE: u32 = 512;

impl Journal {
    /// Begins to read what the oldest container has that is not in the fence.
    pub(super) fn enter_sealed(&mut self, fx: &mut Effects) {
        if self.upkeep.entering || self.phase != Phase::Running {
            return;
        }
        let is_good = |container: &Container| container.segment().is_none_or(|one| !one.index.is_bad());
        let Some(ToEnter { number, container, first_row }) = self
            .catalog
            .to_enter()
            .filter(|to| is_good(&to.container) && !self.rewriting.is_bad(&to.container))
        else {
            return;
        };
        self.upkeep.entering = true;
        let (journal, io) = (self.id, self.context.io.clone());
        fx.start(async move {
            let read = container.facts_from(first_row, ENTERED_AT_ONCE).await;
            // Blocks in memory are read without a pause, and thousands of containers may follow one another.
            let read = match io.rest().await {
                Ok(()) => read,
                Err(error) => Err(error.into()),
            };
            let rows = container.partitions();
            let entering = read.map(|partitions| Entering {
                number,
                is_last: first_row + partitions.len() as u32 == rows,
                partitions,
            });
            Done::of(journal, JournalDone::Entering(entering))
        });
    }

    /// Partitions of a container were read.
    pub(super) fn entered(&mut self, result: Result<Entering, IndexError>, fx: &mut Effects) {
        self.upkeep.entering = false;
        let Entering { number, partitions, is_last } = match result {
            Ok(entering) => entering,
            Err(error) => return self.note_fault(&error.into(), fx),
        };
        self.catalog.enter(number, &partitions, is_last);
        // Of those there may be too much now, and what is below their log start is dead.
        partitions.iter().for_each(|facts| self.upkeep.sweep.note(facts.partition));
        self.enter_sealed(fx);
    }

    /// Items of an entry that is committed: some partitions may have less alive than before.
    pub(super) fn note_dying(&mut self, items: &[Item]) {
        for item in items {
            if let Item::LogStartMoved { partition, .. } | Item::PartitionDropped { partition } = item {
                self.upkeep.sweep.note(*partition);
            }
        }
    }

    /// Looks for log starts to move and for what is dead, some partitions at a time.
    pub(super) fn look_at_partitions(&mut self, view: &View, every_ns: u64, now: Now, fx: &mut Effects) {
        let knows_all = self.is_settled() || (!self.is_alone() && self.phase == Phase::Running);
        if !knows_all || view.version == Index::NONE {
            return;
        }
        if now.mono_ns - self.upkeep.last_pass_ns >= every_ns {
            self.upkeep.last_pass_ns = now.mono_ns;
            self.upkeep.sweep.begin();
        }
        if self.upkeep.visiting {
            return;
        }
        let round = self.upkeep.sweep.round(&self.catalog);
        if round.is_empty() {
            return;
        }
        round.iter().for_each(|partition| self.catalog.trim(*partition));
        let visits: Vec<Visit> = round
            .into_iter()
            .map(|partition| Visit { partition, rules: self.rules(partition, view, now) })
            .collect();
        self.upkeep.visiting = true;
        let (journal, finder) = (self.id, self.catalog.finder());
        fx.start(async move {
            let visited = retention::visit(&finder, &visits).await;
            Done::of(journal, JournalDone::Visited(visited))
        });
    }

    /// None of a partition that was dropped.
    fn rules(&self, id: PartitionId, view: &View, now: Now) -> Option<Rules> {
        let partition = self.ledger.state.fold.partition(id)?;
        let settings = view.partition(id).map(|(topic, _)| topic.settings);
        let expired_before_ms = settings
            .filter(|settings| self.upkeep.trusts_clock && settings.retention_ms >= 0)
            .map(|settings| now.wall_ms.saturating_sub(settings.retention_ms));
        let bytes_max = settings
            .filter(|settings| settings.retention_bytes >= 0)
            .map(|settings| settings.retention_bytes as u64);
        let log_start = partition.log_start;
        Some(Rules {
            log_start,
            next_offset: partition.next_offset,
            whole_from: log_start.max(partition.skipped_below),
            kept_bytes: partition.kept_bytes,
            expired_before_ms,
            bytes_max,
        })
    }

    pub(super) fn visited(&mut self, result: Result<Visited, IndexError>, now: Now, fx: &mut Effects) {
        self.upkeep.visiting = false;
        let visited = match result {
            Ok(visited) => visited,
            Err(error) => return self.note_fault(&error.into(), fx),
        };
        for dead in &visited.dead {
            self.catalog.note_dead(dead.partition, dead.container, dead.bytes);
        }
        visited.unfinished.into_iter().for_each(|partition| self.upkeep.sweep.note(partition));
        // A replica that was filled from its leader's log start may lack what its own fold does not know to be dead.
        if visited.front_is_missing && self.is_alone() {
            self.note_missing_front(fx);
        }
        if self.is_leader() {
            self.queue_items(visited.items, Vec::new());
            self.propose_queued(now, fx);
        }
        self.delete_dead(now, fx);
    }
}
