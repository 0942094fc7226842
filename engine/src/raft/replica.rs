//! A journal's replica: proposals in, work for the disk out, completions in, commit out.
//!
//! Rules that raft-rs 0.7 needs from its carrier, each of which loses data when it is broken:
//! - `persisted` is told the contiguous prefix of Readies whose entries and vote are durable, in
//!   order, and nothing else.
//! - Between taking a Ready and finishing it nothing is proposed: [`Replica::work`] does both.
//! - A commit index that is written down never passes the own durable index.
//! - Election time-outs come from raft's thread-local generator; they are overwritten with a
//!   function of the seed, so that a simulation replays.

use super::log_view::LogView;
use crate::entry::{EntryHeader, EntryKind};
use crate::ids::{Index, RaftId, Term};
use crate::rng::mix;
use raft::eraftpb::{Entry, EntryType};
use raft::{Config, RawNode, StateRole};

/// A tick is 10 ms: elections after 100 to 200 ms of silence, a heartbeat every 20 ms.
const ELECTION_TICKS: usize = 10;
const HEARTBEAT_TICKS: usize = 2;

/// What raft knows of an entry: enough to find and prove its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryMeta {
    pub index: Index,
    pub term: Term,
    pub kind: EntryKind,
    /// The checksum of the entry's head.
    pub checksum: u32,
    pub entry_bytes: u32,
}

impl EntryMeta {
    pub fn of(header: &EntryHeader) -> Self {
        Self {
            index: header.index(),
            term: header.term(),
            kind: header.kind().expect("the header was checked"),
            checksum: header.checksum.get(),
            entry_bytes: header.entry_bytes.get(),
        }
    }

    /// What stands in raft's `Entry.data`: nothing for a term start, which raft itself makes.
    pub(super) fn descriptor(&self) -> Vec<u8> {
        if self.kind == EntryKind::TermStart {
            return Vec::new();
        }
        let mut bytes = vec![self.kind as u8];
        bytes.extend_from_slice(&self.checksum.to_le_bytes());
        bytes.extend_from_slice(&self.entry_bytes.to_le_bytes());
        bytes
    }

    fn of_raft(entry: &Entry) -> Self {
        let (index, term) = (Index(entry.index), Term(entry.term));
        if entry.data.is_empty() {
            return Self { index, term, kind: EntryKind::TermStart, checksum: 0, entry_bytes: 0 };
        }
        let data: [u8; 9] = entry.data[..].try_into().expect("our own descriptor");
        Self {
            index,
            term,
            kind: EntryKind::of(data[0]).expect("our own descriptor"),
            checksum: u32::from_le_bytes(data[1..5].try_into().expect("four bytes")),
            entry_bytes: u32::from_le_bytes(data[5..].try_into().expect("four bytes")),
        }
    }
}

/// What recovery found, from which a replica goes on.
#[derive(Clone, Debug)]
pub struct ReplicaStart {
    pub id: RaftId,
    pub voters: Vec<RaftId>,
    pub term: Term,
    pub vote: Option<RaftId>,
    /// Committed and folded.
    pub commit: Index,
    /// The first entry on disk, and the last; last = first − 1 when there are none.
    pub first: Index,
    pub last: Index,
    /// Where each term begins, from the entry before `first` on.
    pub terms: Vec<(Index, Term)>,
    /// The newest entries: at least those above `commit`.
    pub window: Vec<EntryMeta>,
    pub seed: u64,
}

/// One Ready: what must be durable before [`Replica::persisted`] is told its number.
#[derive(Clone, Debug)]
pub struct Work {
    pub number: u64,
    /// Entries from here on are replaced.
    pub cut_from: Option<Index>,
    pub entries: Vec<EntryMeta>,
    /// A new term or vote.
    pub vote: Option<(Term, Option<RaftId>)>,
}

/// One voter of a journal's raft group.
pub struct Replica {
    node: RawNode<LogView>,
    id: RaftId,
    seed: u64,
    /// Elections begun; mixed into the time-outs, so that two replicas do not tie for ever.
    attempts: u64,
    durable_vote: (u64, u64),
}

/// The replica does not lead (any more).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotLeader;

impl Replica {
    pub fn new(start: &ReplicaStart) -> Self {
        let mut log = LogView::new(start.first, start.terms.clone(), &start.window, start.last);
        log.hard_state.term = start.term.0;
        log.hard_state.vote = start.vote.map_or(0, |id| id.0);
        log.hard_state.commit = start.commit.0;
        log.conf_state.voters = start.voters.iter().map(|id| id.0).collect();
        let config = Config {
            id: start.id.0,
            election_tick: ELECTION_TICKS,
            heartbeat_tick: HEARTBEAT_TICKS,
            max_size_per_msg: 0,
            check_quorum: true,
            pre_vote: true,
            applied: start.commit.0,
            ..Config::default()
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let node = RawNode::new(&config, log, &logger).expect("the configuration is valid");
        let durable_vote = (node.raft.term, node.raft.vote);
        let mut replica = Self { node, id: start.id, seed: start.seed, attempts: 0, durable_vote };
        replica.fix_time_out();
        replica
    }

    fn fix_time_out(&mut self) {
        let raft = &mut self.node.raft;
        let mixed = mix(self.seed ^ mix(self.id.0) ^ mix(raft.term ^ (self.attempts << 32)));
        let ticks = ELECTION_TICKS as u64 + mixed % ELECTION_TICKS as u64;
        raft.set_randomized_election_timeout(ticks as usize);
    }

    pub fn is_leader(&self) -> bool {
        self.node.raft.state == StateRole::Leader
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
        self.node.raft.raft_log.term(index.0).ok().map(Term)
    }

    /// Stands for election at once. A lone voter leads when this returns.
    pub fn campaign(&mut self) {
        self.attempts += 1;
        self.node.campaign().expect("campaigning is always allowed");
        self.fix_time_out();
    }

    pub fn tick(&mut self) {
        let led = self.is_leader();
        if self.node.tick() && !led {
            self.attempts += 1;
        }
        self.fix_time_out();
    }

    /// Proposes an entry whose bytes are sealed under `meta`; its index and term are the ones
    /// raft gives next.
    pub fn propose(&mut self, meta: &EntryMeta) -> Result<(), NotLeader> {
        if !self.is_leader() {
            return Err(NotLeader);
        }
        assert_eq!((meta.index, meta.term), (self.last_index().next(), self.term()));
        self.node.propose(Vec::new(), meta.descriptor()).map_err(|_| NotLeader)?;
        assert_eq!(self.last_index(), meta.index);
        Ok(())
    }

    /// Takes the next Ready, if there is one.
    pub fn work(&mut self) -> Option<Work> {
        if !self.node.has_ready() {
            return None;
        }
        let mut ready = self.node.ready();
        let number = ready.number();
        let entries = ready.take_entries();
        assert!(entries.iter().all(|entry| entry.get_entry_type() == EntryType::EntryNormal));
        let cut_from = self.node.mut_store().append(&entries);
        let vote = ready.hs().and_then(|state| {
            let vote = (state.term, state.vote);
            let changed = vote != self.durable_vote;
            self.durable_vote = vote;
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
        Some(Work { number, cut_from, entries, vote })
    }

    /// Everything of the Readies up to `number` is durable.
    pub fn persisted(&mut self, number: u64) {
        self.node.on_persist_ready(number);
    }

    /// Segments below `first` were deleted.
    pub fn compact(&mut self, first: Index) {
        self.node.mut_store().compact(first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> ReplicaStart {
        ReplicaStart {
            id: RaftId(1),
            voters: vec![RaftId(1)],
            term: Term(0),
            vote: None,
            commit: Index(0),
            first: Index(1),
            last: Index(0),
            terms: vec![],
            window: vec![],
            seed: 7,
        }
    }

    fn meta(index: u64, term: u64) -> EntryMeta {
        let (index, term) = (Index(index), Term(term));
        EntryMeta { index, term, kind: EntryKind::Batches, checksum: 9, entry_bytes: 4096 }
    }

    fn drain(replica: &mut Replica) -> Vec<Work> {
        core::iter::from_fn(|| replica.work()).collect()
    }

    #[test]
    fn a_lone_voter_leads_at_once_and_commits_what_is_persisted() {
        let mut replica = Replica::new(&start());
        replica.campaign();
        assert!(replica.is_leader());
        let works = drain(&mut replica);
        assert_eq!(works[0].vote, Some((Term(1), Some(RaftId(1)))));
        assert_eq!(works[0].entries[0].kind, EntryKind::TermStart);
        replica.propose(&meta(2, 1)).expect("it leads");
        let more = drain(&mut replica);
        assert_eq!(more[0].entries, [meta(2, 1)]);
        assert_eq!(replica.commit(), Index(0), "nothing is durable yet");
        replica.persisted(more.last().expect("one").number);
        drain(&mut replica);
        assert_eq!(replica.commit(), Index(2));
    }

    #[test]
    fn a_restarted_voter_takes_a_new_term_and_commits_its_tail() {
        let window = vec![meta(5, 3), meta(6, 3)];
        let terms = vec![(Index(4), Term(2)), (Index(5), Term(3))];
        let mut replica = Replica::new(&ReplicaStart {
            term: Term(3),
            vote: Some(RaftId(1)),
            commit: Index(4),
            first: Index(5),
            last: Index(6),
            terms,
            window,
            ..start()
        });
        replica.campaign();
        assert_eq!((replica.is_leader(), replica.term()), (true, Term(4)));
        let works = drain(&mut replica);
        assert_eq!(replica.term_at(Index(4)), Some(Term(2)));
        replica.persisted(works.last().expect("one").number);
        drain(&mut replica);
        assert_eq!(replica.commit(), Index(7));
    }
}
