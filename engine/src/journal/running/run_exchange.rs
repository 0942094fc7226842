//! The journal's part in runs that come from other replicas, and go to them.
//!
//! A run counts for a leader where it is durable. Once a majority has it the leader says so in the journal, and from
//! then on it is read, by whoever has it, in the place of what it was made of. A replica that has neither a run nor what it was
//! made of is no copy: it is not in sync, takes no voter's place, and hands over should it come to lead.

use super::Journal;
use crate::clock::Now;
use crate::disk::{BLOCK, DiskError, DiskErrorKind};
use crate::entry::run_made::{RunInput, RunMade};
use crate::ids::{Index, NodeId, RaftId, RunId};
use crate::journal::effects::{Done, Effects};
use crate::journal::heal::done::{HealDone, RunFetched};
use crate::journal::heal::run_disk::{self, RunFiles};
use crate::journal::heal::run_fetch::{FetchStep, RunChecked, WantedRun};
use crate::journal::heal::run_lending::AskedPiece;
use crate::journal::phase::Phase;
use crate::journal::read::block_cache::BlockCache;
use crate::journal::read::run::{OpenRun, RunError};
use crate::peer::PeerMessage;
use crate::peer::run::{RUN_PIECE_BYTES, RUNS_TOLD_MAX, RunMessage, RunName, RunsHeld};
use crate::planted::{Bug, is_planted};
use crate::port::{Event, Fatal, Output, Rewrote};
use crate::raft::Follower;
use core::time::Duration;
use std::collections::BTreeSet;
use std::rc::Rc;

/// A leader that lacks runs looks this often for somebody to hand over to.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

fn name_of(made: &RunMade) -> RunName {
    RunName { run: made.run, sum: made.checksum }
}

impl Journal {
    fn has_run(&self, run: RunId) -> bool {
        self.run_file(run).is_some()
    }

    /// All runs that the journal names.
    fn named_runs(&self) -> impl Iterator<Item = &RunMade> {
        let runs = self.ledger.state.fold.runs();
        runs.settled().iter().chain(runs.made())
    }

    /// How many runs it has neither themselves nor what they were made of.
    pub fn lacks_runs(&self) -> u32 {
        let settled = self.ledger.state.fold.runs().settled().iter();
        let is_lacking = |made: &&RunMade| {
            // What one that is here and bad was made of went once it was read.
            let is_bad = self.rewriting.is_bad_run(made.run);
            let first = if is_bad { self.log.segments.first() } else { self.heal.runs.first_at_start };
            let is_missing = |input: &RunInput| match *input {
                RunInput::Segment { base, .. } => base < first,
                RunInput::Run(run) => !self.has_run(run),
            };
            !self.has_run(made.run) && made.inputs.iter().any(is_missing)
        };
        settled.filter(is_lacking).count() as u32
    }

    /// Runs that are fetched, and their bytes that did not come yet.
    pub fn runs_left(&self) -> (usize, u64) {
        self.heal.runs.fetch.left()
    }

    /// About every 10 ms.
    pub(super) fn tick_exchange(&mut self, now: Now, fx: &mut Effects) {
        if !self.exchanges_runs() {
            return;
        }
        let names: Vec<RunName> = self.named_runs().map(name_of).collect();
        let (applied, is_any) = (self.ledger.state.fold.applied, !names.is_empty());
        self.heal.runs.name(names, applied);
        let lacking = self.named_runs().filter(|made| !self.has_run(made.run));
        let wanted: Vec<WantedRun> =
            lacking.map(|made| WantedRun { name: name_of(made), bytes: made.file_bytes }).collect();
        self.heal.runs.swept &= wanted.is_empty();
        self.heal.runs.fetch.want(wanted);
        self.mend_bad_runs();
        self.fetch_next(now, fx);
        self.lend_next_run(now, fx);
        if is_any {
            self.tell_runs(now, fx);
            self.judge_runs(now, fx);
            self.hand_over_without_runs(now, fx);
        }
        self.sweep_parts(fx);
    }

    /// Nothing is begun while the journal stops, or is to be opened anew.
    fn exchanges_runs(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Quarantined)
    }

    fn run_files(&self) -> RunFiles {
        let (io, pool) = (self.context.io.clone(), self.context.pool.clone());
        RunFiles { io, pool, identity: self.meta.identity() }
    }

    /// The nodes of all other members; whoever leads comes first, for it mostly made what is wanted.
    fn other_nodes(&self) -> Vec<NodeId> {
        let own = self.quorum.replica.id();
        let ids = self.quorum.replica.members().ids().filter(|id| *id != own);
        let nodes: BTreeSet<NodeId> = ids.filter_map(|id| self.node_of(id)).collect();
        let mut nodes: Vec<NodeId> =
            nodes.into_iter().filter(|node| Some(*node) != self.node_of(own)).collect();
        let (_, leader) = self.leader();
        nodes.sort_by_key(|node| Some(*node) != leader);
        nodes
    }

    /// The next step of what is fetched.
    fn fetch_next(&mut self, now: Now, fx: &mut Effects) {
        if !self.exchanges_runs() {
            return;
        }
        let (nodes, may_ask) = (self.other_nodes(), self.context.pace.may_read(now));
        let Some(step) = self.heal.runs.fetch.tick(&nodes, may_ask, now) else { return };
        let (files, journal) = (self.run_files(), self.id);
        let blocks = self.context.blocks.clone();
        match step {
            FetchStep::Ask { node, name, position } => {
                self.tell_run(node, RunMessage::Read { name, position }, fx);
            }
            FetchStep::Resume(wanted) => fx.start(async move {
                let result = run_disk::resume(files, wanted).await;
                Done::of(journal, HealDone::RunResumed { wanted, result })
            }),
            FetchStep::Check(wanted) => fx.start(async move {
                let result = check_and_open(files, blocks, wanted).await;
                Done::of(journal, HealDone::RunChecked { wanted, result })
            }),
            FetchStep::CheckHere(wanted) => fx.start(async move {
                let result = run_disk::check_here(files, wanted).await;
                Done::of(journal, HealDone::RunLookedAt { wanted, result })
            }),
        }
    }

    fn tell_run(&self, to: NodeId, message: RunMessage, fx: &mut Effects) {
        let (journal, lane) = (self.id, self.meta.lane);
        fx.out.push(Output::Peer { to, lane, message: PeerMessage::Run { journal, message } });
    }

    /// Another replica's word on runs.
    pub fn run_message(&mut self, from: NodeId, message: RunMessage, now: Now, fx: &mut Effects) {
        match message {
            RunMessage::Read { name, position } => {
                self.heal.runs.lending.ask(AskedPiece { by: from, name, position });
                self.lend_next_run(now, fx);
            }
            RunMessage::Piece { name, position, bytes } => {
                self.take_run_piece(from, (name, position), bytes, fx);
            }
            RunMessage::Absent { name } => {
                self.heal.runs.fetch.absent(from, name);
                self.fetch_next(now, fx);
            }
            RunMessage::Held(held) => {
                let is_for_us = held.to == self.quorum.replica.id() && self.node_of(held.from) == Some(from);
                if is_for_us && self.quorum.replica.is_leader() {
                    self.heal.runs.holders.note(&held);
                }
            }
        }
    }

    fn take_run_piece(
        &mut self,
        from: NodeId,
        (name, position): (RunName, u64),
        bytes: Vec<u8>,
        fx: &mut Effects,
    ) {
        if !self.exchanges_runs() {
            return;
        }
        let Some(place) = self.heal.runs.fetch.piece(from, name, position, bytes.len()) else { return };
        self.context.pace.took(bytes.len());
        let (files, journal) = (self.run_files(), self.id);
        fx.start(async move {
            let result = run_disk::write_piece(files, place, bytes).await;
            Done::of(journal, HealDone::RunPieceWritten { result })
        });
    }

    /// What is durable of a run was looked at.
    pub(super) fn run_resumed(
        &mut self,
        wanted: WantedRun,
        result: Result<u64, DiskError>,
        now: Now,
        fx: &mut Effects,
    ) {
        let Some(result) = of_disk(result, fx) else { return };
        if let Ok(from) = result
            && from < wanted.bytes
        {
            let (run, bytes) = (wanted.name.run, wanted.bytes);
            fx.out.push(self.rewrote(Rewrote::Fetching { run, from, bytes }));
        }
        self.heal.runs.fetch.resumed(result, now);
        self.fetch_next(now, fx);
    }

    /// A piece was written.
    pub(super) fn run_piece_written(&mut self, result: Result<(), DiskError>, now: Now, fx: &mut Effects) {
        let Some(result) = of_disk(result, fx) else { return };
        self.heal.runs.fetch.written(result.is_ok(), now);
        self.fetch_next(now, fx);
    }

    /// A run that came was looked at as a whole.
    pub(super) fn run_checked(
        &mut self,
        wanted: WantedRun,
        result: Result<RunFetched, DiskError>,
        now: Now,
        fx: &mut Effects,
    ) {
        let Some(result) = of_disk(result, fx) else { return };
        let (checked, run) = match result {
            Ok(RunFetched::Here(run)) => (RunChecked::Good, Some(run)),
            Ok(RunFetched::Bad { position }) => (RunChecked::Bad { position }, None),
            Err(()) => (RunChecked::NoSpace, None),
        };
        self.heal.runs.fetch.checked(checked, now);
        let (id, bytes) = (wanted.name.run, wanted.bytes);
        if let Some(run) = run {
            fx.out.push(self.rewrote(Rewrote::Fetched { run: id, bytes }));
            self.run_here(run, now, fx);
            self.tell_runs(now, fx);
        } else if let RunChecked::Bad { position } = checked {
            fx.out.push(self.rewrote(Rewrote::PieceBad { run: id, position }));
        }
        self.fetch_next(now, fx);
    }

    /// A run that is here proved bad: what is bad of it is fetched again.
    fn mend_bad_runs(&mut self) {
        if self.is_alone() {
            return;
        }
        let bad = self.named_runs().filter(|made| self.rewriting.is_bad_run(made.run));
        let bad: Vec<WantedRun> =
            bad.map(|made| WantedRun { name: name_of(made), bytes: made.file_bytes }).collect();
        bad.into_iter().for_each(|wanted| self.heal.runs.fetch.mend(wanted));
    }

    /// A damaged run was looked at.
    pub(super) fn run_looked_at(
        &mut self,
        wanted: WantedRun,
        result: Result<RunChecked, DiskError>,
        now: Now,
        fx: &mut Effects,
    ) {
        let Some(result) = of_disk(result, fx) else { return };
        let checked = result.unwrap_or(RunChecked::NoSpace);
        let run = wanted.name.run;
        if let RunChecked::Bad { position } = checked {
            fx.out.push(self.rewrote(Rewrote::PieceBad { run, position }));
        }
        if self.heal.runs.fetch.checked(checked, now) {
            if let Some(file) = self.rewriting.mended(run) {
                // What of it is in memory may be from before.
                self.context.blocks.forget(file);
            }
            fx.out.push(self.rewrote(Rewrote::Mended { run }));
        }
        self.fetch_next(now, fx);
    }

    fn lend_next_run(&mut self, now: Now, fx: &mut Effects) {
        loop {
            let may_read =
                self.exchanges_runs() && self.heal.runs.lending.is_asked() && self.context.pace.may_read(now);
            let Some(asked) = self.heal.runs.lending.begin(may_read) else { return };
            let is_here = self.named_runs().any(|made| name_of(made) == asked.name && self.has_run(made.run));
            if !is_here {
                self.heal.runs.lending.ended(0);
                self.tell_run(asked.by, RunMessage::Absent { name: asked.name }, fx);
                continue;
            }
            let (files, journal) = (self.run_files(), self.id);
            fx.start(async move {
                let result = run_disk::lend_piece(files, asked.name.run, asked.position).await;
                Done::of(journal, HealDone::RunPieceRead { asked, result })
            });
        }
    }

    /// A piece was read for another replica. One that cannot be read is as good as none.
    pub(super) fn run_piece_read(
        &mut self,
        asked: AskedPiece,
        result: Result<Option<Vec<u8>>, DiskError>,
        now: Now,
        fx: &mut Effects,
    ) {
        let AskedPiece { by, name, position } = asked;
        let bytes = result.ok().flatten();
        let length = bytes.as_ref().map_or(0, Vec::len);
        assert!(length <= RUN_PIECE_BYTES, "{length} bytes are more than a piece");
        self.heal.runs.lending.ended(length);
        self.context.pace.took(length);
        let message = match bytes {
            Some(bytes) => RunMessage::Piece { name, position, bytes },
            None => RunMessage::Absent { name },
        };
        self.tell_run(by, message, fx);
        self.lend_next_run(now, fx);
    }

    /// Tells whoever leads what is here.
    fn tell_runs(&mut self, now: Now, fx: &mut Effects) {
        let (term, Some(node)) = self.leader() else { return };
        let Some(to) = self.quorum.replica.leader().filter(|_| !self.quorum.replica.is_leader()) else {
            return;
        };
        let here = self.named_runs().filter(|made| self.has_run(made.run)).map(name_of);
        let held = RunsHeld {
            from: self.quorum.replica.id(),
            to,
            applied: self.ledger.state.fold.applied,
            here: here.take(RUNS_TOLD_MAX).collect(),
            lacking: self.lacks_runs(),
        };
        let is_learner = self.quorum.replica.members().learners.contains(&held.from);
        let is_waited_for = held.lacking > 0 || is_learner || self.ledger.state.fold.runs().made().is_some();
        if self.heal.runs.is_to_tell(&held, term, is_waited_for, now) {
            self.tell_run(node, RunMessage::Held(held), fx);
        }
    }

    /// A leader's judgement of the run that waits: a majority has it, or nobody gives it.
    fn judge_runs(&mut self, now: Now, fx: &mut Effects) {
        if !self.is_settled() {
            return;
        }
        let Some((name, run)) = self.ledger.state.fold.runs().made().map(|made| (name_of(made), made.run))
        else {
            return;
        };
        let own = self.has_run(run).then(|| self.quorum.replica.id());
        let is_on_majority = self.heal.runs.holders.is_on_majority(name, self.quorum.replica.members(), own);
        assert!(self.quorum.replica.is_leader(), "only who leads judges");
        if is_on_majority || own.is_some() && is_planted(Bug::InputsDroppedEarly) {
            self.run_on_majority(run, now, fx);
        } else if own.is_none() && self.heal.runs.fetch.is_nowhere(name, now) {
            self.run_lost(run, now, fx);
        }
    }

    /// Whether a follower may take a voter's place, as far as runs go.
    pub(super) fn has_all_runs(&self, id: RaftId) -> bool {
        let is_any = self.named_runs().next().is_some();
        !is_any || self.heal.runs.holders.is_whole(id, self.heal.runs.named_by())
    }

    /// Whoever leads without all runs cannot give what is in them: another one can.
    fn hand_over_without_runs(&mut self, now: Now, fx: &mut Effects) {
        if !self.is_settled() || self.is_alone() || self.lacks_runs() == 0 {
            return;
        }
        if now.mono_ns < self.heal.runs.hand_over_ns {
            return;
        }
        self.heal.runs.hand_over_ns = now.plus(LOOK_AGAIN);
        let commit = self.quorum.replica.commit();
        let whole = |id| self.heal.runs.holders.is_whole(id, self.heal.runs.named_by());
        let may_lead =
            |one: &Follower| one.is_voter && one.is_active && one.matched >= commit && whole(one.id);
        let best = self.quorum.replica.followers().find(may_lead).map(|one| one.id);
        let Some(to) = best.and_then(|best| self.node_of(best)) else { return };
        if self.hand_over(Some(to), now, fx) {
            fx.out.push(Output::Event(Event::HandsOver { journal: self.id, to, why: "it lacks runs" }));
        }
    }

    /// Once nothing is wanted, what was fetched in part of runs that went is removed.
    fn sweep_parts(&mut self, fx: &mut Effects) {
        let exchange = &mut self.heal.runs;
        let knows_all = self.ledger.state.fold.applied >= self.quorum.replica.commit()
            && self.quorum.replica.leader().is_some()
            && self.log.last() > Index::NONE;
        if exchange.swept || exchange.sweeping || !knows_all || exchange.fetch.left().0 > 0 {
            return;
        }
        (exchange.swept, exchange.sweeping) = (true, true);
        let (files, journal) = (self.run_files(), self.id);
        fx.start(async move {
            Done::of(journal, HealDone::RunPartsSwept(run_disk::sweep(files, Vec::new()).await))
        });
    }

    /// They were.
    pub(super) fn run_parts_swept(&mut self, result: Result<(), DiskError>, fx: &mut Effects) {
        self.heal.runs.sweeping = false;
        of_disk(result, fx);
    }
}

/// A failure that the process ends of is told; no room, or a file that went, is another attempt.
fn of_disk<T>(result: Result<T, DiskError>, fx: &mut Effects) -> Option<Result<T, ()>> {
    match result {
        Ok(value) => Some(Ok(value)),
        Err(error) if error.kind == DiskErrorKind::Io => {
            fx.out.push(Output::Fatal(Fatal::Write(error)));
            None
        }
        Err(_) => Some(Err(())),
    }
}

/// The whole file proven, under its name, and opened.
async fn check_and_open(
    files: RunFiles,
    blocks: BlockCache,
    wanted: WantedRun,
) -> Result<RunFetched, DiskError> {
    if let RunChecked::Bad { position } = run_disk::finish(files.clone(), wanted).await? {
        return Ok(RunFetched::Bad { position });
    }
    let (name, identity) = (wanted.name, files.identity);
    let path = crate::folder::run_path(identity.journal, name.run);
    let opened =
        OpenRun::open((&files.io, &blocks), identity, name.run, &path, Some((wanted.bytes, name.sum)));
    match opened.await {
        Ok(run) => Ok(RunFetched::Here(Rc::new(run))),
        // It was good a moment ago: the medium changed it, or does not give it.
        Err(RunError::Disk(error)) if error.kind == DiskErrorKind::Io => {
            Ok(RunFetched::Bad { position: wanted.bytes - BLOCK as u64 })
        }
        Err(RunError::Disk(error)) => Err(error),
        Err(RunError::Fault(fault)) => Ok(RunFetched::Bad { position: fault.position() }),
    }
}
