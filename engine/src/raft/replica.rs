//! A journal's replica: proposals and messages in, work for the disk and messages out, completions
//! in, commit out.
//!
//! Rules that raft-rs 0.7 needs from its carrier, each of which loses data when it is broken:
//! - `persisted` is told the contiguous prefix of Readies whose entries and vote are durable, in
//!   order, and nothing else; what a follower says of a Ready ([`Work::hold`]) waits for that too.
//! - Between taking a Ready and finishing it nothing is proposed: [`Replica::work`] does both.
//! - A commit index that is written down never passes the own durable index.
//! - Every message from a peer passes [`super::guard`] first.
//! - Election time-outs come from raft's thread-local generator; they are overwritten with a
//!   function of the seed, so that a simulation replays.

use super::convert::{Outgoing, from_raft, to_raft};
use super::guard::{self, Facts, Refused};
use super::log_view::{CREDIT_BYTES, LogView};
use super::membership::{Change, Membership};
use super::meta::EntryMeta;
use super::start::ReplicaStart;
use crate::entry::EntryKind;
use crate::ids::{Index, LogEnd, RaftId, Term};
use crate::peer::{RaftKind, RaftMessage};
use crate::rng::mix;
use core::time::Duration;
use raft::eraftpb::{EntryType, Message};
use raft::{Config, GetEntriesContext, RawNode, StateRole};
use std::collections::BTreeMap;

/// How long raft takes a tick for.
pub const TICK: Duration = Duration::from_millis(10);
/// Elections after 300 to 600 ms of silence, a heartbeat every 60 ms. A disk
/// that stalls for 200 ms deposes nobody, and a dead leader is replaced within a second.
pub const ELECTION_TICKS: usize = 30;
pub const HEARTBEAT_TICKS: usize = 6;
/// How often [`Replica::tick_to_begin`] asks for votes: over 600 ms, as long as any other waits at most.
const BEGIN_ATTEMPTS: u64 = 10;
/// [`CREDIT_BYTES`] in messages of one entry each, when entries are small.
const CREDIT_MESSAGES: usize = 256;
/// And when they are large: enough to overlap sending with writing.
const CREDIT_MESSAGES_MIN: usize = 4;

/// One Ready: what must be durable before [`Replica::persisted`] is told its number.
#[derive(Clone, Debug)]
pub struct Work {
    pub number: u64,
    /// Entries from here on are replaced.
    pub cut_from: Option<Index>,
    pub entries: Vec<EntryMeta>,
    /// A new term or vote.
    pub vote: Option<(Term, Option<RaftId>)>,
    /// To be sent as soon as the entries have their bytes: a leader does not wait for its disk.
    pub send: Vec<Outgoing>,
    /// To be sent once all of this Ready is durable.
    pub hold: Vec<Outgoing>,
}

/// Another member, as the leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follower {
    pub id: RaftId,
    /// All up to here is durable there.
    pub matched: Index,
    /// It answered within the last election time-out.
    pub is_active: bool,
    /// And will be one, if the members are being changed.
    pub is_voter: bool,
}

/// One member of a journal's raft group.
pub struct Replica {
    pub(super) node: RawNode<LogView>,
    id: RaftId,
    members: Membership,
    seed: u64,
    /// Elections begun; mixed into the time-outs, so that two replicas do not tie for ever.
    attempts: u64,
    noted_vote: (u64, u64),
    /// Of each follower that entries were sent to.
    credits: BTreeMap<u64, Credit>,
    /// It counts as one whose log ends here, where it cannot show that.
    pub(super) floor: Option<LogEnd>,
}

/// A follower's credit in bytes as one in messages, by the mean length of what is sent to it: one
/// that catches up gets other entries than those that are proposed meanwhile.
#[derive(Clone, Copy, Debug)]
struct Credit {
    /// A moving mean.
    entry_bytes: usize,
    messages: usize,
}

impl Credit {
    /// Takes note of an entry that was sent; the new credit, if it is another one.
    fn sent(&mut self, entry_bytes: usize) -> Option<usize> {
        self.entry_bytes = (self.entry_bytes * 7 + entry_bytes) / 8;
        let fits = CREDIT_BYTES / self.entry_bytes.max(1);
        let messages = fits.clamp(CREDIT_MESSAGES_MIN, CREDIT_MESSAGES).next_power_of_two();
        let before = core::mem::replace(&mut self.messages, messages);
        (before != messages).then_some(messages)
    }
}

/// The replica does not lead (any more), or hands over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotLeader;

impl Replica {
    pub fn new(start: &ReplicaStart) -> Self {
        assert!(start.first.0 <= start.last.0 + 1, "the log ends before it begins");
        assert!(
            start.commit <= start.last,
            "{} is committed, and the log ends at {}",
            start.commit,
            start.last
        );
        let mut log = LogView::new(start);
        log.hard_state.term = start.term.0;
        log.hard_state.vote = start.vote.map_or(0, |id| id.0);
        log.hard_state.commit = start.commit.0;
        log.conf_state = start.members.to_raft();
        let config = Config {
            id: start.id.0,
            election_tick: ELECTION_TICKS,
            heartbeat_tick: HEARTBEAT_TICKS,
            // One entry per message, whatever its descriptor's length.
            max_size_per_msg: 0,
            max_inflight_msgs: CREDIT_MESSAGES,
            // raft would count descriptors; the journal bounds the entries' own bytes.
            max_uncommitted_size: raft::NO_LIMIT,
            check_quorum: true,
            pre_vote: true,
            applied: start.commit.0,
            ..Config::default()
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let node = RawNode::new(&config, log, &logger).expect("the configuration is valid");
        let noted_vote = (node.raft.term, node.raft.vote);
        let mut replica = Self {
            node,
            id: start.id,
            members: start.members.clone(),
            seed: start.seed,
            attempts: 0,
            noted_vote,
            credits: BTreeMap::new(),
            floor: start.floor,
        };
        replica.fix_time_out();
        replica
    }

    pub(super) fn fix_time_out(&mut self) {
        let raft = &mut self.node.raft;
        let mixed = mix(self.seed ^ mix(self.id.0) ^ mix(raft.term ^ (self.attempts << 32)));
        let ticks = ELECTION_TICKS as u64 + mixed % ELECTION_TICKS as u64;
        raft.set_randomized_election_timeout(ticks as usize);
    }

    pub fn is_leader(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    /// Who leads in this term, as far as is known here.
    pub fn leader(&self) -> Option<RaftId> {
        Some(RaftId(self.node.raft.leader_id)).filter(|id| id.0 != 0)
    }

    pub fn id(&self) -> RaftId {
        self.id
    }

    pub fn term(&self) -> Term {
        Term(self.node.raft.term)
    }

    /// The commit index: durable on a quorum.
    pub fn commit(&self) -> Index {
        Index(self.node.raft.raft_log.committed)
    }

    /// The last entry, whether durable or not.
    pub fn last_index(&self) -> Index {
        Index(self.node.raft.raft_log.last_index())
    }

    /// The term of an entry that is still there.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        let log = &self.node.raft.raft_log;
        let is_there = index.0 + 1 >= log.first_index() && index.0 <= log.last_index();
        if is_there { log.term(index.0).ok().map(Term) } else { None }
    }

    /// The other members; what is said of them means something only on the leader.
    pub fn followers(&self) -> impl Iterator<Item = Follower> + '_ {
        let tracker = self.node.raft.prs();
        let others = tracker.iter().filter(|(id, _)| **id != self.id.0);
        others.map(|(id, progress)| Follower {
            id: RaftId(*id),
            matched: Index(progress.matched),
            is_active: progress.recent_active,
            is_voter: self.members.voters.binary_search(&RaftId(*id)).is_ok(),
        })
    }

    /// Stands for election at once. A lone voter leads when this returns.
    pub fn campaign(&mut self) {
        if self.floor.is_some() {
            return;
        }
        self.attempts += 1;
        self.node.campaign().expect("campaigning is always allowed");
        self.fix_time_out();
    }

    pub fn tick(&mut self) {
        if self.floor.is_some() {
            return self.tick_without_standing();
        }
        let led = self.is_leader();
        if self.node.tick() && !led {
            self.attempts += 1;
        }
        self.fix_time_out();
    }

    /// [`Replica::tick`] of the member that is meant to lead a log nobody led yet: it asks for votes with every
    /// heartbeat's time, since each peer makes its replica in its own time and does not hear before that.
    pub fn tick_to_begin(&mut self) {
        self.tick();
        let raft = &self.node.raft;
        let asks = matches!(raft.state, StateRole::Follower | StateRole::PreCandidate) && raft.leader_id == 0;
        if asks && self.attempts < BEGIN_ATTEMPTS && raft.election_elapsed.is_multiple_of(HEARTBEAT_TICKS) {
            self.campaign();
        }
    }

    /// Takes a message from a peer whose entry, if it has one, is proven and staged.
    pub fn step(&mut self, message: &RaftMessage, is_newer: bool) -> Result<(), Refused> {
        self.check(message, is_newer)?;
        if self.withholds(&message.kind) {
            return Ok(());
        }
        // What raft-rs refuses with an error it ignores as well.
        let _ = self.node.step(to_raft(message));
        self.fix_time_out();
        Ok(())
    }

    /// Whether [`Replica::step`] would take this message. `is_newer`: its sender may have become a
    /// member by an entry that is not known to be committed here yet.
    pub fn check(&self, message: &RaftMessage, is_newer: bool) -> Result<(), Refused> {
        let raft = &self.node.raft;
        let facts = Facts {
            id: self.id,
            term: self.term(),
            leader: self.leader(),
            is_leader: self.is_leader(),
            commit: self.commit(),
            first: Index(raft.raft_log.first_index()),
            last: self.last_index(),
            is_member: &|id| is_newer || raft.prs().get(id.0).is_some(),
            term_at: &|index| self.term_at(index),
        };
        guard::check(message, &facts)
    }

    /// What was sent to a peer may be lost: its link broke.
    pub fn report_unreachable(&mut self, peer: RaftId) {
        self.node.report_unreachable(peer.0);
    }

    /// Hands the lead over to a peer that is to catch up first. Nothing is proposed meanwhile; it
    /// is given up after an election time-out.
    pub fn transfer_to(&mut self, peer: RaftId) {
        assert!(self.is_leader(), "only a leader hands over");
        self.node.transfer_leader(peer.0);
    }

    pub fn is_transferring(&self) -> bool {
        self.is_leader() && self.node.raft.lead_transferee.is_some()
    }

    /// Proposes an entry whose bytes are sealed under `meta`; its index and term are the ones
    /// raft gives next.
    pub fn propose(&mut self, meta: &EntryMeta) -> Result<(), NotLeader> {
        if !self.is_leader() || self.is_transferring() {
            return Err(NotLeader);
        }
        assert_eq!((meta.index, meta.term), (self.last_index().next(), self.term()));
        assert!(meta.kind != EntryKind::Membership, "changes of members are proposed as such");
        let dropped = self.node.propose(Vec::new(), meta.descriptor());
        // Offsets were given out: an entry that is not in the log would leave a hole in them.
        assert!(dropped.is_ok(), "raft dropped entry {} of term {}: {dropped:?}", meta.index, meta.term);
        assert_eq!(self.last_index(), meta.index);
        Ok(())
    }

    pub fn members(&self) -> &Membership {
        &self.members
    }

    /// Whether a change of members may be proposed: all earlier ones are committed and known here.
    pub fn may_change_members(&self) -> bool {
        self.is_leader() && !self.is_transferring() && !self.node.raft.has_pending_conf()
    }

    /// The same as [`Replica::propose`], of an entry that changes the members.
    pub fn propose_change(&mut self, meta: &EntryMeta, change: Change) -> Result<(), NotLeader> {
        if !self.may_change_members() {
            return Err(NotLeader);
        }
        assert_eq!((meta.index, meta.term), (self.last_index().next(), self.term()));
        assert!(self.members.changed(change).is_some(), "{change:?} does not fit {:?}", self.members);
        let dropped = self.node.propose_conf_change(meta.descriptor(), change.to_raft());
        assert!(dropped.is_ok(), "raft dropped {change:?}: {dropped:?}");
        assert_eq!(self.last_index(), meta.index);
        Ok(())
    }

    /// A change of members is committed.
    pub fn apply_change(&mut self, change: Change) {
        let members = self.members.changed(change);
        let members = members.unwrap_or_else(|| panic!("{change:?} does not fit {:?}", self.members));
        let state = self.node.apply_conf_change(&change.to_raft()).expect("a change that fits");
        assert_eq!(Membership::of_raft(&state), members, "raft made something else of {change:?}");
        self.credits.retain(|id, _| members.contains(RaftId(*id)));
        self.members = members;
        self.fix_time_out();
    }

    /// Entries are about to be sent: they count for the credits of whom they are for.
    fn note_sent(&mut self, messages: &[Message]) {
        for message in messages {
            for entry in &message.entries {
                let entry_bytes = EntryMeta::of_raft(entry).entry_bytes as usize;
                let new = Credit { entry_bytes, messages: CREDIT_MESSAGES };
                if let Some(messages) = self.credits.entry(message.to).or_insert(new).sent(entry_bytes) {
                    self.node.raft.adjust_max_inflight_msgs(message.to, messages);
                }
            }
        }
    }

    /// Whether [`Replica::work`] gives something.
    pub fn has_work(&self) -> bool {
        self.node.has_ready()
    }

    /// Takes the next Ready, if there is one.
    pub fn work(&mut self) -> Option<Work> {
        if !self.node.has_ready() {
            return None;
        }
        let mut ready = self.node.ready();
        let number = ready.number();
        let entries = ready.take_entries();
        assert!(entries.iter().all(|entry| entry.get_entry_type() != EntryType::EntryConfChange));
        assert!(ready.snapshot().is_empty(), "no message with a snapshot passes the guard");
        let messages = ready.take_messages();
        self.note_sent(&messages);
        self.node.store().begin_burst();
        let send: Vec<_> = messages.iter().map(from_raft).collect();
        let held: Vec<_> = ready.take_persisted_messages().iter().map(from_raft).collect();
        let cut_from = self.node.mut_store().append(&entries);
        let vote = ready.hs().and_then(|state| {
            let vote = (state.term, state.vote);
            let changed = vote != self.noted_vote;
            self.noted_vote = vote;
            changed.then_some((Term(vote.0), (vote.1 != 0).then_some(RaftId(vote.1))))
        });
        if let Some(state) = ready.hs() {
            self.node.mut_store().hard_state = state.clone();
        }
        let applied = ready.take_committed_entries().last().map(|entry| entry.index);
        self.node.advance_append_async(ready);
        if let Some(applied) = applied {
            self.node.advance_apply_to(applied);
            self.node.mut_store().trim_window(Index(applied));
        }
        self.fix_time_out();
        let entries = entries.iter().map(EntryMeta::of_raft).collect();
        Some(Work { number, cut_from, entries, vote, send, hold: held })
    }

    /// Everything of the Readies up to `number` is durable.
    pub fn persisted(&mut self, number: u64) {
        self.node.on_persist_ready(number);
        self.fix_time_out();
    }

    /// Segments below `first` were deleted.
    pub fn compact(&mut self, first: Index) {
        self.node.mut_store().compact(first);
    }

    /// The bytes of entries from `first` on are in memory and can be sent at once.
    pub fn set_hot(&mut self, first: Index) {
        self.node.mut_store().set_hot(first);
    }

    /// Whether raft has an entry's metadata at hand, and its bytes are in memory as well: those
    /// from `hot` on are.
    pub fn can_send_at_once(&self, index: Index, hot: Index) -> bool {
        index >= hot && index >= self.node.store().window_first()
    }

    /// Entries that followers need and whose bytes must be read first. Each is to be answered by
    /// [`Replica::fetched`], or by nothing: raft asks again with the next heartbeat.
    pub fn take_wanted(&mut self) -> Vec<Wanted> {
        let wanted = self.node.store().take_wanted();
        wanted.into_iter().map(|(index, context)| Wanted { index: Index(index), context }).collect()
    }

    /// Followers that need what the log no longer has. raft asks for them again with each heartbeat.
    pub fn take_lagging(&mut self) -> Vec<RaftId> {
        self.node.store().take_lagging().into_iter().map(RaftId).collect()
    }

    /// An entry's bytes are in memory until [`Replica::forget_fetched`].
    pub fn fetched(&mut self, meta: &EntryMeta) {
        if self.term_at(meta.index) == Some(meta.term) {
            self.node.mut_store().add_fetched(meta);
        }
    }

    pub fn forget_fetched(&mut self, index: Index) {
        self.node.mut_store().forget_fetched(index);
    }

    /// The same of all that was read.
    pub fn forget_all_fetched(&mut self) {
        self.node.mut_store().forget_all_fetched();
    }

    /// Goes on sending where an entry was missing.
    pub fn go_on(&mut self, wanted: Wanted) {
        self.node.on_entries_fetched(wanted.context);
        self.fix_time_out();
    }

    /// Whether a message says what a durable vote already allows to be said: such a heartbeat
    /// response need not wait for entries that are being written.
    pub fn may_overtake(&self, outgoing: &Outgoing, durable_term: Term) -> bool {
        matches!(outgoing.message.kind, RaftKind::HeartbeatResponse { .. })
            && outgoing.message.term == durable_term
    }
}

/// An entry that raft wants to send.
pub struct Wanted {
    pub index: Index,
    context: GetEntriesContext,
}

#[cfg(test)]
impl Wanted {
    pub fn sample(index: Index) -> Self {
        Self { index, context: GetEntriesContext::empty(true) }
    }
}

#[cfg(test)]
#[path = "replica_tests.rs"]
mod tests;
