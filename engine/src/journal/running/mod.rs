//! A running journal: what happens between an input and the disk.
//!
//! ```text
//! produce ─▶ open entry ─▶ sealed ─▶ proposed ─▶ raft's work ─▶ appender ─▶ durable ─▶ persisted
//!                                                                       commit ─▶ fold ─▶ answers
//! ```

mod asking;
mod checkpoint;
mod cut;
mod deleting;
mod digest;
mod done;
pub mod ending;
mod follow;
mod following;
mod health;
mod install;
mod lead;
mod lending;
mod members;
pub mod produce;
mod repair;
mod retention;
mod rewrite_status;
mod rewriting;
mod run_exchange;
mod scrub;
pub mod serve;
mod space;
mod supply;
mod transactions;
mod upkeep;
mod work;

use crate::clock::Now;
use crate::disk::{DiskResult, OpId};
use crate::entry::builder::{Stamp, head_only};
use crate::entry::item::Item;
use crate::entry::{EntryBytes, EntryKind};
use crate::ids::{Index, JournalId, LaneId, NodeId, RaftId, Term};
use crate::journal::context::Context;
use crate::journal::effects::{Done, Effects};
use crate::journal::format::hard_state::{HardState, SyncedBound};
use crate::journal::format::meta_record::JournalMeta;
use crate::journal::heal::Healer;
use crate::journal::heal::asking::Asking;
use crate::journal::heal::digest::Digests;
use crate::journal::heal::install::Installing;
use crate::journal::heal::lending::Lending;
use crate::journal::heal::repair::Repair;
use crate::journal::heal::run_exchange::RunExchange;
use crate::journal::keep::upkeep::Upkeep;
use crate::journal::ledger::Ledger;
use crate::journal::ledger::shown::Authority;
use crate::journal::ledger::state::State;
use crate::journal::log::appender::{IN_FLIGHT_MAX, Progressed};
use crate::journal::log::cursor::SegmentLimits;
use crate::journal::log::done::LogDone;
use crate::journal::log::stages::StageLatencies;
use crate::journal::log::vote_file::VoteFile;
use crate::journal::log::{DiskLog, procedures};
use crate::journal::phase::Phase;
use crate::journal::quorum::Quorum;
use crate::journal::read::catalog::Catalog;
use crate::journal::recover::recovery::Recovered;
use crate::journal::rewriting::Rewriting;
use crate::partition::Fold;
use crate::planted::{Bug, is_planted};
use crate::port::{Fatal, Output};
use crate::raft::{Change, EntryMeta, ReplicaStart};
use crate::rng::mix;
use std::rc::Rc;

/// With something in flight an entry is sealed only from this size on: a 256 KiB write with its
/// sync costs 0.11 to 0.14 core-seconds per GB, a 64 KiB one three times as much.
pub const SEAL_BYTES: usize = 256 << 10;

/// What a journal is given besides its folder.
pub struct Options {
    pub seed: u64,
    /// The operator's word that lost entries are to be passed over.
    pub accept_loss: bool,
    /// Which node has which replica, this one among them.
    pub members: Vec<(RaftId, NodeId)>,
    /// Entries whose metadata raft keeps behind the applied one.
    pub raft_window_entries: usize,
}

/// One journal on its shard: its rooms, and what it does with them. Only it makes outputs.
pub struct Journal {
    context: Context,
    pub id: JournalId,
    meta: JournalMeta,
    phase: Phase,
    log: DiskLog,
    catalog: Catalog,
    ledger: Ledger,
    quorum: Quorum,
    heal: Healer,
    upkeep: Upkeep,
    pub(in crate::journal) rewriting: Rewriting,
    pub counts: Counts,
}

/// Gauges of one journal.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub term: Term,
    pub commit: Index,
    pub durable: Index,
    pub last: Index,
    pub segments: u64,
    pub dead_bytes: u64,
    pub pinned_bytes: u64,
    pub fence_bytes: u64,
    pub damaged_ranges: u64,
}

/// Figures since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub batches: u64,
    pub batch_bytes: u64,
    pub duplicates: u64,
    /// Markers that abort, and markers that commit.
    pub markers: [u64; 2],
    /// For how long producers waited for a follower that nearly keeps up.
    pub held_back_ns: u64,
    /// Times that this replica was elected.
    pub elections: u64,
    /// Messages from peers that were not believed.
    pub refused_messages: u64,
}

impl Journal {
    /// A journal that goes on from what recovery found.
    pub fn new(context: Context, recovered: Recovered, options: Options, now: Now) -> Self {
        let Options { seed, accept_loss, members, raft_window_entries } = options;
        let id = recovered.meta.journal;
        let limits = SegmentLimits {
            bytes: recovered.meta.segment_bytes,
            batches: recovered.meta.batches_per_segment_max,
        };
        let last = recovered.cursor.next;
        let term = recovered.hard_state.term.max(recovered.cursor.previous_term);
        let is_alone = recovered.is_alone;
        // With peers, whatever may have been acknowledged and is not known any more forbids to vote
        // and to ack.
        let lost = !is_alone && (recovered.report.amnesia || recovered.has_lost_acked());
        let start = ReplicaStart {
            id: recovered.meta.raft_id,
            members: recovered.state.members.clone(),
            term,
            // A vote belongs to its term: an entry of a later one may have been written first.
            vote: Some(recovered.hard_state.vote)
                .filter(|vote| vote.0 != 0 && recovered.hard_state.term == term),
            commit: recovered.state.fold.applied,
            first: recovered.segments.first(),
            last: Index(last.0 - 1),
            terms: recovered.terms,
            window: recovered.window,
            window_entries: raft_window_entries,
            floor: recovered.hard_state.doubt.filter(|_| !is_alone).map(|doubt| doubt.end),
            seed,
        };
        let refusing = lost || (recovered.unaccepted.is_some() && !(is_alone && accept_loss));
        let phase = match refusing {
            true if is_alone => Phase::Refusing,
            true => Phase::Quarantined,
            false => Phase::Starting,
        };
        let to_repair = if is_alone { &[][..] } else { &recovered.damage };
        let repair = Repair::new(to_repair, recovered.report.commit, lost && !recovered.report.amnesia);
        let upkeep = Upkeep::new(recovered.checkpoints, recovered.active_short, context.started, now);
        let sealed = &recovered.segments.sealed;
        let read = recovered.runs.newest(recovered.state.fold.runs(), sealed);
        let catalog = Catalog::new(read, sealed.iter().map(Rc::clone));
        let rewriting = Rewriting::new(recovered.runs, mix(seed));
        let votes = VoteFile::new(recovered.hard_state_file, recovered.hard_state);
        let whole = (recovered.segments, recovered.cursor, recovered.durable);
        let log = DiskLog::new(context.io.clone(), id, limits, whole, votes);
        let authority = if is_alone { Authority::Alone } else { Authority::None };
        let ledger = Ledger::new(recovered.state, recovered.heads, authority);
        let quorum = Quorum::new(&start, members);
        let first = log.segments.first();
        let heal = Healer {
            damage: recovered.damage,
            repair,
            digests: Digests::default(),
            lending: Lending::default(),
            installing: Installing::default(),
            doubt: recovered.hard_state.doubt.filter(|_| !is_alone && !accept_loss),
            asking: Asking::new(seed, term, now),
            lost: recovered.unaccepted,
            unaccepted: recovered.unaccepted,
            proven_loss: None,
            runs: RunExchange::new(first),
            bad_copies: recovered.report.hard_state_bad_copies + recovered.report.meta_bad_copies,
        };
        Self {
            id,
            phase,
            log,
            catalog,
            ledger,
            quorum,
            heal,
            upkeep,
            rewriting,
            counts: Counts::default(),
            meta: recovered.meta,
            context,
        }
    }

    /// Copies of small files that were bad when it was opened.
    pub fn bad_copies(&self) -> u32 {
        self.heal.bad_copies
    }

    pub fn fold(&self) -> &Fold {
        &self.ledger.state.fold
    }

    pub fn state(&self) -> &State {
        &self.ledger.state
    }

    pub fn is_leader(&self) -> bool {
        self.quorum.replica.is_leader() && self.phase == Phase::Running
    }

    /// Leads as far as raft goes, whether or not it serves.
    pub fn is_raft_leader(&self) -> bool {
        self.quorum.replica.is_leader()
    }

    pub fn lane(&self) -> LaneId {
        self.meta.lane
    }

    /// Leads, and everything earlier leaders wrote is committed.
    pub fn is_settled(&self) -> bool {
        self.is_leader() && self.ledger.is_settled()
    }

    /// Serves, or says why it does not: the shard need not wait for it.
    pub fn has_started(&self) -> bool {
        match self.phase {
            Phase::Running if self.is_alone() => self.is_settled(),
            // One that is no member yet waits for a leader to make it one.
            Phase::Running => self.quorum.replica.leader().is_some() || !self.is_member(),
            Phase::Starting => self.is_full(),
            Phase::Refusing | Phase::Quarantined | Phase::Stopping | Phase::Installing => true,
        }
    }

    /// No space is left for commands, the reserve included.
    pub fn is_full_for_commands(&self) -> bool {
        self.is_full() && !self.has_place_for_control(2 * crate::disk::BLOCK)
    }

    pub fn appender_counts(&self) -> crate::journal::log::appender::Counts {
        self.log.appender.counts
    }

    pub fn stages(&self) -> &StageLatencies {
        &self.log.appender.stages
    }

    /// Where the journal is, for the metrics.
    pub fn standing(&self) -> Standing {
        Standing {
            term: self.quorum.replica.term(),
            commit: self.quorum.replica.commit(),
            durable: self.log.appender.durable().index,
            last: self.log.last(),
            segments: self.log.segments.len() as u64,
            dead_bytes: self.catalog.dead_bytes(),
            pinned_bytes: self.catalog.pinned_bytes(),
            fence_bytes: self.catalog.fence_bytes() as u64,
            damaged_ranges: self.heal.damage.len() as u64,
        }
    }

    /// Begins, alone to lead and with peers to take part, as soon as a term start has a place.
    pub fn start(&mut self, now: Now, fx: &mut Effects) {
        if self.phase != Phase::Starting {
            return;
        }
        if !self.has_place_for_control(crate::disk::BLOCK) {
            self.prepare_next(now, fx);
            return;
        }
        self.phase = Phase::Running;
        self.accept_doubt(fx);
        // Peers may have a leader: they are asked when none is heard. But a journal that was just
        // made has none, and the node that is meant to lead it begins.
        if self.is_alone() || self.is_to_begin() {
            self.quorum.replica.campaign();
        }
        self.pump(now, fx);
        if let Some((first, last)) = self.heal.lost.take() {
            // An entry holds at most 2^15 batches of 2^31 offsets each.
            let skip = (last.0 - first.0 + 1) << 46;
            self.queue_items(vec![Item::LossAccepted { first, last, skip }], Vec::new());
            self.propose_queued(now, fx);
        }
    }

    /// This replica is meant to lead the journal, which was just made and has nothing yet.
    fn is_to_begin(&self) -> bool {
        self.meta.voters.first() == Some(&self.meta.raft_id) && self.log.cursor.next == Index(1)
    }

    /// Takes the completion of an operation of the append path; false when it is not one.
    pub fn disk(&mut self, op: OpId, result: &DiskResult, now: Now, fx: &mut Effects) -> bool {
        if !self.log.appender.owns(op) {
            return false;
        }
        if let Err(error) = result {
            fx.out.push(Output::Fatal(Fatal::Write(error.clone())));
            return true;
        }
        match self.log.complete(op, now.mono_ns) {
            Progressed::Durable => {
                self.pump(now, fx);
                self.seal_rolled(now, fx);
            }
            Progressed::Zeroed => self.seal_rolled(now, fx),
            Progressed::Nothing | Progressed::NotMine => {}
        }
        self.go_on_after_cut(now, fx);
        true
    }

    /// The end of the shard's turn: what waits is sealed when the disk is free for it.
    pub fn turn_end(&mut self, now: Now, fx: &mut Effects) {
        if self.phase == Phase::Installing {
            return;
        }
        self.propose_queued(now, fx);
        self.append_markers(now, fx);
        self.prepare_wanted(now, fx);
        if let Some(open) = &self.ledger.open {
            let due = self.log.appender.in_flight() == 0 || open.bytes() >= SEAL_BYTES;
            if due && self.log.appender.in_flight() < IN_FLIGHT_MAX && !self.quorum.replica.is_transferring()
            {
                self.seal_open(now, fx);
            }
        }
        self.quorum.replica.set_hot(self.context.entries.recent_first(self.log.cursor.next));
    }

    /// Where the entry after all that was proposed goes, with the leader's clock.
    fn stamp(&self, place: crate::journal::log::cursor::Place, now: Now) -> Stamp {
        Stamp {
            cluster: self.meta.cluster,
            journal: self.id,
            secret: self.meta.secret,
            term: self.quorum.replica.term(),
            index: self.log.cursor.next,
            segment_base: place.segment_base,
            position: place.position,
            commit: self.quorum.told_commit(self.log.durable()),
            wall_ms: self.leader_wall_ms(now),
            previous_checksum: self.log.cursor.previous_checksum,
        }
    }

    /// Descriptors are lost and no folded entry accepts that. A checkpoint now would make the next
    /// start forget it, and give the lost offsets out again.
    fn has_unaccepted_loss(&self) -> bool {
        self.heal.unaccepted.is_some_and(|(first, _)| !self.ledger.state.fold.is_accepted_loss(first))
    }

    /// The wall clock that goes into entries: from one that is distrusted on by the monotonic one.
    /// Were it the previous entry's, a new journal would have none, and what was written meanwhile
    /// would seem silent for ever once the clock is trusted again.
    fn leader_wall_ms(&self, now: Now) -> i64 {
        if self.upkeep.trusts(now) {
            return now.wall_ms;
        }
        self.upkeep.steady_wall_ms(now).max(self.ledger.state.fold.wall_ms)
    }

    /// Seals the open entry and proposes it.
    fn seal_open(&mut self, now: Now, fx: &mut Effects) {
        let Some(mut open) = self.ledger.open.take() else { return };
        open.close();
        self.log.appender.stages.group.record(now.mono_ns.saturating_sub(self.ledger.opened_ns));
        let batches = open.descriptors().len() as u32;
        let place = self.log.place(open.bytes(), batches);
        let (entry, hint) = open.seal(&self.stamp(place, now));
        self.ledger.hint = hint;
        self.propose(entry, now, fx);
    }

    /// Proposes an entry without batches.
    fn propose_items(
        &mut self,
        kind: EntryKind,
        count: u32,
        items: &[u8],
        now: Now,
        fx: &mut Effects,
    ) -> Index {
        let bytes = crate::entry::layout::HEADER_BYTES + items.len();
        let place = self.log.place(bytes.next_multiple_of(crate::disk::BLOCK), 0);
        let entry = head_only(&self.context.pool, kind, count, items, &self.stamp(place, now));
        let index = self.log.cursor.next;
        self.propose(entry, now, fx);
        index
    }

    fn propose(&mut self, entry: EntryBytes, now: Now, fx: &mut Effects) {
        assert!(self.ledger.open.is_none(), "an open entry has the next index");
        let meta = EntryMeta::of(entry.header());
        let change = (meta.kind == EntryKind::Membership)
            .then(|| Change::decode(entry.items()).expect("as it was encoded"));
        self.log.staged.push_back(entry);
        let proposed = match change {
            Some(change) => self.quorum.replica.propose_change(&meta, change),
            None => self.quorum.replica.propose(&meta),
        };
        if proposed.is_err() {
            self.log.staged.pop_back();
            self.step_down(fx);
            return;
        }
        self.pump(now, fx);
    }

    /// The bounds that the hard state writes down: never above what is durable here, or was.
    fn bounds(&self) -> (Index, SyncedBound) {
        let synced = self.log.appender.durable();
        let bounds = (self.ledger.state.fold.applied.min(synced.index), synced);
        self.heal.proven_loss.map_or(bounds, |loss| loss.bounds(bounds, self.log.last()))
    }

    /// Writes the hard state, if none is being written.
    fn write_hard_state(&mut self, fx: &mut Effects) {
        let bounds = self.bounds();
        let doubt = self.heal.doubt.filter(|_| !is_planted(Bug::BadTailForgotten));
        if let Some(state) = self.log.votes.begin(bounds, doubt) {
            self.put_hard_state(state, fx);
        }
    }

    fn put_hard_state(&mut self, state: HardState, fx: &mut Effects) {
        let (io, pool) = (self.context.io.clone(), self.context.pool.clone());
        let (file, identity, journal) = (self.log.votes.file(), self.meta.identity(), self.id);
        fx.start(async move {
            let result = procedures::write_hard_state(io, pool, file, identity, state).await;
            Done::of(journal, LogDone::HardState(result))
        });
    }

    /// The hard state is durable.
    pub fn hard_state_written(&mut self, state: HardState, now: Now, fx: &mut Effects) {
        self.log.votes.written(state);
        // What counts is what a crash would find.
        if !is_planted(Bug::BadTailForgotten) || self.heal.doubt.is_none() {
            self.quorum.replica.count_as(state.doubt.map(|doubt| doubt.end));
        }
        let is_doubt_durable = state.doubt == self.heal.doubt || is_planted(Bug::BadTailForgotten);
        let last = self.log.last();
        match self.heal.proven_loss {
            Some(loss) if !loss.is_in(&state, last) => self.write_hard_state(fx),
            _ if self.log.votes.owes_a_vote() || !is_doubt_durable => self.write_hard_state(fx),
            Some(_) if self.phase.lacks_entries() => self.heal.repair.open_anew(),
            _ => self.heal.proven_loss = None,
        }
        self.pump(now, fx);
    }
}
