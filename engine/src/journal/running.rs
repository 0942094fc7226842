//! A running journal: what happens between an input and the disk.
//!
//! ```text
//! produce ─▶ open entry ─▶ sealed ─▶ proposed ─▶ raft's work ─▶ appender ─▶ durable ─▶ persisted
//!                                                                       commit ─▶ fold ─▶ answers
//! ```

use super::appender::{Appender, IN_FLIGHT_MAX, Progressed};
use super::cache::EntryCache;
use super::cursor::{Cursor, SegmentLimits};
use super::effects::{Done, Effects};
use super::hard_state::{HardState, SyncedBound};
use super::heads::Head;
use super::meta_record::JournalMeta;
use super::procedures;
use super::recovery::{Context, Recovered, take_checkpoints};
use super::report::Damage;
use super::segment::{Active, Next, Rolled, Sealing, Segments};
use super::stages::{Appended, StageLatencies};
use super::state::State;
use super::upkeep::Upkeep;
use super::waiters::{Command as CommandWaiter, Waiter, Waiters};
use crate::clock::Now;
use crate::disk::{DiskResult, OpId};
use crate::entry::builder::{Hint, OpenEntry, Stamp, head_only};
use crate::entry::item::Item;
use crate::entry::{EntryBytes, EntryKind};
use crate::folder;
use crate::ids::{FileId, Index, JournalId, RaftId, Term};
use crate::partition::refused::RefusedBatches;
use crate::partition::{Fold, Tail};
use crate::raft::{EntryMeta, Replica, ReplicaStart, Work};
use crate::shard::{Event, Fatal, Output, Refusal};
use std::collections::VecDeque;

/// With something in flight an entry is sealed only from this size on: a 256 KiB write with its
/// sync costs 0.11 to 0.14 core-seconds per GB, a 64 KiB one three times as much.
pub const SEAL_BYTES: usize = 256 << 10;

/// A Ready that waits for its entries or its vote to be durable.
#[derive(Debug)]
struct HeldWork {
    number: u64,
    last: Option<Index>,
    vote: Option<(Term, RaftId)>,
}

/// How far a journal's start is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Recovered; the segment that the term start needs is being prepared.
    Starting,
    Running,
    /// Descriptors of committed entries are lost and the operator has not accepted that: reads
    /// only.
    Refusing,
    Stopping,
}

/// One journal on its shard.
pub struct Journal {
    pub(super) context: Context,
    pub id: JournalId,
    pub(super) meta: JournalMeta,
    pub(super) limits: SegmentLimits,
    pub(super) replica: Replica,
    pub(super) cursor: Cursor,
    pub(super) open: Option<OpenEntry>,
    /// When the open entry got its first batch.
    pub(super) opened_ns: u64,
    appended: Appended,
    pub(super) hint: Hint,
    staged: VecDeque<EntryBytes>,
    pub(super) appender: Appender,
    pub(super) segments: Segments,
    pub(super) cache: EntryCache,
    works: VecDeque<HeldWork>,
    pub(super) hard_state: HardState,
    pub(super) hard_state_file: FileId,
    /// The vote that must become durable.
    pub(super) vote: (Term, RaftId),
    heads: VecDeque<Head>,
    pub(super) state: State,
    pub(super) tail: Tail,
    pub(super) waiters: Waiters,
    pub(super) queued_items: VecDeque<(Vec<Item>, Vec<Waiter>)>,
    pub(super) queued_commands: VecDeque<(CommandWaiter, Vec<u8>)>,
    pub(super) damage: Vec<Damage>,
    pub(super) phase: Phase,
    /// The first entry of the own term: once it is folded, all earlier ones are committed.
    pub(super) term_start: Option<Index>,
    pub(super) upkeep: Upkeep,
    pub(super) lost: Option<(Index, Index)>,
    /// The same until the entry that accepts it is folded.
    unaccepted: Option<(Index, Index)>,
    pub(super) refused: RefusedBatches,
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
    pub damaged_ranges: u64,
}

/// Figures since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub batches: u64,
    pub batch_bytes: u64,
    pub duplicates: u64,
}

impl Journal {
    /// A journal that goes on from what recovery found. `accept_loss` is the operator's word that
    /// lost entries are to be passed over.
    pub fn new(context: Context, recovered: Recovered, seed: u64, accept_loss: bool, now: Now) -> Self {
        let id = recovered.meta.journal;
        let limits = SegmentLimits {
            bytes: recovered.meta.segment_bytes,
            batches: recovered.meta.batches_per_segment_max,
        };
        let last = recovered.cursor.next;
        let start = ReplicaStart {
            id: recovered.meta.raft_id,
            voters: recovered.meta.voters.clone(),
            term: recovered.hard_state.term.max(recovered.cursor.previous_term),
            vote: Some(recovered.hard_state.vote).filter(|vote| vote.0 != 0),
            commit: recovered.state.fold.applied,
            first: recovered.segments.first(),
            last: Index(last.0 - 1),
            terms: recovered.terms,
            window: recovered.window,
            seed,
        };
        let active = recovered.segments.active.file;
        let dir = folder::journal_dir(id);
        let appender = Appender::new(context.io.clone(), dir, active, limits.bytes, recovered.durable);
        let refusing = recovered.unaccepted.is_some() && !accept_loss;
        let upkeep = Upkeep::new(recovered.checkpoints, recovered.active_short, context.started, now);
        Self {
            id,
            limits,
            replica: Replica::new(&start),
            cursor: recovered.cursor,
            open: None,
            hint: Hint::default(),
            opened_ns: 0,
            appended: Appended::default(),
            staged: VecDeque::new(),
            appender,
            segments: recovered.segments,
            cache: EntryCache::new(),
            works: VecDeque::new(),
            vote: (recovered.hard_state.term, recovered.hard_state.vote),
            hard_state: recovered.hard_state,
            hard_state_file: recovered.hard_state_file,
            heads: recovered.heads,
            state: recovered.state,
            tail: Tail::default(),
            waiters: Waiters::default(),
            queued_items: VecDeque::new(),
            queued_commands: VecDeque::new(),
            damage: recovered.damage,
            phase: if refusing { Phase::Refusing } else { Phase::Starting },
            term_start: None,
            upkeep,
            lost: recovered.unaccepted,
            unaccepted: recovered.unaccepted,
            refused: RefusedBatches::default(),
            counts: Counts::default(),
            meta: recovered.meta,
            context,
        }
    }

    pub fn fold(&self) -> &Fold {
        &self.state.fold
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn is_leader(&self) -> bool {
        self.replica.is_leader() && self.phase == Phase::Running
    }

    /// Leads, and everything earlier leaders wrote is committed.
    pub fn is_settled(&self) -> bool {
        self.is_leader() && self.term_start.is_some_and(|start| self.state.fold.applied >= start)
    }

    /// Serves, or says why it does not: the shard need not wait for it.
    pub fn has_started(&self) -> bool {
        match self.phase {
            Phase::Running => self.is_settled(),
            Phase::Starting => self.is_full(),
            Phase::Refusing | Phase::Stopping => true,
        }
    }

    /// No space is left for commands, the reserve included.
    pub fn is_full_for_commands(&self) -> bool {
        self.is_full() && !self.has_place_for_control(2 * crate::disk::BLOCK)
    }

    pub fn cache_bytes(&self) -> usize {
        self.cache.bytes()
    }

    pub fn appender_counts(&self) -> super::appender::Counts {
        self.appender.counts
    }

    pub fn stages(&self) -> &StageLatencies {
        &self.appender.stages
    }

    /// Where the journal is, for the metrics.
    pub fn standing(&self) -> Standing {
        Standing {
            term: self.replica.term(),
            commit: self.replica.commit(),
            durable: self.appender.durable().index,
            last: Index(self.cursor.next.0 - 1),
            segments: self.segments.len() as u64,
            dead_bytes: self.upkeep.dead_bytes,
            pinned_bytes: self.upkeep.pinned_bytes,
            damaged_ranges: self.damage.len() as u64,
        }
    }

    /// Begins to lead as soon as the term start has a place.
    pub fn start(&mut self, now: Now, fx: &mut Effects) {
        if self.phase != Phase::Starting {
            return;
        }
        if !self.has_place_for_control(crate::disk::BLOCK) {
            self.prepare_next(now, fx);
            return;
        }
        self.phase = Phase::Running;
        self.replica.campaign();
        for head in &self.heads {
            if let Some((header, bytes)) = head.known() {
                self.tail.apply_entry(&self.state.fold, header, bytes);
            }
        }
        self.term_start = Some(self.cursor.next);
        self.pump(now, fx);
        let term = self.replica.term();
        fx.out.push(Output::Event(Event::Leading { journal: self.id, term }));
        fx.partitions_changed = true;
        if let Some((first, last)) = self.lost.take() {
            // An entry holds at most 2^15 batches of 2^31 offsets each.
            let skip = (last.0 - first.0 + 1) << 46;
            self.queue_items(vec![Item::LossAccepted { first, last, skip }], Vec::new());
            self.propose_queued(now, fx);
        }
    }

    /// Takes the completion of an operation of the append path; false when it is not one.
    pub fn disk(&mut self, op: OpId, result: &DiskResult, now: Now, fx: &mut Effects) -> bool {
        if !self.appender.owns(op) {
            return false;
        }
        if let Err(error) = result {
            fx.out.push(Output::Fatal(Fatal::Write(error.clone())));
            return true;
        }
        match self.appender.complete(op, now.mono_ns) {
            Progressed::Durable => {
                self.pump(now, fx);
                self.seal_rolled(now, fx);
            }
            Progressed::Zeroed => self.seal_rolled(now, fx),
            Progressed::Nothing | Progressed::NotMine => {}
        }
        true
    }

    /// The end of the shard's turn: what waits is sealed when the disk is free for it.
    pub fn turn_end(&mut self, now: Now, fx: &mut Effects) {
        self.propose_queued(now, fx);
        self.prepare_wanted(now, fx);
        if let Some(open) = &self.open {
            let due = self.appender.in_flight() == 0 || open.bytes() >= SEAL_BYTES;
            if due && self.appender.in_flight() < IN_FLIGHT_MAX {
                self.seal_open(now, fx);
            }
        }
        self.trim_cache();
    }

    /// Where the entry after all that was proposed goes, with the leader's clock.
    pub(super) fn stamp(&self, place: super::cursor::Place, now: Now) -> Stamp {
        Stamp {
            cluster: self.meta.cluster,
            journal: self.id,
            secret: self.meta.secret,
            term: self.replica.term(),
            index: self.cursor.next,
            segment_base: place.segment_base,
            position: place.position,
            commit: self.replica.commit(),
            wall_ms: self.leader_wall_ms(now),
            previous_checksum: self.cursor.previous_checksum,
        }
    }

    /// Descriptors are lost and no folded entry accepts that. A checkpoint now would make the next
    /// start forget it, and give the lost offsets out again.
    pub(super) fn has_unaccepted_loss(&self) -> bool {
        self.unaccepted.is_some_and(|(first, _)| !self.state.fold.is_accepted_loss(first))
    }

    /// The wall clock that goes into entries: from one that is distrusted on by the monotonic one.
    /// Were it the previous entry's, a new journal would have none, and what was written meanwhile
    /// would seem silent for ever once the clock is trusted again.
    pub(super) fn leader_wall_ms(&self, now: Now) -> i64 {
        if self.upkeep.trusts(now) {
            return now.wall_ms;
        }
        self.upkeep.steady_wall_ms(now).max(self.state.fold.wall_ms)
    }

    /// Seals the open entry and proposes it.
    pub(super) fn seal_open(&mut self, now: Now, fx: &mut Effects) {
        let Some(mut open) = self.open.take() else { return };
        open.close();
        self.appender.stages.group.record(now.mono_ns.saturating_sub(self.opened_ns));
        let batches = open.descriptors().len() as u32;
        let place = self.cursor.place(self.limits, open.bytes(), batches);
        let (entry, hint) = open.seal(&self.stamp(place, now));
        self.hint = hint;
        self.propose(entry, now, fx);
    }

    /// Proposes an entry without batches.
    pub(super) fn propose_items(
        &mut self,
        kind: EntryKind,
        count: u32,
        items: &[u8],
        now: Now,
        fx: &mut Effects,
    ) -> Index {
        let bytes = crate::entry::layout::HEADER_BYTES + items.len();
        let place = self.cursor.place(self.limits, bytes.next_multiple_of(crate::disk::BLOCK), 0);
        let entry = head_only(&self.context.pool, kind, count, items, &self.stamp(place, now));
        let index = self.cursor.next;
        self.propose(entry, now, fx);
        index
    }

    fn propose(&mut self, entry: EntryBytes, now: Now, fx: &mut Effects) {
        assert!(self.open.is_none(), "an open entry has the next index");
        let meta = EntryMeta::of(entry.header());
        self.staged.push_back(entry);
        if self.replica.propose(&meta).is_err() {
            self.step_down(fx);
            return;
        }
        self.pump(now, fx);
    }

    /// Carries out raft's work until there is none, and releases what is durable.
    pub(super) fn pump(&mut self, now: Now, fx: &mut Effects) {
        loop {
            while let Some(work) = self.replica.work() {
                self.carry_out(work, now, fx);
            }
            if !self.release() {
                break;
            }
        }
        self.fold_committed(now, fx);
        self.answer(fx);
    }

    fn carry_out(&mut self, work: Work, now: Now, fx: &mut Effects) {
        assert!(work.cut_from.is_none(), "a lone voter's log is never cut while it runs");
        let last = work.entries.last().map(|meta| meta.index);
        for meta in &work.entries {
            let entry = self.bytes_of(meta, now);
            self.append(entry, now, fx);
        }
        let vote = work.vote.map(|(term, vote)| (term, vote.unwrap_or_default()));
        if let Some(vote) = vote {
            self.vote = vote;
            self.write_hard_state(fx);
        }
        self.works.push_back(HeldWork { number: work.number, last, vote });
    }

    /// The bytes of an entry that raft wants written: staged before it was proposed, or the term
    /// start that raft itself made.
    fn bytes_of(&mut self, meta: &EntryMeta, now: Now) -> EntryBytes {
        if meta.kind != EntryKind::TermStart {
            let entry = self.staged.pop_front().expect("staged before it was proposed");
            assert_eq!(EntryMeta::of(entry.header()), *meta);
            return entry;
        }
        let place = self.cursor.place(self.limits, crate::disk::BLOCK, 0);
        let stamp = Stamp { term: meta.term, ..self.stamp(place, now) };
        head_only(&self.context.pool, EntryKind::TermStart, 0, &[], &stamp)
    }

    fn append(&mut self, entry: EntryBytes, now: Now, fx: &mut Effects) {
        let header = *entry.header();
        if Index(header.segment_base.get()) != self.segments.active.base {
            self.roll(header.index(), fx);
        }
        self.appender.append(&entry, now.mono_ns);
        self.appended.push(header.index(), now.mono_ns);
        self.segments.active.index.append(&header, entry.descriptors());
        self.cursor.advance(&header);
        let allocated = if self.upkeep.active_short { 0 } else { self.limits.bytes };
        self.appender.zero_ahead(&self.context.pool, self.cursor.position, allocated);
        self.cache.push(entry.clone());
        self.heads.push_back(Head::Entry(entry));
        if self.cursor.position * 2 >= self.limits.bytes {
            self.prepare_next(now, fx);
        }
    }

    /// The active segment is full: the prepared one takes its place.
    fn roll(&mut self, base: Index, fx: &mut Effects) {
        let next = core::mem::replace(&mut self.segments.next, Next::None);
        let Next::Ready { file, name } = next else {
            panic!("an entry was placed in a segment that is not there")
        };
        let path = folder::segment_path(self.id, base);
        self.appender.roll(file, &name, &path);
        let index = super::index::ActiveIndex::new(base);
        let full = core::mem::replace(&mut self.segments.active, Active { base, file, index });
        self.segments.rolled.push_back(Rolled {
            base: full.base,
            last: full.index.last(),
            bytes: full.index.totals().data_bytes,
            file: full.file,
            index: full.index,
            sealing: Sealing::Waiting,
        });
        take_checkpoints(&mut self.state, &mut self.segments.rolled);
        fx.out.push(Output::Event(Event::SegmentRolled { journal: self.id, base }));
    }

    /// Tells raft what is durable. True when it was something.
    fn release(&mut self) -> bool {
        let durable = self.appender.durable().index;
        let mut released = None;
        while let Some(front) = self.works.front() {
            let entries_durable = front.last.is_none_or(|last| last <= durable);
            let vote_durable = front
                .vote
                .is_none_or(|(term, _)| self.hard_state.term >= term && !self.upkeep.writing_vote());
            if !entries_durable || !vote_durable {
                break;
            }
            released = self.works.pop_front().map(|work| work.number);
        }
        if let Some(number) = released {
            self.replica.persisted(number);
        }
        released.is_some()
    }

    /// Folds what is committed, taking a checkpoint where a segment ends.
    fn fold_committed(&mut self, now: Now, fx: &mut Effects) {
        let commit = self.replica.commit();
        while self.state.fold.applied < commit {
            let Some(head) = self.heads.pop_front() else { break };
            match head.known() {
                Some((header, bytes)) => {
                    let applied = match self.state.apply(header, bytes) {
                        Ok(applied) => applied,
                        Err(text) => return fx.out.push(Output::Fatal(Fatal::Data(text))),
                    };
                    self.tail.committed(header, bytes, &applied.items);
                    if let Head::Entry(entry) = &head {
                        let bytes_of = |batch: &crate::entry::BatchDescriptor| u64::from(batch.bytes.get());
                        fx.raised.extend(entry.descriptors().iter().map(|b| (b.partition(), bytes_of(b))));
                    }
                    fx.metadata_changed |= header.kind() == Some(EntryKind::Meta);
                    fx.partitions_changed |= !applied.items.is_empty();
                    self.upkeep.log_starts_moved |= !applied.items.is_empty();
                    self.waiters.commands_done(header.index(), applied.outcomes, &mut fx.out);
                }
                None => {
                    let Head::Lost { index, term } = head else { unreachable!("known heads are above") };
                    self.state.skip_lost(index, term);
                }
            }
            take_checkpoints(&mut self.state, &mut self.segments.rolled);
        }
        let committed = self.state.fold.applied;
        self.appended.committed(committed, now.mono_ns, &mut self.appender.stages.commit);
        let settled = self.term_start.is_some_and(|start| self.state.fold.applied >= start);
        if settled && !self.upkeep.settled {
            self.upkeep.settled = true;
            fx.metadata_changed |= self.state.meta.is_some();
            fx.partitions_changed = true;
        }
        self.seal_rolled(now, fx);
    }

    /// Answers whoever waited for what is now durable or committed.
    fn answer(&mut self, fx: &mut Effects) {
        let durable = self.appender.durable().index;
        self.waiters.release(durable, self.state.fold.applied, &self.state.fold, &mut fx.out);
    }

    /// No longer the leader: everything speculative goes, everybody who waits is told.
    fn step_down(&mut self, fx: &mut Effects) {
        self.open = None;
        self.staged.clear();
        self.tail.clear();
        self.queued_items.clear();
        self.waiters.fail(Refusal::NotLeader, &mut fx.out);
    }

    /// The bounds that the hard state writes down: never above what is durable here.
    pub(super) fn bounds(&self) -> (Index, SyncedBound) {
        let synced = self.appender.durable();
        (self.state.fold.applied.min(synced.index), synced)
    }

    /// Writes the hard state, if none is being written.
    pub(super) fn write_hard_state(&mut self, fx: &mut Effects) {
        if self.upkeep.hard_state_writing.is_some() {
            return;
        }
        let (commit, synced) = self.bounds();
        let (term, vote) = self.vote;
        let generation = self.hard_state.generation + 1;
        let state = HardState { generation, term, vote, commit, synced };
        self.upkeep.hard_state_writing = Some((state, self.hard_state.term != term));
        let (io, pool) = (self.context.io.clone(), self.context.pool.clone());
        let (file, identity, journal) = (self.hard_state_file, self.meta.identity(), self.id);
        fx.start(async move {
            let result = procedures::write_hard_state(io, pool, file, identity, state).await;
            Done::HardState { journal, result }
        });
    }

    /// The hard state is durable.
    pub fn hard_state_written(&mut self, state: HardState, now: Now, fx: &mut Effects) {
        self.hard_state = state;
        self.upkeep.hard_state_writing = None;
        if (state.term, state.vote) != self.vote {
            self.write_hard_state(fx);
        }
        self.pump(now, fx);
    }
}
