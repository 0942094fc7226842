//! Three replicas whose messages are twisted on their way: nothing that passes the guard makes
//! raft-rs panic.

use super::*;
use crate::disk::BufferPool;
use crate::entry::builder::{Stamp, head_only};
use crate::entry::{EntryBytes, EntryKind};
use crate::ids::{ClusterId, JournalId};
use crate::raft::{EntryMeta, Membership, Replica, ReplicaStart};
use crate::rng::Rng;
use std::collections::BTreeMap;

fn entry(index: Index, term: Term, kind: EntryKind) -> EntryBytes {
    let stamp = Stamp {
        cluster: ClusterId(1),
        journal: JournalId(1),
        secret: 1,
        term,
        index,
        segment_base: Index(1),
        position: 0,
        commit: Index(0),
        wall_ms: 0,
        previous_checksum: 0,
    };
    head_only(&BufferPool::new(0), kind, 0, &[], &stamp)
}

fn replica(id: u64, seed: u64) -> Replica {
    Replica::new(&ReplicaStart {
        id: RaftId(id),
        members: Membership::first(&[RaftId(1), RaftId(2), RaftId(3)]),
        term: Term(0),
        vote: None,
        commit: Index(0),
        first: Index(1),
        last: Index(0),
        terms: vec![],
        window: vec![],
        window_entries: 64,
        floor: None,
        seed,
    })
}

#[derive(Default)]
struct Group {
    replicas: BTreeMap<u64, Replica>,
    messages: Vec<RaftMessage>,
    lost: u32,
    refused: u32,
    stepped: u32,
}

impl Group {
    fn new(seed: u64) -> Self {
        Self { replicas: (1..=3).map(|id| (id, replica(id, seed))).collect(), ..Self::default() }
    }

    /// All of a replica's work is durable at once.
    fn pump(&mut self, id: u64) {
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        replica.set_hot(Index(0));
        let mut out = Vec::new();
        while let Some(work) = replica.work() {
            out.extend(work.send);
            out.extend(work.hold);
            replica.persisted(work.number);
        }
        for mut outgoing in out {
            if let (RaftKind::Append { entry: bytes, .. }, Some((index, term))) =
                (&mut outgoing.message.kind, outgoing.entry)
            {
                *bytes = Some(entry(index, term, EntryKind::TermStart));
            }
            self.messages.push(outgoing.message);
        }
    }

    fn act(&mut self, rng: &mut Rng) {
        let id = 1 + rng.below(3);
        match rng.below(8) {
            0..=3 => {
                if let Some(replica) = self.replicas.get_mut(&id) {
                    replica.tick();
                }
                self.pump(id);
            }
            4 => {
                if let Some(replica) = self.replicas.get_mut(&id)
                    && replica.is_leader()
                {
                    let bytes = entry(replica.last_index().next(), replica.term(), EntryKind::TermStart);
                    replica.propose(&EntryMeta::of(bytes.header())).expect("it leads");
                }
                self.pump(id);
            }
            _ if self.messages.is_empty() => {}
            _ => {
                let at = rng.below(self.messages.len() as u64) as usize;
                let mut message = self.messages.swap_remove(at);
                if rng.one_in(6) {
                    self.messages.push(message.clone());
                }
                if rng.one_in(4) {
                    twist(&mut message, rng);
                }
                self.deliver(&message);
            }
        }
        self.messages.truncate(64);
    }

    fn deliver(&mut self, message: &RaftMessage) {
        let id = message.to.0;
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        match replica.step(message, false) {
            Ok(()) => self.stepped += 1,
            Err(Refused::Drop(_)) => self.refused += 1,
            Err(Refused::Lost(_)) => {
                self.lost += 1;
                self.replicas.remove(&id);
            }
        }
        self.pump(id);
    }
}

fn number(rng: &mut Rng, now: u64) -> u64 {
    match rng.below(7) {
        0 => 0,
        1 => now + 1,
        2 => now.saturating_sub(1),
        3 => now + rng.below(10),
        4 => rng.below(20),
        5 => u64::MAX - rng.below(3),
        _ => rng.next_u64() >> rng.below(64),
    }
}

fn twist(message: &mut RaftMessage, rng: &mut Rng) {
    match rng.below(8) {
        0 => message.from = RaftId(number(rng, message.from.0)),
        1 => message.to = RaftId(1 + rng.below(3)),
        2 | 3 => message.term = Term(number(rng, message.term.0)),
        _ => twist_kind(&mut message.kind, rng),
    }
}

fn twist_kind(kind: &mut RaftKind, rng: &mut Rng) {
    let mut index = |index: &mut Index| index.0 = number(rng, index.0);
    match kind {
        RaftKind::Append { previous, previous_term, commit, entry: bytes } => match rng.below(5) {
            0 => *previous = Index(number(rng, previous.0)),
            1 => *previous_term = Term(number(rng, previous_term.0)),
            2 => *commit = Index(number(rng, commit.0)),
            3 => *bytes = None,
            _ => {
                let (index, term) = (number(rng, previous.0 + 1), number(rng, previous_term.0));
                *bytes = Some(entry(Index(index), Term(term), EntryKind::Control));
            }
        },
        RaftKind::AppendResponse { index: at, reject, hint, hint_term, commit } => match rng.below(5) {
            0 => *at = Index(number(rng, at.0)),
            1 => *reject = !*reject,
            2 => *hint = Index(number(rng, hint.0)),
            3 => *hint_term = Term(number(rng, hint_term.0)),
            _ => *commit = Index(number(rng, commit.0)),
        },
        RaftKind::Heartbeat { commit } | RaftKind::HeartbeatResponse { commit, .. } => index(commit),
        RaftKind::Vote { last, last_term, commit, commit_term, .. }
        | RaftKind::PreVote { last, last_term, commit, commit_term } => match rng.below(4) {
            0 => *last = Index(number(rng, last.0)),
            1 => *last_term = Term(number(rng, last_term.0)),
            2 => *commit = Index(number(rng, commit.0)),
            _ => *commit_term = Term(number(rng, commit_term.0)),
        },
        RaftKind::VoteResponse { reject, commit, commit_term }
        | RaftKind::PreVoteResponse { reject, commit, commit_term } => match rng.below(3) {
            0 => *reject = !*reject,
            1 => *commit = Index(number(rng, commit.0)),
            _ => *commit_term = Term(number(rng, commit_term.0)),
        },
        RaftKind::TimeoutNow => *kind = RaftKind::Heartbeat { commit: Index(number(rng, 3)) },
    }
}

#[test]
fn no_twisted_message_that_passes_makes_raft_panic() {
    let (mut stepped, mut refused, mut lost) = (0, 0, 0);
    for seed in 0..400 {
        let mut rng = Rng::new(seed);
        let mut group = Group::new(seed);
        for _ in 0..1_500 {
            group.act(&mut rng);
        }
        (stepped, refused, lost) = (stepped + group.stepped, refused + group.refused, lost + group.lost);
    }
    assert!(stepped > 50_000 && refused > 5_000 && lost > 10, "{stepped} {refused} {lost}");
}
