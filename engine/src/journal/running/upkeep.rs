//! What the journal does beside serving: the next segment, sealing, retention, bounds, the stop.

use super::Journal;
use crate::clock::Now;
use crate::control::{ControlRefusal, View};
use crate::disk::{DiskError, DiskErrorKind};
use crate::folder;
use crate::ids::{FileId, Index, Term};
use crate::journal::effects::{Done, Effects};
use crate::journal::format::checkpoint_file::Checkpoint;
use crate::journal::keep::upkeep::{DRIFT_MS_MAX, StopCheckpoint};
use crate::journal::ledger::shown::Authority;
use crate::journal::log::done::LogDone;
use crate::journal::log::procedures::{self, SealDone, SealError, SealWork};
use crate::journal::log::segment::{Next, Sealing};
use crate::journal::phase::Phase;
use crate::journal::read::container::Sealed;
use crate::journal::read::want::ReadFault;
use crate::journal::recover::rebuild;
use crate::port::{Damage, DamageKind, Event, Fatal, Output};
use crate::raft::{HEARTBEAT_TICKS, TICK};
use core::time::Duration;
use std::rc::Rc;

/// A full disk is asked again this often.
const RETRY: Duration = Duration::from_millis(500);

/// Bounds are written when nothing was appended for this long.
const IDLE: Duration = Duration::from_millis(200);

impl Journal {
    /// About every 10 ms.
    pub fn tick(&mut self, view: &View, retention_ns: u64, now: Now, fx: &mut Effects) {
        self.tick_install(now, fx);
        if self.phase == Phase::Installing {
            return;
        }
        let ticks = self.ticks_due(now);
        self.tick_raft(ticks, now, fx);
        self.refuse_short(now, fx);
        self.check_clock(now, fx);
        self.retry_full(now, fx);
        self.hand_over_when_full(now, fx);
        self.prepare_wanted(now, fx);
        self.start(now, fx);
        self.tick_doubt(now, fx);
        self.tick_repair(now, fx);
        self.propose_digests();
        self.seal_rolled(now, fx);
        self.write_idle_bounds(now, fx);
        self.delete_dead(now, fx);
        self.change_next(now, fx);
        self.offer_start(now, fx);
        self.enter_sealed(fx);
        self.tick_runs(now, fx);
        self.tick_exchange(now, fx);
        self.look_at_partitions(view, retention_ns, now, fx);
        self.pump(now, fx);
    }

    /// A leader's ticks come together, at moments that are the same for all journals of a shard:
    /// so its heartbeats do, and travel in one message. A follower counts each.
    fn ticks_due(&mut self, now: Now) -> u32 {
        let beat = now.mono_ns / (TICK.as_nanos() as u64 * HEARTBEAT_TICKS as u64);
        let is_new = core::mem::replace(&mut self.upkeep.beat, beat) != beat;
        match (self.quorum.replica.is_leader() && !self.is_alone(), is_new) {
            (false, _) => 1,
            (true, true) => HEARTBEAT_TICKS as u32,
            (true, false) => 0,
        }
    }

    /// Lets time pass for raft. Until the journal has a place for a term start it must not come to
    /// lead, and one that stops does not stand for election.
    pub fn tick_raft(&mut self, ticks: u32, now: Now, fx: &mut Effects) {
        for _ in 0..ticks {
            let leads = self.quorum.replica.is_leader();
            let may_stand = self.phase == Phase::Running && self.may_lead();
            match self.phase {
                Phase::Running if may_stand && self.is_to_begin() => self.quorum.replica.tick_to_begin(),
                Phase::Running | Phase::Stopping if leads || self.is_alone() || may_stand => {
                    self.quorum.replica.tick()
                }
                Phase::Running => {
                    self.quorum.replica.tick_without_standing();
                    self.prepare_next(now, fx);
                }
                _ => return,
            }
            self.pump(now, fx);
        }
    }

    /// The wall clock against the monotonic one: more than ten minutes apart, and deletion by
    /// time rests until they agree again.
    fn check_clock(&mut self, now: Now, fx: &mut Effects) {
        let (mono, wall) = self.upkeep.clock;
        let drift_ms = self.upkeep.drift_ms(now);
        let trusts = drift_ms.abs() <= DRIFT_MS_MAX;
        if trusts {
            // Slow drift, and the steps of a disciplined clock, are followed.
            let step = drift_ms.clamp(-1, 1);
            self.upkeep.clock = (mono, wall + step);
        }
        if trusts != self.upkeep.trusts_clock {
            self.upkeep.trusts_clock = trusts;
            let event = if trusts { Event::ClockTrusted } else { Event::ClockDistrusted { drift_ms } };
            fx.out.push(Output::Event(event));
        }
    }

    /// Starts preparing the segment after the active one, unless that is under way or done.
    pub(super) fn prepare_next(&mut self, now: Now, fx: &mut Effects) {
        match self.log.segments.next {
            Next::None => {}
            Next::Full { retry_ns } if now.mono_ns >= retry_ns => {}
            _ => return,
        }
        self.log.segments.next = Next::Preparing;
        let (io, journal, bytes) = (self.context.io.clone(), self.id, self.log.limits.bytes);
        fx.start(async move {
            Done::of(journal, LogDone::Prepared(procedures::prepare(io, journal, bytes).await))
        });
    }

    /// A large batch may need the next segment while the active one is not half full.
    pub(super) fn prepare_wanted(&mut self, now: Now, fx: &mut Effects) {
        if self.upkeep.wants_next.take() {
            self.prepare_next(now, fx);
        }
    }

    pub fn prepared(&mut self, result: Result<FileId, DiskError>, now: Now, fx: &mut Effects) {
        match result {
            Ok(file) => {
                self.log.segments.next = Next::Ready { file, name: procedures::prepared_name(self.id, file) };
                self.note_room(fx);
                self.start(now, fx);
            }
            Err(error) if error.kind == DiskErrorKind::NoSpace => {
                self.log.segments.next = Next::Full { retry_ns: now.plus(RETRY) };
                self.note_full(fx);
            }
            Err(error) => fx.out.push(Output::Fatal(Fatal::Write(error))),
        }
    }

    fn note_full(&mut self, fx: &mut Effects) {
        if !core::mem::replace(&mut self.upkeep.reported_full, true) {
            fx.out.push(Output::Event(Event::DiskFull { journal: self.id }));
        }
        for (waiter, _) in self.ledger.queued_commands.drain(..) {
            fx.commands.push((waiter, Err(ControlRefusal::Storage)));
        }
        fx.out.push(Output::Room);
    }

    fn note_room(&mut self, fx: &mut Effects) {
        self.upkeep.turned_away = false;
        if core::mem::replace(&mut self.upkeep.reported_full, false) {
            fx.out.push(Output::Event(Event::DiskRoom { journal: self.id }));
        }
        fx.out.push(Output::Room);
    }

    /// Whether produce is refused for want of space.
    pub fn is_full(&self) -> bool {
        matches!(self.log.segments.next, Next::Full { .. }) || self.upkeep.active_short
    }

    pub(super) fn retry_full(&mut self, now: Now, fx: &mut Effects) {
        if matches!(self.log.segments.next, Next::Full { .. }) {
            self.prepare_next(now, fx);
        }
        if self.upkeep.active_short && !self.upkeep.lengthening && now.mono_ns >= self.upkeep.retry_ns {
            self.upkeep.lengthening = true;
            let (io, journal) = (self.context.io.clone(), self.id);
            let (file, bytes) = (self.log.segments.active.file, self.log.limits.bytes);
            fx.start(async move {
                Done::of(journal, LogDone::Lengthened(procedures::lengthen(io, file, bytes).await))
            });
        }
    }

    pub fn lengthened(&mut self, result: Result<(), DiskError>, now: Now, fx: &mut Effects) {
        self.upkeep.lengthening = false;
        self.upkeep.retry_ns = now.plus(RETRY);
        match result {
            Ok(()) => {
                self.upkeep.active_short = false;
                self.note_room(fx);
                self.start(now, fx);
            }
            Err(error) if error.kind == DiskErrorKind::NoSpace => self.note_full(fx),
            Err(error) => fx.out.push(Output::Fatal(Fatal::Write(error))),
        }
    }

    /// Seals the oldest rolled segment whose checkpoint is taken and whose entries are durable.
    pub(super) fn seal_rolled(&mut self, now: Now, fx: &mut Effects) {
        if self.upkeep.sealing || now.mono_ns < self.upkeep.seal_retry_ns || self.has_unaccepted_loss() {
            return;
        }
        let durable = self.log.appender.durable().index;
        let Some(front) = self.log.segments.rolled.front_mut() else { return };
        if front.last > durable || !matches!(front.sealing, Sealing::Checkpoint(_)) {
            return;
        }
        // Zeros that land after the cut would lengthen the file again, and so does a cut of the tail once it is
        // carried out: the end of this file may be what it wipes.
        if self.log.appender.is_zeroing(front.file) || self.log.pending_cut.is_some() {
            return;
        }
        let Sealing::Checkpoint(body) = core::mem::replace(&mut front.sealing, Sealing::Running) else {
            unreachable!("matched above")
        };
        self.upkeep.sealing = true;
        let identity = self.meta.identity();
        let term = self.quorum.replica.term_at(front.last).unwrap_or(Term(0));
        let work = SealWork {
            identity,
            base: front.base,
            last: front.last,
            bytes: front.bytes,
            file: front.file,
            index: Rc::clone(&front.index),
            checkpoint: Checkpoint { last: front.last, term, body },
        };
        let (context, journal) = (self.context.clone(), self.id);
        fx.start(async move {
            let body = Rc::clone(&work.checkpoint.body);
            let result = procedures::seal(context, work).await.map_err(|error| (error, body));
            Done::of(journal, LogDone::Sealed(result))
        });
    }

    pub fn sealed(&mut self, result: Result<SealDone, (SealError, Rc<Vec<u8>>)>, now: Now, fx: &mut Effects) {
        self.upkeep.sealing = false;
        match result {
            Ok(done) => {
                let rolled = self.log.segments.rolled.pop_front().expect("it was being sealed");
                assert_eq!(rolled.base, done.sealed.base);
                let (base, last, bytes) = (rolled.base, rolled.last, rolled.bytes);
                let journal = self.id;
                self.catalog.push(Rc::clone(&done.sealed));
                self.log.segments.sealed.push_back(done.sealed);
                self.upkeep.checkpoints.push(done.checkpoint);
                self.enter_sealed(fx);
                fx.out.push(Output::Event(Event::SegmentSealed { journal, base, last, bytes }));
                self.note_sealed(base, done.digest, fx);
                let (index, bytes) = (done.checkpoint, done.checkpoint_bytes);
                fx.out.push(Output::Event(Event::CheckpointWritten { journal, index, bytes }));
                self.seal_rolled(now, fx);
            }
            Err((error, body)) => {
                if let Some(fatal) = error.fatal() {
                    return fx.out.push(Output::Fatal(fatal));
                }
                let front = self.log.segments.rolled.front_mut().expect("it was being sealed");
                front.sealing = Sealing::Checkpoint(body);
                self.upkeep.seal_retry_ns = now.plus(RETRY);
                // The reserve is for exactly this: an index and a checkpoint on a full disk.
                let io = self.context.io.clone();
                fx.start(async move {
                    folder::give_up_reserve(&io).await;
                    Done::ReserveGone
                });
            }
        }
    }

    /// Writes commit and synced bound when nothing else is going on; soon when the members changed.
    fn write_idle_bounds(&mut self, now: Now, fx: &mut Effects) {
        let last = self.log.last();
        if self.upkeep.last_append.0 != last {
            self.upkeep.last_append = (last, now.mono_ns);
        }
        let idle = now.mono_ns - self.upkeep.last_append.1 >= IDLE.as_nanos() as u64 || !self.keeps_members();
        let (commit, synced) = self.bounds();
        let changed = (commit, synced) != (self.log.votes.durable().commit, self.log.votes.durable().synced);
        if idle && changed && self.log.appender.is_idle() && !self.phase.lacks_entries() {
            self.write_hard_state(fx);
        }
    }

    /// Segments before the first one are gone, and nobody deleted them.
    pub(super) fn note_missing_front(&mut self, fx: &mut Effects) {
        let first = self.log.segments.first();
        let before = Index(first.0.saturating_sub(1));
        let damage = Damage {
            journal: self.id,
            first: before,
            last: before,
            term: None,
            file: folder::segment_path(self.id, first),
            position: 0,
            bytes: 0,
            kind: DamageKind::Body,
        };
        self.note_damage(damage, fx);
    }

    /// Damage met while serving: it is told once.
    pub(super) fn note_damage(&mut self, damage: Damage, fx: &mut Effects) {
        let known = |known: &Damage| known.first <= damage.first && damage.first <= known.last;
        let is_accepted =
            damage.kind == DamageKind::Head && self.ledger.state.fold.is_accepted_loss(damage.first);
        if !is_accepted && !self.heal.damage.iter().any(known) {
            self.heal.damage.push(damage.clone());
            self.plan_repair(&damage);
            fx.out.push(Output::Event(Event::Damaged(damage)));
        }
    }

    /// Makes an index again that a look-up found bad, one at a time. Until then what it leads to
    /// cannot be read.
    pub(super) fn rebuild_bad_index(&mut self, fx: &mut Effects) {
        let bad = self.log.segments.sealed.iter().find(|sealed| sealed.index.is_bad());
        let Some(bad) =
            bad.cloned().filter(|_| !self.upkeep.rebuilding && !self.upkeep.deleting.is_under_way)
        else {
            return;
        };
        self.upkeep.rebuilding = true;
        let (context, identity, journal) = (self.context.clone(), self.meta.identity(), self.id);
        fx.start(async move {
            Done::of(journal, LogDone::IndexRebuilt(rebuild::with_new_index(context, identity, bad).await))
        });
    }

    pub fn index_rebuilt(&mut self, result: Result<Option<Rc<Sealed>>, DiskError>, fx: &mut Effects) {
        self.upkeep.rebuilding = false;
        match result {
            Ok(Some(new)) => {
                let mut sealed = self.log.segments.sealed.iter_mut();
                let old =
                    sealed.find(|sealed| sealed.base == new.base).expect("a segment that is read stays");
                fx.out.push(Output::Event(Event::IndexRebuilt { journal: self.id, base: new.base }));
                self.catalog.replace(&new);
                *old = new;
            }
            // The next look-up that meets it tries again.
            Ok(None) => {}
            Err(error) if error.kind == DiskErrorKind::NoSpace => {}
            Err(error) => fx.out.push(Output::Fatal(Fatal::Write(error))),
        }
    }

    /// What a read found bad, as damage.
    pub(super) fn damage_of(&self, fault: &ReadFault) -> Option<Damage> {
        let (base, located, kind, position) = match fault {
            ReadFault::Entry { base, located, fault } if fault.kind.is_body() => {
                (base, located, DamageKind::Body, fault.position)
            }
            ReadFault::Entry { base, located, fault } => (base, located, DamageKind::Head, fault.position),
            // What cannot be read now may be read later, and alone there is nothing else to be done.
            ReadFault::Unreadable { base, located, .. } if !self.is_alone() => {
                (base, located, DamageKind::Body, located.item.position)
            }
            _ => return None,
        };
        Some(Damage {
            journal: self.id,
            first: located.item.entry,
            last: located.item.entry,
            term: self.quorum.replica.term_at(located.item.entry),
            file: folder::segment_path(self.id, *base),
            position,
            bytes: u64::from(located.item.entry_bytes),
            kind,
        })
    }

    /// Stops taking requests; true once nothing is in flight and the checkpoint is written.
    pub fn stop(&mut self, now: Now, fx: &mut Effects) -> bool {
        let is_preparing = self.log.segments.next == Next::Preparing;
        self.end_rewriting(fx);
        let is_busy = self.upkeep.is_busy()
            || self.rewriting.is_under_way()
            || self.heal.runs.is_under_way()
            || self.log.votes.is_writing()
            || is_preparing;
        if self.phase.lacks_entries() || matches!(self.phase, Phase::Starting | Phase::Installing) {
            return !is_busy;
        }
        if !self.handed_over(now, fx) {
            return false;
        }
        if self.ledger.open.is_some() && !self.quorum.replica.is_transferring() {
            self.seal_open(now, fx);
        }
        if self.phase != Phase::Stopping {
            self.phase = Phase::Stopping;
            if !self.is_alone() {
                // Another leader shows more from now on, whether this one has heard of it or not.
                self.ledger.authority = Authority::None;
            }
            fx.leaders_changed = true;
        }
        // With peers the rest may be committed without this replica, or never.
        let folded = !self.is_alone() || self.ledger.state.fold.applied >= self.log.appender.durable().index;
        let idle = self.log.appender.is_idle() && folded;
        if !idle || is_busy {
            return false;
        }
        match self.upkeep.stop_checkpoint {
            StopCheckpoint::Written => {}
            StopCheckpoint::NotYet if !self.may_write_checkpoint() => {}
            StopCheckpoint::Writing => return false,
            StopCheckpoint::NotYet => {
                self.upkeep.stop_checkpoint = StopCheckpoint::Writing;
                self.write_local_checkpoint(fx);
                return false;
            }
        }
        let (commit, synced) = self.bounds();
        if (commit, synced) != (self.log.votes.durable().commit, self.log.votes.durable().synced) {
            self.write_hard_state(fx);
            return false;
        }
        true
    }

    /// Not while a loss is to be accepted, nor where the fold stands at the last entry of a segment that is
    /// not known to end there.
    pub(super) fn may_write_checkpoint(&self) -> bool {
        let ends_a_segment =
            self.log.segments.rolled.iter().any(|rolled| rolled.last == self.ledger.state.fold.applied);
        !self.has_unaccepted_loss() && !ends_a_segment
    }

    /// A checkpoint of now, for the next start of this replica alone.
    pub(super) fn write_local_checkpoint(&mut self, fx: &mut Effects) {
        let last = self.ledger.state.fold.applied;
        let term = self.quorum.replica.term_at(last).unwrap_or(Term(0));
        let checkpoint = Checkpoint { last, term, body: Rc::new(self.ledger.state.encode()) };
        let (context, identity, journal) = (self.context.clone(), self.meta.identity(), self.id);
        fx.start(async move {
            let result = procedures::write_local_checkpoint(context, identity, checkpoint).await;
            Done::of(journal, LogDone::LocalCheckpoint { index: last, result })
        });
    }

    /// Without room for its checkpoint a stop only makes the next start slower.
    pub fn local_checkpoint_written(
        &mut self,
        index: Index,
        result: Result<u64, DiskError>,
        fx: &mut Effects,
    ) {
        self.covering_written(result.is_ok());
        if self.upkeep.stop_checkpoint == StopCheckpoint::Writing {
            self.upkeep.stop_checkpoint = StopCheckpoint::Written;
        }
        match result {
            Ok(bytes) => {
                fx.out.push(Output::Event(Event::CheckpointWritten { journal: self.id, index, bytes }));
            }
            Err(error) if error.kind == DiskErrorKind::NoSpace => {}
            Err(error) => fx.out.push(Output::Fatal(Fatal::Write(error))),
        }
    }

    /// When the oldest entry came that the cache may do without: one that is durable and folded.
    pub fn oldest_cached(&self) -> Option<u64> {
        self.context.entries.oldest(self.log.appender.durable().index.min(self.ledger.state.fold.applied))
    }

    /// The oldest entry in the cache goes.
    pub fn evict_oldest(&mut self) {
        self.context.entries.evict_oldest();
        self.quorum.replica.set_hot(self.context.entries.recent_first(self.log.cursor.next));
    }
}
