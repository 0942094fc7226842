//! How a checkpoint that is lacked is fetched.

use crate::control::life::Life;
use crate::disk::BLOCK;
use crate::entry::layout::{EntryHeader, EntryKind};
use crate::ids::{ClusterId, JournalId, LaneId, RaftId, Term};
use crate::journal::heal::checkpoint_fetch::*;
use zerocopy::{FromZeros, IntoBytes};

fn meta() -> JournalMeta {
    JournalMeta {
        journal: JournalId(3),
        cluster: ClusterId(8),
        secret: 0xfeed,
        segment_bytes: 1 << 20,
        batches_per_segment_max: 100,
        life: Life::Finite,
        lane: LaneId(0),
        voters: vec![RaftId(1), RaftId(2), RaftId(3)],
        raft_id: RaftId(1),
    }
}

fn fetch(bases: &[u64], memory: usize) -> CheckpointFetch {
    let bases = bases.iter().copied().map(Index).collect();
    let missing = NoCheckpoint { meta: meta(), bases, bad: 2 };
    CheckpointFetch::new(missing, vec![NodeId(2), NodeId(3)], Incoming::new(memory))
}

/// A checkpoint of so many entries of nothing.
fn checkpoint(last: u64) -> Vec<u8> {
    let mut state = State::new(&meta());
    for index in 1..=last {
        let mut header = EntryHeader::new_zeroed();
        header.index.set(index);
        header.term.set(1);
        header.kind = EntryKind::TermStart as u8;
        state.apply(&header, header.as_bytes()).expect("it is empty");
    }
    let body = state.encode();
    Checkpoint { last: Index(last), term: Term(1), body: std::rc::Rc::new(body) }.encode(&meta().identity())
}

fn at(ms: u64) -> Now {
    Now { mono_ns: ms * 1_000_000, wall_ms: 0 }
}

fn asked(messages: &[(NodeId, PeerMessage)]) -> Vec<(u32, u64, u64)> {
    let one = |(node, message): &(NodeId, PeerMessage)| match message {
        PeerMessage::Install { message: InstallMessage::Read { last, position }, .. } => {
            Some((node.0, last.0, *position))
        }
        _ => None,
    };
    messages.iter().filter_map(one).collect()
}

#[test]
fn each_node_is_asked_for_each_checkpoint_until_one_is_good() {
    let mut fetch = fetch(&[11, 21], 1 << 20);
    assert_eq!(asked(&fetch.tick(at(0))), [(2, 20, 0)]);
    assert!(fetch.tick(at(499)).is_empty(), "an answer takes its time");
    assert_eq!(asked(&fetch.tick(at(500))), [(3, 20, 0)]);
    let mut bad = checkpoint(20);
    bad[BLOCK + 9] ^= 1;
    let next = fetch.piece(NodeId(3), (Index(20), 0), &bad, at(510));
    let Next::Ask(node, message) = next else { panic!("a bad one is not taken: {next:?}") };
    assert_eq!(asked(&[(node, message)]), [(2, 10, 0)]);
    let file = checkpoint(10);
    assert!(matches!(fetch.piece(NodeId(3), (Index(10), 0), &file, at(520)), Next::Nothing), "not asked");
    let Next::Ask(_, message) = fetch.piece(NodeId(2), (Index(10), 0), &file[..BLOCK], at(530)) else {
        panic!("there is more")
    };
    assert_eq!(asked(&[(NodeId(2), message)]), [(2, 10, BLOCK as u64)]);
    let next = fetch.piece(NodeId(2), (Index(10), BLOCK as u64), &file[BLOCK..], at(540));
    let Next::Whole(fetched) = next else { panic!("it is whole: {next:?}") };
    assert_eq!((fetched.last, fetched.install), (Index(10), None));
    assert_eq!(fetched.file, file);
}

#[test]
fn where_nobody_has_one_the_leaders_start_takes_the_place_of_all() {
    let mut fetch = fetch(&[11], 1 << 20);
    assert_eq!(asked(&fetch.tick(at(0))), [(2, 10, 0)]);
    assert_eq!(asked(&fetch.tick(at(500))), [(3, 10, 0)]);
    let round = fetch.tick(at(1000));
    let reads = round
        .iter()
        .filter(|(_, message)| matches!(message, PeerMessage::Read { index: Index(11), checksum: 0, .. }));
    assert_eq!(reads.count(), 2, "whoever leads is asked for what it has deleted: {round:?}");
    let offer = |last| Offer {
        to: RaftId(1),
        term: Term(2),
        last: Index(last),
        last_term: Term(1),
        checksum: 77,
        bytes: 0,
    };
    fetch.offered(NodeId(3), &offer(9));
    fetch.offered(NodeId(3), &Offer { to: RaftId(9), ..offer(30) });
    fetch.offered(NodeId(3), &offer(30));
    assert_eq!(asked(&fetch.tick(at(1500))), [(3, 10, 0)]);
    assert_eq!(asked(&fetch.tick(at(2000))), [(3, 30, 0)]);
    let next = fetch.piece(NodeId(3), (Index(30), 0), &checkpoint(30), at(2010));
    let Next::Whole(fetched) = next else { panic!("it is whole: {next:?}") };
    let install = Install { last: Index(30), term: Term(1), checksum: 77, keeps: false };
    assert_eq!(fetched.install, Some(install));
}

#[test]
fn no_more_is_held_than_the_shard_may_hold() {
    let mut fetch = fetch(&[11], 4 * BLOCK);
    fetch.tick(at(0));
    let next = fetch.piece(NodeId(2), (Index(10), 0), &checkpoint(10)[..BLOCK], at(1));
    let bytes = 2 * BLOCK as u64;
    assert!(
        matches!(next, Next::TooLong { bytes: found, bytes_max } if found == bytes && bytes_max == BLOCK as u64),
        "{next:?}"
    );
}
