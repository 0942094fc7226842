//! The journal's part in repairing its own entries.

use super::Journal;
use crate::clock::Now;
use crate::disk::{DiskError, DiskErrorKind};
use crate::entry::EntryBytes;
use crate::ids::{Index, NodeId, Term};
use crate::journal::effects::{Done, Effects};
use crate::journal::format::hard_state::{HardState, SyncedBound};
use crate::journal::heal::done::HealDone;
use crate::journal::heal::mending::{self, Behind, Judged, PROOF_ENTRIES_MAX, Source, Target, is_whole};
use crate::journal::heal::proven_loss::ProvenLoss;
use crate::journal::heal::repair::{Job, RepairStep, WantedEntry};
use crate::journal::phase::Phase;
use crate::journal::read::place::Place;
use crate::peer::PeerMessage;
use crate::port::{Damage, Event, Fatal, Output};
use core::time::Duration;
use std::rc::Rc;

/// An answer takes a read and its way; a link that lost it says nothing.
const ANSWER: Duration = Duration::from_secs(1);

/// When no replica could give an entry all are asked again after this.
const REST: Duration = Duration::from_millis(500);

const HAND_OVER_SPACING: Duration = Duration::from_secs(1);

impl Journal {
    /// Damage came to be known: it is repaired where there is a replica to give it.
    pub(super) fn plan_repair(&mut self, damage: &Damage) {
        if !self.is_alone() {
            self.heal.repair.add(damage);
        }
    }

    /// Whether the chain leads from what follows entry `last` to it is found out, and where it does
    /// not, the entries that it leads to take the place of those here.
    pub(super) fn check_chain_from(&mut self, last: Index) {
        self.heal.repair.add_range(last.next(), last);
    }

    /// About every 10 ms.
    pub(super) fn tick_repair(&mut self, now: Now, fx: &mut Effects) {
        if self.heal.repair.jobs.is_empty() {
            return self.renew_indexes(fx);
        }
        self.hand_over_damaged(now, fx);
        match self.heal.repair.step {
            RepairStep::Asked { wanted, peers_asked, until_ns, .. } if now.mono_ns >= until_ns => {
                self.heal.repair.step = RepairStep::Due { wanted, peers_asked };
            }
            RepairStep::Resting { until_ns } if now.mono_ns >= until_ns => {
                self.heal.repair.step = RepairStep::Idle
            }
            _ => {}
        }
        self.go_on_repairing(now, fx);
    }

    /// Indexes that knew repaired entries otherwise are made again.
    fn renew_indexes(&mut self, fx: &mut Effects) {
        if self.heal.repair.stale_index {
            self.heal.repair.stale_index =
                self.log.segments.sealed.iter().any(|sealed| sealed.index.is_bad());
            self.rebuild_bad_index(fx);
        }
    }

    /// A link came up: whoever is behind it may have what is missing.
    pub(super) fn hurry_repair(&mut self) {
        if let RepairStep::Resting { .. } = self.heal.repair.step {
            self.heal.repair.step = RepairStep::Idle;
        }
    }

    /// A leader with damage lets another one lead that may have none.
    fn hand_over_damaged(&mut self, now: Now, fx: &mut Effects) {
        let may = self.heal.repair.hand_overs_left > 0 && now.mono_ns >= self.heal.repair.hand_over_ns;
        if may && self.is_leader() && !self.heal.damage.is_empty() {
            self.heal.repair.hand_over_ns = now.plus(HAND_OVER_SPACING);
            self.heal.repair.hand_overs_left -= u32::from(self.hand_over(None, now, fx));
        }
    }

    fn go_on_repairing(&mut self, now: Now, fx: &mut Effects) {
        let Some(job) = self.heal.repair.jobs.first().copied() else { return };
        if matches!(self.phase, Phase::Stopping | Phase::Installing) {
            return;
        }
        // Entries from there down are deleted meanwhile: written now they would be a file that recovery
        // takes for the log's beginning.
        if job.at < self.log.segments.first() && !self.heal.repair.is_under_way() {
            return self.job_done(fx);
        }
        match self.heal.repair.step {
            RepairStep::Idle => self.judge(job, fx),
            RepairStep::Due { wanted, peers_asked } => self.ask_for(job, wanted, peers_asked, now, fx),
            _ => {}
        }
    }

    fn judge(&mut self, job: Job, fx: &mut Effects) {
        self.heal.repair.step = RepairStep::Judging;
        let index = job.at;
        let own = match self.log.segments.in_memory(index) {
            Some((_, _, entries)) => Source::Known(entries.entry(index).map(|at| at.checksum)),
            None => self.log.segments.place_of(index).map_or(Source::Known(None), Source::Place),
        };
        let next = index.next();
        let is_bounded = next <= self.known_commit().max(self.log.votes.durable().synced.index);
        let next = match self.context.entries.get(next) {
            _ if !is_bounded || job.chained.is_some() => Source::Known(None),
            Some(entry) => Source::Known(Some(entry.header().previous_checksum.get())),
            None => self.log.segments.place_of(next).map_or(Source::Known(None), Source::Place),
        };
        let behind = if self.is_chain_proven(&job) { Behind::default() } else { self.behind(index) };
        let (context, identity, journal) = (self.context.clone(), self.meta.identity(), self.id);
        fx.start(async move {
            let judged = mending::judge(context, identity, index, own, next, behind).await;
            Done::of(journal, HealDone::Judged(judged))
        });
    }

    /// Where the entries behind `index` are, as far as they may prove it.
    fn behind(&self, index: Index) -> Behind {
        let durable = self.log.appender.durable().index;
        let last = durable.min(Index(index.0 + PROOF_ENTRIES_MAX));
        let places =
            (index.0 + 1..=last.0).map_while(|index| self.log.segments.place_of(Index(index))).collect();
        let HardState { commit, synced, .. } = *self.log.votes.durable();
        Behind { places, bound: Some(synced).filter(|_| index <= commit && synced.checksum != 0) }
    }

    /// The entry above was committed and was mended: what it names is committed.
    fn is_chain_proven(&self, job: &Job) -> bool {
        job.chained.is_some() && job.at.next() <= self.known_commit()
    }

    /// What is known to be committed.
    pub(super) fn known_commit(&self) -> Index {
        self.quorum.replica.commit().max(self.heal.repair.known_commit)
    }

    /// What this replica knows of the entry under way has been gathered.
    pub fn judged(&mut self, judged: Judged, now: Now, fx: &mut Effects) {
        let job = self.heal.repair.jobs[0];
        let bound = self.bound_exact(job.at);
        let expected = judged.proven.or(job.chained).or(bound).or(judged.next);
        if job.at < job.first && (expected.is_none() || judged.own.is_none() || judged.own == expected) {
            // Not damaged, and what its neighbour says of it is so.
            return self.job_done(fx);
        }
        let checksum = expected.or(judged.own).unwrap_or(0);
        let is_bound_committed =
            bound.is_some() && expected == bound && job.at <= self.log.votes.durable().commit;
        let is_proven = judged.proven.is_some() || self.is_chain_proven(&job) || is_bound_committed;
        let any = checksum == 0 || self.heal.repair.nobody_had_it;
        self.heal.repair.step =
            RepairStep::Due { wanted: WantedEntry { checksum, is_proven, any }, peers_asked: 0 };
        self.go_on_repairing(now, fx);
    }

    fn ask_for(&mut self, job: Job, wanted: WantedEntry, peers_asked: usize, now: Now, fx: &mut Effects) {
        let others = self.quorum.members.nodes_but(self.meta.raft_id);
        if peers_asked >= others.len() {
            self.heal.repair.nobody_had_it = !wanted.any;
            self.heal.repair.step = RepairStep::Resting { until_ns: now.plus(REST) };
            return;
        }
        let of = others[(self.heal.repair.turn + peers_asked) % others.len()];
        let until_ns = now.plus(ANSWER);
        self.heal.repair.step = RepairStep::Asked { wanted, peers_asked: peers_asked + 1, of, until_ns };
        let checksum = if wanted.any { 0 } else { wanted.checksum };
        let message = PeerMessage::Read { journal: self.id, index: job.at, checksum };
        fx.out.push(Output::Peer { to: of, lane: self.lane(), message });
    }

    /// Another replica answers what it was asked for.
    pub fn read_done(
        &mut self,
        (from, index): (NodeId, Index),
        (commit, is_sure): (Index, bool),
        entry: Option<EntryBytes>,
        now: Now,
        fx: &mut Effects,
    ) {
        let Some(job) = self.heal.repair.jobs.first().copied() else { return };
        let RepairStep::Asked { wanted, peers_asked, of, .. } = self.heal.repair.step else { return };
        if of != from || job.at != index || self.phase == Phase::Installing {
            return;
        }
        self.heal.repair.step = RepairStep::Due { wanted, peers_asked };
        if index < self.log.segments.first() {
            return self.job_done(fx);
        }
        if let Some(entry) = entry.filter(|entry| is_whole(entry, &self.meta.identity(), index)) {
            let is_same = wanted.checksum != 0 && entry.header().checksum.get() == wanted.checksum;
            let is_committed = commit >= index;
            let was_committed = index <= self.known_commit();
            if is_committed && is_sure && !is_same && !was_committed {
                return self.lower_bound(job, fx);
            }
            let is_good = match was_committed {
                true if is_same => is_committed || wanted.is_proven,
                true => is_committed && is_sure && wanted.any && self.bound_exact(index).is_none(),
                false => is_same,
            };
            if is_good {
                return self.write_mended(entry, fx);
            }
        }
        self.go_on_repairing(now, fx);
    }

    /// The checksum by which the synced bound names this very entry: no other will do.
    fn bound_exact(&self, index: Index) -> Option<u32> {
        let synced = self.log.votes.durable().synced;
        Some(synced.checksum).filter(|checksum| synced.index == index && *checksum != 0)
    }

    fn write_mended(&mut self, entry: EntryBytes, fx: &mut Effects) {
        let index = entry.header().index();
        let bounds = self.log.votes.durable().commit.max(self.log.votes.durable().synced.index);
        if self.phase == Phase::Running && index > bounds {
            // A crash in the middle of the write must find it below the bounds; then it is asked again.
            self.heal.repair.step = RepairStep::Idle;
            return self.write_hard_state(fx);
        }
        let (term, checksum) = (entry.header().term(), entry.header().checksum.get());
        if self.bound_exact(index).is_some_and(|named| named != checksum) {
            // Nor must it find one there that the bound does not name.
            self.heal.proven_loss = Some(ProvenLoss::Entry(SyncedBound { index, term, checksum }));
            self.heal.repair.step = RepairStep::Idle;
            return self.write_hard_state(fx);
        }
        self.heal.repair.step = RepairStep::Writing;
        let base = Index(entry.header().segment_base.get());
        let target = self.target(base);
        let (context, identity, journal) = (self.context.clone(), self.meta.identity(), self.id);
        fx.start(async move {
            let header = entry.header();
            let checksums = (header.checksum.get(), header.previous_checksum.get());
            let result = mending::mend(context, identity, target, entry).await;
            Done::of(journal, HealDone::Mended { checksums, result })
        });
    }

    fn target(&self, base: Index) -> Target {
        if let Some(sealed) = self.log.segments.sealed_at(base) {
            return Target::Sealed(Rc::clone(sealed));
        }
        let rolled =
            self.log.segments.rolled.iter().find(|rolled| rolled.base == base).map(|rolled| rolled.file);
        let active = Some(self.log.segments.active.file).filter(|_| self.log.segments.active.base == base);
        rolled.or(active).map_or(Target::Missing(self.log.limits.bytes), Target::Open)
    }

    /// An entry was written in its place.
    pub fn mended(
        &mut self,
        (checksum, previous): (u32, u32),
        result: Result<bool, DiskError>,
        now: Now,
        fx: &mut Effects,
    ) {
        let job = &mut self.heal.repair.jobs[0];
        match result {
            Ok(true) => {
                let index = job.at;
                self.heal.repair.entries += 1;
                self.heal.repair.has_changed = true;
                self.heal.repair.turn += 1;
                self.heal.repair.nobody_had_it = false;
                *job = Job { at: Index(index.0 - 1), mended: index, chained: Some(previous), ..*job };
                self.heal.repair.step = RepairStep::Idle;
                self.note_other(index, checksum, fx);
            }
            // The medium does not keep it, or has no room: later perhaps.
            Ok(false) => self.heal.repair.step = RepairStep::Resting { until_ns: now.plus(REST) },
            Err(error) if error.kind == DiskErrorKind::NoSpace => {
                self.heal.repair.step = RepairStep::Resting { until_ns: now.plus(REST) }
            }
            Err(error) => return fx.out.push(Output::Fatal(Fatal::Write(error))),
        }
        self.go_on_repairing(now, fx);
    }

    /// Where an index knew an entry otherwise, or not, it is made again.
    fn note_other(&mut self, index: Index, checksum: u32, fx: &mut Effects) {
        match self.log.segments.in_memory(index) {
            Some((_, _, entries)) => {
                let is_known = entries.entry(index).is_some_and(|at| at.checksum == checksum);
                let takes_part = !self.phase.lacks_entries() && self.phase != Phase::Installing;
                if !is_known && takes_part {
                    // It held another entry than it believed: what it said of it is void.
                    self.phase = Phase::Quarantined;
                    self.step_down(fx);
                    let why = "it held an entry that is not the committed one";
                    fx.out.push(Output::Event(Event::Quarantined { journal: self.id, why }));
                }
                self.heal.repair.opens_anew |= !is_known;
            }
            None => {
                if let Some(Place::Sealed(sealed)) = self.log.segments.place_of(index) {
                    self.heal.repair.stale_index |= sealed.index.is_bad();
                }
            }
        }
    }

    fn job_done(&mut self, fx: &mut Effects) {
        let job = self.heal.repair.jobs.remove(0);
        self.heal.repair.step = RepairStep::Idle;
        self.heal.repair.nobody_had_it = false;
        self.heal.damage.retain(|damage| !(job.first <= damage.first && damage.last <= job.last));
        if job.mended <= job.last {
            let (journal, first, last) = (self.id, job.mended, job.last);
            fx.out.push(Output::Event(Event::Repaired { journal, first, last }));
        }
    }

    /// A committed entry stands where this replica has a damaged one that never was committed: the
    /// log may end before it. Recovery cuts it once no bound covers it.
    fn lower_bound(&mut self, job: Job, fx: &mut Effects) {
        assert!(job.at > self.log.votes.durable().commit, "entry {} is committed", job.at);
        if self.phase != Phase::Quarantined || self.log.votes.is_writing() {
            return;
        }
        let last = Index(job.at.0 - 1);
        let at = self.log.segments.in_memory(last).and_then(|(_, _, entries)| entries.entry(last));
        let (term, checksum) = at.map_or((Term(0), 0), |at| (at.term, at.checksum));
        self.heal.repair.jobs.retain(|job| job.last <= last);
        self.heal.damage.retain(|damage| damage.last <= last);
        self.heal.repair.step = RepairStep::Idle;
        self.heal.repair.has_changed = true;
        let synced = SyncedBound { index: last, term, checksum };
        let state = self.log.votes.begin_bound(synced);
        self.put_hard_state(state, fx);
    }

    /// Entries written again since the journal was opened.
    pub fn repaired_entries(&self) -> u64 {
        self.heal.repair.entries
    }

    /// All that kept it from taking part is repaired, and nothing is under way any more.
    pub fn opens_anew(&self) -> bool {
        self.heal.repair.opens_anew
            && self.is_quarantined()
            && self.heal.repair.jobs.is_empty()
            && self.heal.repair.has_changed
            && !self.heal.repair.stale_index
            && self.is_at_rest()
    }
}
