//! Every message comes back as it was, and no other bytes are taken for one.

use super::*;
use crate::disk::BufferPool;
use crate::entry::EntryKind;
use crate::entry::builder::{Stamp, head_only};
use crate::ids::RunId;
use crate::ids::{ClusterId, LogEnd};
use crate::peer::doubt::{Answer, Held, Question, Voters};
use crate::peer::run::{RunName, RunsHeld};

fn entry() -> EntryBytes {
    let stamp = Stamp {
        cluster: ClusterId(1),
        journal: JournalId(3),
        secret: 1,
        term: Term(4),
        index: Index(9),
        segment_base: Index(1),
        position: 8192,
        commit: Index(8),
        wall_ms: 5,
        previous_checksum: 6,
    };
    head_only(&BufferPool::new(0), EntryKind::TermStart, 0, &[], &stamp)
}

fn acl() -> Acl {
    use crate::control::acls::{AclHost, Operation, Pattern, PatternType, Permission, ResourceType};
    let (kind, pattern_type) = (ResourceType::Topic, PatternType::Prefixed);
    Acl {
        pattern: Pattern { kind, pattern_type, name: "orders.".into() },
        principal: "User:alice".into(),
        host: AclHost::Any,
        operation: Operation::Read,
        permission: Permission::Allow,
    }
}

fn raft(kind: RaftKind) -> PeerMessage {
    let message = RaftMessage { from: RaftId(1), to: RaftId(2), term: Term(4), kind };
    PeerMessage::Raft { journal: JournalId(3), message }
}

fn raft_kinds() -> Vec<RaftKind> {
    let (index, term) = (Index(7), Term(3));
    vec![
        RaftKind::Append { previous: index, previous_term: term, commit: Index(5), entry: None },
        RaftKind::Append { previous: Index(8), previous_term: term, commit: Index(5), entry: Some(entry()) },
        RaftKind::AppendResponse {
            index,
            reject: true,
            hint: Index(6),
            hint_term: Term(2),
            commit: Index(5),
        },
        RaftKind::Heartbeat { commit: index },
        RaftKind::HeartbeatResponse { commit: index, space: Space::Short },
        RaftKind::Vote { last: index, last_term: term, commit: Index(5), commit_term: term, transfer: true },
        RaftKind::VoteResponse { reject: true, commit: index, commit_term: term },
        RaftKind::PreVote { last: index, last_term: term, commit: Index(5), commit_term: term },
        RaftKind::PreVoteResponse { reject: false, commit: index, commit_term: term },
        RaftKind::TimeoutNow,
    ]
}

fn end(term: u64, index: u64) -> LogEnd {
    LogEnd { term: Term(term), index: Index(index) }
}

fn answer(held: Held, floor: Option<LogEnd>) -> DoubtMessage {
    let changed = Voters { now: vec![RaftId(1), RaftId(4)], before: vec![RaftId(1), RaftId(2)] };
    DoubtMessage::Answer(Answer {
        from: RaftId(2),
        to: RaftId(1),
        nonce: 7,
        term: Term(4),
        end: end(3, 9),
        held,
        floor,
        leads: floor.is_none(),
        voters: vec![Voters { now: vec![RaftId(1), RaftId(2)], before: vec![] }, changed],
    })
}

fn doubt(message: DoubtMessage) -> PeerMessage {
    PeerMessage::Doubt { journal: JournalId(3), message }
}

fn run(message: RunMessage) -> PeerMessage {
    PeerMessage::Run { journal: JournalId(3), message }
}

fn name(run: u64) -> RunName {
    RunName { run: RunId(run), sum: 0x1234_5678_9abc_def0 + run }
}

fn all() -> Vec<PeerMessage> {
    let done = |result| PeerMessage::ControlDone { id: 8, result };
    let outcome = |outcome| done(Ok(Committed { index: Index(4), outcome }));
    let mut all: Vec<_> = raft_kinds().into_iter().map(raft).collect();
    let heartbeat = |journal, kind| Heartbeat {
        journal: JournalId(journal),
        message: RaftMessage { from: RaftId(1), to: RaftId(2), term: Term(4), kind },
    };
    all.extend([
        PeerMessage::Heartbeats(vec![
            heartbeat(3, RaftKind::Heartbeat { commit: Index(7) }),
            heartbeat(4, RaftKind::HeartbeatResponse { commit: Index(8), space: Space::Full }),
        ]),
        PeerMessage::Hint {
            journal: JournalId(2),
            term: Term(5),
            leader: NodeId(3),
            in_sync: vec![NodeId(1), NodeId(3)],
            held_by_all: Index(77),
        },
        PeerMessage::Control { id: 8, command: vec![1, 2, 3] },
        outcome(Outcome::Done),
        outcome(Outcome::TopicCreated { topic_id: TopicId(7), partitions: vec![PartitionId(4)] }),
        outcome(Outcome::ProducerIds { first: 1000, count: 1000 }),
        outcome(Outcome::AclsDeleted { acls: vec![acl()], more: true }),
        done(Err(ControlRefusal::Command(CommandError::UnknownTopic))),
        done(Err(ControlRefusal::Command(CommandError::InvalidConfig("why".to_owned())))),
        done(Err(ControlRefusal::Command(CommandError::InvalidPlace("why".to_owned())))),
        done(Err(ControlRefusal::Command(CommandError::UnacceptableCredential("why".to_owned())))),
        done(Err(ControlRefusal::Command(CommandError::UnknownCredential))),
        done(Ok(Committed {
            index: Index(5),
            outcome: Outcome::Member { incarnation: Incarnation(9), raft_id: RaftId(4) },
        })),
        done(Err(ControlRefusal::NotController)),
        done(Err(ControlRefusal::Storage)),
        done(Err(ControlRefusal::TimedOut)),
        doubt(DoubtMessage::Ask(Question {
            from: RaftId(1),
            to: RaftId(2),
            nonce: 7,
            term: Term(4),
            last: Index(8),
            index: Index(9),
        })),
        doubt(answer(Held::Nothing, None)),
        doubt(answer(Held::Entry { term: Term(3), checksum: 9 }, Some(end(3, 11)))),
        doubt(answer(Held::Passed, None)),
        run(RunMessage::Read { name: name(4), position: 1 << 20 }),
        run(RunMessage::Piece { name: name(4), position: 1 << 20, bytes: vec![7; 40] }),
        run(RunMessage::Absent { name: name(5) }),
        run(RunMessage::Held(RunsHeld {
            from: RaftId(2),
            to: RaftId(1),
            applied: Index(90),
            here: vec![name(4), name(5)],
            lacking: 3,
        })),
        PeerMessage::Read { journal: JournalId(1), index: Index(2), checksum: 77 },
        PeerMessage::ReadDone {
            journal: JournalId(1),
            index: Index(2),
            commit: Index(0),
            sure: false,
            entry: None,
        },
        PeerMessage::ReadDone {
            journal: JournalId(1),
            index: Index(9),
            commit: Index(12),
            sure: true,
            entry: Some(entry()),
        },
    ]);
    all
}

#[test]
fn every_message_comes_back() {
    for message in all() {
        let body = message.encode();
        let again = PeerMessage::decode(&body, message.entry().cloned()).expect("just encoded");
        assert_eq!(format!("{again:?}"), format!("{message:?}"));
        assert_eq!(again.entry_bytes(), message.entry_bytes());
    }
}

#[test]
fn a_body_that_is_cut_or_too_long_is_refused() {
    for message in all() {
        let mut body = message.encode();
        for cut in 0..body.len() {
            assert!(PeerMessage::decode(&body[..cut], message.entry().cloned()).is_err(), "cut at {cut}");
        }
        body.push(0);
        let long = PeerMessage::decode(&body, message.entry().cloned()).map(|_| ());
        assert_eq!(long, Err(DecodeError::Long(1)));
    }
}

#[test]
fn an_entry_and_the_word_of_it_go_together() {
    for message in all() {
        let other = if message.entry().is_some() { None } else { Some(entry()) };
        let decoded = PeerMessage::decode(&message.encode(), other).map(|_| ());
        assert_eq!(decoded, Err(DecodeError::Entry));
    }
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let mut body = PeerMessage::Read { journal: JournalId(1), index: Index(2), checksum: 0 }.encode();
    body[0] = 2;
    assert_eq!(PeerMessage::decode(&body, None).map(|_| ()), Err(DecodeError::Newer(2)));
}

#[test]
fn no_flip_makes_a_decoder_panic() {
    for message in all() {
        let body = message.encode();
        for position in 0..body.len() {
            for bit in 0..8 {
                let mut bad = body.clone();
                bad[position] ^= 1 << bit;
                let _ = PeerMessage::decode(&bad, message.entry().cloned());
            }
        }
    }
}
