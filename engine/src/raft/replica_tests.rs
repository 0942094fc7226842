//! The replica alone: elections and commits of a lone voter.

use super::*;
use crate::entry::EntryKind;

fn start() -> ReplicaStart {
    ReplicaStart {
        id: RaftId(1),
        members: Membership::first(&[RaftId(1)]),
        term: Term(0),
        vote: None,
        commit: Index(0),
        first: Index(1),
        last: Index(0),
        terms: vec![],
        window: vec![],
        window_entries: 64,
        floor: None,
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

#[test]
fn who_is_meant_to_begin_asks_until_its_peers_are_there() {
    let members = Membership::first(&[1, 2, 3].map(RaftId));
    let mut replica = Replica::new(&ReplicaStart { members, ..start() });
    let asked = |replica: &mut Replica| {
        let sent = drain(replica).into_iter().flat_map(|work| work.send.into_iter().chain(work.hold));
        sent.filter(|outgoing| matches!(outgoing.message.kind, RaftKind::PreVote { .. })).count()
    };
    replica.campaign();
    assert_eq!(asked(&mut replica), 2, "each peer");
    for _ in 1..HEARTBEAT_TICKS {
        replica.tick_to_begin();
        assert_eq!(asked(&mut replica), 0);
    }
    replica.tick_to_begin();
    assert_eq!(asked(&mut replica), 2, "they may not have been there");

    let (commit, commit_term) = (Index(0), Term(0));
    let kind = RaftKind::PreVoteResponse { reject: false, commit, commit_term };
    replica
        .step(&RaftMessage { from: RaftId(2), to: RaftId(1), term: Term(1), kind }, false)
        .expect("believed");
    assert_eq!(replica.term(), Term(1), "it stands");
    drain(&mut replica);
    for _ in 0..HEARTBEAT_TICKS {
        replica.tick_to_begin();
    }
    assert_eq!(asked(&mut replica), 0, "an election under way is left alone");
}

#[test]
fn who_is_meant_to_begin_and_has_nobody_to_hear_it_asks_as_others_do_at_last() {
    let members = Membership::first(&[1, 2, 3].map(RaftId));
    let mut replica = Replica::new(&ReplicaStart { members, ..start() });
    let ticks = 1000;
    (0..ticks).for_each(|_| replica.tick_to_begin());
    let asked =
        drain(&mut replica).into_iter().flat_map(|work| work.send.into_iter().chain(work.hold)).count();
    assert!(asked <= 2 * (BEGIN_ATTEMPTS as usize + ticks / ELECTION_TICKS), "asked {asked} times");
}

/// A leader with 300 entries of this length, and how many of them it has under way to a follower
/// after each answer of that one, which has none and then takes one at a time.
fn under_way(entry_bytes: u32, answers: u64) -> Vec<u64> {
    let window: Vec<_> = (1..=300).map(|index| EntryMeta { entry_bytes, ..meta(index, 1) }).collect();
    let members = Membership::first(&[1, 2, 3].map(RaftId));
    let (commit, last, terms) = (Index(300), Index(300), vec![(Index(0), Term(0)), (Index(1), Term(1))]);
    let mut replica =
        Replica::new(&ReplicaStart { members, term: Term(1), commit, last, terms, window, ..start() });
    replica.set_hot(Index(1));
    replica.campaign();
    drain(&mut replica);
    let mut hear = |term, kind| {
        let message = RaftMessage { from: RaftId(2), to: RaftId(1), term: Term(term), kind };
        replica.step(&message, false).expect("it is believed");
        let sent = drain(&mut replica).into_iter().flat_map(|work| work.send);
        let his = sent.filter(|outgoing| outgoing.message.to == RaftId(2));
        his.filter_map(|outgoing| outgoing.entry).map(|(index, _)| index.0).max()
    };
    let (commit, commit_term) = (Index(0), Term(0));
    hear(2, RaftKind::PreVoteResponse { reject: false, commit, commit_term });
    hear(2, RaftKind::VoteResponse { reject: false, commit, commit_term });
    let mut sent = 0;
    let mut answer = |matched: u64| {
        let index = Index(if matched == 0 { 300 } else { matched });
        let (reject, hint, hint_term, commit) = (matched == 0, Index(0), Term(0), Index(matched));
        let kind = RaftKind::AppendResponse { index, reject, hint, hint_term, commit };
        sent = hear(2, kind).unwrap_or(sent);
        sent - matched
    };
    (0..=answers).map(&mut answer).collect()
}

#[test]
fn one_far_behind_has_no_more_under_way_than_its_credit_however_long_entries_are() {
    assert_eq!(under_way(4096, 2), [1, 256, 256], "as many as raft counts");
    let large = under_way(1 << 20, 20);
    assert_eq!(large[..2], [1, 8]);
    assert!(large.iter().all(|entries| *entries <= 16), "{large:?} MiB");
}

/// One of three whose log ends with entry 6 of term 3, and that counts as one that ends further on.
fn in_doubt(floor: LogEnd) -> Replica {
    let (last, terms, window) = (Index(6), vec![(Index(1), Term(3))], vec![meta(6, 3)]);
    let members = Membership::first(&[1, 2, 3].map(RaftId));
    let (commit, term, floor) = (Index(5), Term(3), Some(floor));
    Replica::new(&ReplicaStart { members, term, commit, last, terms, window, floor, ..start() })
}

/// Whether it grants a vote, and the vote before it, to a log that ends here.
fn grants(replica: &mut Replica, end: (u64, u64)) -> (bool, bool) {
    let (last, last_term, commit, commit_term) = (Index(end.1), Term(end.0), Index(0), Term(0));
    let mut ask = |term: u64, kind| {
        let message = RaftMessage { from: RaftId(2), to: RaftId(1), term: Term(term), kind };
        replica.step(&message, false).expect("believed");
        let mut sent = drain(replica).into_iter().flat_map(|work| work.send.into_iter().chain(work.hold));
        sent.any(|outgoing| {
            matches!(
                outgoing.message.kind,
                RaftKind::VoteResponse { reject: false, .. }
                    | RaftKind::PreVoteResponse { reject: false, .. }
            )
        })
    };
    let pre = ask(9, RaftKind::PreVote { last, last_term, commit, commit_term });
    let transfer = false;
    (pre, ask(9, RaftKind::Vote { last, last_term, commit, commit_term, transfer }))
}

#[test]
fn who_lost_its_end_votes_as_the_log_that_it_counts_as() {
    let floor = LogEnd { term: Term(3), index: Index(9) };
    for (end, granted) in [((3, 6), false), ((3, 8), false), ((2, 50), false), ((3, 9), true), ((4, 7), true)]
    {
        assert_eq!(grants(&mut in_doubt(floor), end), (granted, granted), "{end:?}");
    }
    let mut settled = in_doubt(floor);
    settled.count_as(None);
    assert_eq!(grants(&mut settled, (3, 6)), (true, true));
}

#[test]
fn who_lost_its_end_stands_for_no_election_whoever_asks() {
    let mut replica = in_doubt(LogEnd { term: Term(3), index: Index(9) });
    replica.campaign();
    (0..1000).for_each(|_| replica.tick());
    (0..1000).for_each(|_| replica.tick_to_begin());
    assert_eq!((drain(&mut replica).len(), replica.term()), (0, Term(3)));
    let from_leader = |kind| RaftMessage { from: RaftId(2), to: RaftId(1), term: Term(4), kind };
    let beat = replica.tempered(from_leader(RaftKind::Heartbeat { commit: Index(9) }));
    replica.step(&beat, false).expect("what it does not know yet is no lie");
    assert_eq!((replica.leader(), replica.commit()), (Some(RaftId(2)), Index(5)));
    replica.step(&from_leader(RaftKind::TimeoutNow), false).expect("believed");
    drain(&mut replica);
    assert_eq!((replica.term(), replica.leader()), (Term(4), Some(RaftId(2))));
    (0..ELECTION_TICKS).for_each(|_| replica.tick());
    assert_eq!(replica.leader(), None, "a leader that is not heard is forgotten");
    replica.raise_term(Term(5));
    assert_eq!((replica.term(), replica.is_leader()), (Term(5), false));
}

#[test]
fn a_leader_forgets_what_a_follower_lost_and_sends_it_again() {
    let window: Vec<_> = (1..=4).map(|index| meta(index, 1)).collect();
    let members = Membership::first(&[1, 2, 3].map(RaftId));
    let (commit, last, terms) = (Index(4), Index(4), vec![(Index(0), Term(0)), (Index(1), Term(1))]);
    let mut replica =
        Replica::new(&ReplicaStart { members, term: Term(1), commit, last, terms, window, ..start() });
    replica.set_hot(Index(1));
    replica.campaign();
    drain(&mut replica);
    let hear = |replica: &mut Replica, kind| {
        let message = RaftMessage { from: RaftId(2), to: RaftId(1), term: Term(2), kind };
        replica.step(&message, false).expect("believed");
    };
    let (none, commit_term) = (Index(0), Term(0));
    hear(&mut replica, RaftKind::PreVoteResponse { reject: false, commit: none, commit_term });
    hear(&mut replica, RaftKind::VoteResponse { reject: false, commit: none, commit_term });
    let (reject, hint, hint_term, commit) = (false, Index(0), Term(0), none);
    hear(&mut replica, RaftKind::AppendResponse { index: Index(5), reject, hint, hint_term, commit });
    drain(&mut replica);
    let matched = |replica: &Replica| replica.followers().next().expect("of two").matched;
    assert_eq!(matched(&replica), Index(5));
    replica.forget_beyond(RaftId(2), Index(5));
    assert_eq!(matched(&replica), Index(5), "it has that");
    replica.forget_beyond(RaftId(2), Index(3));
    assert_eq!(matched(&replica), Index(0));
    hear(&mut replica, RaftKind::HeartbeatResponse { commit: none, space: crate::peer::Space::Room });
    let sent = drain(&mut replica).into_iter().flat_map(|work| work.send);
    let first = sent.filter(|outgoing| outgoing.message.to == RaftId(2)).find_map(|outgoing| outgoing.entry);
    assert_eq!(first, Some((Index(4), Term(1))), "from where its log ends");
}
