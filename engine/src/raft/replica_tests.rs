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
