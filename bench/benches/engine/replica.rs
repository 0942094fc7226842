//! What raft costs for each entry of a lone voter: proposed, taken as work, durable, committed.

use criterion::Criterion;
use engine::entry::EntryKind;
use engine::ids::{Index, RaftId, Term};
use engine::raft::{EntryMeta, Membership, Replica, ReplicaStart};

fn leader() -> Replica {
    let mut replica = Replica::new(&ReplicaStart {
        id: RaftId(1),
        members: Membership::first(&[RaftId(1)]),
        term: Term(0),
        vote: None,
        commit: Index(0),
        first: Index(1),
        last: Index(0),
        terms: Vec::new(),
        window: Vec::new(),
        floor: None,
        window_entries: 8192,
        seed: 7,
    });
    replica.campaign();
    settle(&mut replica);
    replica
}

/// All work there is becomes durable.
fn settle(replica: &mut Replica) {
    while let Some(work) = replica.work() {
        replica.persisted(work.number);
    }
}

pub fn raft_step(criterion: &mut Criterion) {
    let mut replica = leader();
    criterion.bench_function("raft step per entry, one voter", |bencher| {
        bencher.iter(|| {
            let (index, term) = (replica.last_index().next(), replica.term());
            let meta = EntryMeta { index, term, kind: EntryKind::Batches, checksum: 9, entry_bytes: 4096 };
            replica.propose(&meta).expect("it leads");
            settle(&mut replica);
            assert_eq!(replica.commit(), index);
        })
    });
}
