//! The journal's part in rewriting: when a pass begins and what becomes of its run, and which run is read.

use super::Journal;
use crate::clock::Now;
use crate::control::View;
use crate::control::life::Life;
use crate::disk::{DiskError, DiskErrorKind};
use crate::entry::item::Item;
use crate::folder;
use crate::ids::{Index, Offset, PartitionId, RunId};
use crate::journal::effects::{Done, Effects};
use crate::journal::phase::Phase;
use crate::journal::read::aborted::MarkerAt;
use crate::journal::read::run::OpenRun;
use crate::journal::rewriting::done::RewriteDone;
use crate::journal::rewriting::gate::{self, Gate, PassWork, Stepped};
use crate::journal::rewriting::pass::{self, Attempt, MadeRun, NotDue, PassFault};
use crate::journal::rewriting::plan::{PartPlan, Plan};
use crate::journal::rewriting::{Rewriting, Stage, term_of};
use crate::partition::Partition;
use crate::port::{Event, Fatal, Output, Rewrote};
use crate::rewrite::KEY_MAP_BYTES;
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Where nothing was due, or a pass failed, it is looked again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

impl Journal {
    pub fn rewriting(&self) -> &Rewriting {
        &self.rewriting
    }

    /// Bytes of the run that is read.
    pub fn run_bytes(&self) -> u64 {
        self.catalog.run().map_or(0, |run| run.bytes())
    }

    /// Whether a pass is under way.
    pub fn is_rewriting(&self) -> bool {
        self.rewriting.is_under_way()
    }

    pub(super) fn rewrote(&self, what: Rewrote) -> Output {
        Output::Event(Event::Rewriting { journal: self.id, what })
    }

    /// Looks whether a pass is due, and makes it; false when there is nothing to look at. It spends what `gate` gives.
    pub fn begin_rewriting(
        &mut self,
        view: &View,
        (gate, key_map_bytes): (&Gate, usize),
        now: Now,
        fx: &mut Effects,
    ) -> bool {
        if !self.may_rewrite(view) || !matches!(self.rewriting.stage, Stage::Idle) {
            return false;
        }
        let newest = self.log.segments.sealed.back().map_or(Index::NONE, |sealed| sealed.last);
        let is_new = newest > self.rewriting.looked_at;
        if newest <= self.catalog.rewritten() || (!is_new && now.mono_ns < self.rewriting.again_ns) {
            return false;
        }
        let Some(run) = self.rewriting.number(self.quorum.replica.term()) else { return false };
        self.rewriting.looked_at = newest;
        self.rewriting.again_ns = now.plus(LOOK_AGAIN);
        gate.begin_again();
        self.rewriting.gate = gate.clone();
        let plan = Plan { key_map_bytes, ..self.plan(run, view, now) };
        let (context, identity) = (self.context.clone(), self.meta.identity());
        let work: PassWork<Attempt> = Box::pin(pass::attempt(context, identity, plan, gate.clone()));
        self.go_on_with(work, fx);
        true
    }

    /// Whoever leads makes runs, and only of a journal of compacted topics.
    fn may_rewrite(&self, view: &View) -> bool {
        let is_compacted = view.journals.get(&self.id).is_some_and(|journal| journal.life == Life::Compacted);
        let runs = self.ledger.state.fold.runs();
        let reads_newest = runs.settled().last().map(|made| made.run) == self.catalog.run().map(|run| run.id);
        is_compacted
            && self.is_settled()
            && self.upkeep.trusts_clock
            && runs.made().is_none()
            && reads_newest
            && !self.is_full()
            && self.rewriting.bad_count() == 0
    }

    /// Goes on with a pass that waited, if there is something to spend.
    pub fn go_on_rewriting(&mut self, fx: &mut Effects) {
        if !self.rewriting.gate.is_open() {
            return;
        }
        match core::mem::take(&mut self.rewriting.stage) {
            Stage::Waits(work) => self.go_on_with(work, fx),
            other => self.rewriting.stage = other,
        }
    }

    fn go_on_with(&mut self, work: PassWork<Attempt>, fx: &mut Effects) {
        self.rewriting.stage = Stage::Runs;
        let (gate, journal) = (self.rewriting.gate.clone(), self.id);
        fx.start(async move { Done::of(journal, RewriteDone::Stepped(gate::go_on(work, gate).await)) });
    }

    /// A pass that is under way ends: the journal stops, or does not lead any more.
    pub(super) fn end_rewriting(&mut self, fx: &mut Effects) {
        if matches!(self.rewriting.stage, Stage::Runs | Stage::Waits(_)) {
            self.rewriting.gate.end();
            self.go_on_rewriting(fx);
        }
    }

    fn plan(&mut self, run: RunId, view: &View, now: Now) -> Plan {
        let fold = &self.ledger.state.fold;
        let parts = fold.partitions().filter_map(|(id, partition)| {
            let (topic, _) = view.partition(id)?;
            Some((id, self.part_plan(id, partition, topic.settings)))
        });
        let parts: BTreeMap<PartitionId, PartPlan> = parts.collect();
        Plan {
            run,
            applied: fold.applied,
            now_ms: self.leader_wall_ms(now),
            containers: self.catalog.containers(),
            live: self.catalog.finder(),
            parts,
            secret: self.rewriting.secret(),
            key_map_bytes: KEY_MAP_BYTES,
        }
    }

    fn part_plan(
        &self,
        id: PartitionId,
        partition: &Partition,
        settings: crate::control::life::TopicSettings,
    ) -> PartPlan {
        let settled = self.ledger.state.fold.runs().settled().last();
        let clean_to = settled.and_then(|made| made.part(id)).map_or(Offset(0), |part| part.clean_to);
        let stable = partition.first_unstable().unwrap_or(partition.next_offset);
        let has_transactions = partition.transactions.may_concern(partition.log_start, stable);
        let markers = if has_transactions { self.markers_up_to_now(id) } else { Vec::new() };
        PartPlan {
            settings,
            log_start: partition.log_start,
            clean_to,
            stable,
            skipped_below: partition.skipped_below,
            has_transactions,
            markers,
        }
    }

    /// Markers that are folded, of segments whose index is in memory.
    fn markers_up_to_now(&self, id: PartitionId) -> Vec<MarkerAt> {
        let indexes = self.log.segments.indexes();
        indexes.flat_map(|(_, _, index)| index.markers_from(id, Offset(0)).iter().copied()).collect()
    }

    pub(super) fn rewrite_done(&mut self, done: RewriteDone, now: Now, fx: &mut Effects) {
        match done {
            RewriteDone::Stepped(Stepped::Waits(work)) => {
                self.rewriting.stage = Stage::Waits(work);
                self.go_on_rewriting(fx);
            }
            RewriteDone::Stepped(Stepped::Ended(attempt)) => self.attempted(*attempt, now, fx),
            RewriteDone::Removed(Ok(())) => self.rewriting.is_removing = false,
            RewriteDone::Removed(Err(error)) => fx.out.push(Output::Fatal(Fatal::Write(error))),
        }
    }

    fn attempted(&mut self, attempt: Attempt, now: Now, fx: &mut Effects) {
        self.rewriting.stage = Stage::Idle;
        match attempt {
            Attempt::NotDue(not_due) => self.rewriting.looked = not_due,
            Attempt::Made(made) => self.run_made(made, now, fx),
            Attempt::Failed(fault) => self.pass_failed(fault, fx),
        }
    }

    fn pass_failed(&mut self, fault: PassFault, fx: &mut Effects) {
        match fault {
            PassFault::Ended(_) => return,
            PassFault::Disk(error) if error.kind != DiskErrorKind::NoSpace => {
                return fx.out.push(Output::Fatal(Fatal::Write(error)));
            }
            PassFault::Read(ref fault) => self.note_fault(fault, fx),
            _ => {}
        }
        self.rewriting.counts.failed += 1;
        let why = fault.to_string();
        fx.out.push(self.rewrote(Rewrote::Failed { why }));
    }

    /// A run is durable under its name: the journal is told.
    fn run_made(&mut self, made: MadeRun, now: Now, fx: &mut Effects) {
        let MadeRun { run, made, counts, input_bytes, .. } = made;
        let clean_bytes = made.parts.iter().map(|part| part.kept_bytes).sum();
        self.rewriting.looked = NotDue { clean_bytes, dirty_bytes: 0 };
        let new_bytes = input_bytes.saturating_sub(self.run_bytes());
        let counted = &mut self.rewriting.counts;
        counted.passes += 1;
        counted.input_bytes += input_bytes;
        counted.output_bytes += made.file_bytes;
        counted.new_bytes += new_bytes;
        counted.last_ms = now.wall_ms;
        assert!(counted.new_bytes <= counted.input_bytes, "{counted:?}");
        pass::add_counts(&mut counted.records, &counts);
        self.rewriting.note_here(run);
        fx.out.push(self.rewrote(Rewrote::Made {
            run: made.run,
            input_bytes,
            bytes: made.file_bytes,
            partitions: made.parts.len(),
            counts: Box::new(counts),
        }));
        // A run is named in the term that it was numbered in, or never.
        if !self.is_leader() || term_of(made.run) != self.quorum.replica.term() {
            return;
        }
        self.rewriting.stage = Stage::Proposed(made.run);
        self.queue_items(vec![Item::RunMade(Box::new(made))], Vec::new());
        self.propose_queued(now, fx);
    }

    /// What a committed entry says of runs.
    pub(super) fn note_runs(&mut self, items: &[Item]) {
        for item in items {
            if let Item::RunMade(made) = item
                && matches!(self.rewriting.stage, Stage::Proposed(run) if run == made.run)
            {
                self.rewriting.stage = Stage::Idle;
            }
        }
    }

    /// Follows what the journal says of runs: reads from the settled one, decides of the one that waits, removes what is
    /// not named.
    pub(super) fn tick_runs(&mut self, now: Now, fx: &mut Effects) {
        for (run, why) in self.rewriting.take_to_tell() {
            fx.out.push(self.rewrote(Rewrote::Damaged { run, why }));
        }
        if self.phase != Phase::Running || !self.is_leader() {
            self.end_rewriting(fx);
        }
        if self.phase != Phase::Running {
            return;
        }
        let term = self.quorum.replica.term();
        if matches!(self.rewriting.stage, Stage::Proposed(run) if !self.is_leader() || term_of(run) != term) {
            self.rewriting.stage = Stage::Idle;
        }
        self.switch_to_settled(now, fx);
        if self.is_alone() {
            self.decide_alone(now, fx);
        }
        self.remove_unnamed(fx);
    }

    fn switch_to_settled(&mut self, now: Now, fx: &mut Effects) {
        let settled = self.ledger.state.fold.runs().settled().last();
        let Some(run) = settled.and_then(|made| self.rewriting.run(made.run)).cloned() else { return };
        let read = self.catalog.run();
        if read.as_ref().is_some_and(|read| read.id >= run.id) || !self.catalog.reaches(&run) {
            return;
        }
        let id = run.id;
        drop(read);
        self.catalog.switch(run);
        self.rewriting.scrubbed_to.set(0);
        self.upkeep.sweep.begin();
        self.enter_sealed(fx);
        fx.out.push(self.rewrote(Rewrote::Read { run: id }));
        self.delete_dead(now, fx);
    }

    /// Whoever is alone is the majority.
    fn decide_alone(&mut self, now: Now, fx: &mut Effects) {
        let made = self.ledger.state.fold.runs().made().map(|made| made.run);
        let Some(run) = made.filter(|_| self.is_settled()) else { return };
        match self.rewriting.run(run) {
            Some(_) => self.run_on_majority(run, now, fx),
            None => self.run_lost(run, now, fx),
        }
    }

    /// A majority has the run durable: the journal is told.
    pub fn run_on_majority(&mut self, run: RunId, now: Now, fx: &mut Effects) {
        self.decide(run, Item::RunSettled { run }, now, fx);
    }

    /// Nobody can give the run: its inputs stay.
    pub fn run_lost(&mut self, run: RunId, now: Now, fx: &mut Effects) {
        if self.decide(run, Item::RunVoided { run }, now, fx) {
            fx.out.push(self.rewrote(Rewrote::Lost { run }));
        }
    }

    /// False when it was decided before.
    fn decide(&mut self, run: RunId, item: Item, now: Now, fx: &mut Effects) -> bool {
        let decided = Some((run, self.quorum.replica.term()));
        if !self.is_settled() || self.rewriting.decided == decided {
            return false;
        }
        self.rewriting.decided = decided;
        self.queue_items(vec![item], Vec::new());
        self.propose_queued(now, fx);
        true
    }

    /// A run's file is whole, durable here and under its name.
    pub fn run_here(&mut self, run: Rc<OpenRun>, now: Now, fx: &mut Effects) {
        self.rewriting.note_here(run);
        self.tick_runs(now, fx);
    }

    /// A run that is here, to be lent.
    pub fn run_file(&self, run: RunId) -> Option<&Rc<OpenRun>> {
        self.rewriting.run(run)
    }

    fn remove_unnamed(&mut self, fx: &mut Effects) {
        if self.rewriting.is_removing {
            return;
        }
        // What named another run in its place must not be lost with the end of the log.
        if self.ledger.state.fold.applied > self.log.appender.durable().index {
            return;
        }
        let fold = &self.ledger.state.fold;
        let folded = fold.terms().last().map_or_else(Default::default, |(_, term)| *term);
        let read = self.catalog.run().map(|run| run.id);
        let gone = self.rewriting.take_unnamed(fold.runs(), read, folded);
        if gone.is_empty() {
            return;
        }
        self.rewriting.is_removing = true;
        for (run, _) in &gone {
            fx.out.push(self.rewrote(Rewrote::Deleted { run: *run }));
        }
        let (context, journal) = (self.context.clone(), self.id);
        fx.start(async move {
            let mut result = Ok(());
            for (run, file) in gone {
                result = result.and(remove(&context, run, file).await);
            }
            Done::of(journal, RewriteDone::Removed(result))
        });
    }

    /// A run, or a part of it, is bad: it is told once.
    pub(super) fn note_bad_run(&mut self, run: RunId, why: String) {
        self.rewriting.note_bad(run, why);
    }
}

async fn remove(
    context: &crate::journal::context::Context,
    run: RunId,
    file: Option<Rc<OpenRun>>,
) -> Result<(), DiskError> {
    if let Some(file) = file {
        file.close().await?;
    }
    match context.io.remove(&folder::run_path(context.journal, run)).await {
        Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error),
        _ => {}
    }
    context.io.sync_dir(&folder::journal_dir(context.journal)).await
}
