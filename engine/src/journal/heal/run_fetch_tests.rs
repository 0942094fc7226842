//! A run comes piece by piece from whoever has it, wherever it is broken off.

use super::*;
use crate::ids::RunId;

const PIECE: u64 = RUN_PIECE_BYTES as u64;
const A: NodeId = NodeId(2);
const B: NodeId = NodeId(3);
const NODES: [NodeId; 2] = [A, B];

fn name(run: u64) -> RunName {
    RunName { run: RunId(run), sum: 70 + run }
}

fn wanted(run: u64, bytes: u64) -> WantedRun {
    WantedRun { name: name(run), bytes }
}

fn at(ms: u64) -> Now {
    Now { mono_ns: ms * 1_000_000, wall_ms: 0 }
}

fn ask(node: NodeId, run: u64, position: u64) -> Option<FetchStep> {
    Some(FetchStep::Ask { node, name: name(run), position })
}

/// One that wants run 1, of which nothing is here.
fn begun(bytes: u64) -> RunFetch {
    let mut fetch = RunFetch::default();
    fetch.want([wanted(1, bytes)]);
    assert_eq!(fetch.tick(&NODES, true, at(0)), Some(FetchStep::Resume(wanted(1, bytes))));
    fetch.resumed(Ok(0), at(0));
    fetch
}

fn take(fetch: &mut RunFetch, from: NodeId, position: u64, bytes: u64) {
    let place = fetch.piece(from, name(1), position, bytes as usize).expect("it was asked for");
    assert_eq!((place.position, place.mends), (position, false));
    fetch.written(true, at(0));
}

#[test]
fn pieces_come_in_order_and_the_whole_is_checked() {
    let mut fetch = begun(PIECE + 4096);
    assert_eq!(fetch.tick(&NODES, false, at(0)), None, "the pace does not allow it");
    assert_eq!(fetch.tick(&NODES, true, at(0)), ask(A, 1, 0));
    assert_eq!(fetch.piece(B, name(1), 0, PIECE as usize), None, "from another than was asked");
    assert_eq!(fetch.piece(A, name(1), PIECE, 4096), None, "of another place");
    assert_eq!(fetch.piece(A, name(1), 0, 4096), None, "too short");
    take(&mut fetch, A, 0, PIECE);
    assert_eq!(fetch.left(), (1, 4096));
    assert_eq!(fetch.tick(&NODES, true, at(0)), ask(A, 1, PIECE));
    take(&mut fetch, A, PIECE, 4096);
    assert_eq!(fetch.tick(&NODES, true, at(0)), Some(FetchStep::Check(wanted(1, PIECE + 4096))));
    assert!(fetch.is_under_way() && fetch.tick(&NODES, true, at(9_999)).is_none());
    assert!(fetch.checked(RunChecked::Good, at(0)));
    assert_eq!((fetch.left(), fetch.tick(&NODES, true, at(0))), ((0, 0), None));
    assert_eq!(fetch.counts, RunFetchCounts { bytes: PIECE + 4096, runs: 1, ..Default::default() });
}

#[test]
fn what_is_durable_is_not_fetched_again() {
    let mut fetch = RunFetch::default();
    fetch.want([wanted(1, 3 * PIECE)]);
    assert!(fetch.tick(&NODES, true, at(0)).is_some());
    fetch.resumed(Ok(2 * PIECE), at(0));
    assert_eq!(fetch.tick(&NODES, true, at(0)), ask(A, 1, 2 * PIECE));
}

#[test]
fn who_is_silent_gives_way_to_the_next_who_goes_on_from_there() {
    let mut fetch = begun(2 * PIECE);
    assert_eq!(fetch.tick(&NODES, true, at(0)), ask(A, 1, 0));
    take(&mut fetch, A, 0, PIECE);
    let asked: Vec<_> = (0..9_000).step_by(500).filter_map(|ms| fetch.tick(&NODES, true, at(ms))).collect();
    let node = |step: &FetchStep| match step {
        FetchStep::Ask { node, position, .. } => Some((node.0, *position)),
        FetchStep::Resume(_) => None,
        other => panic!("{other:?}"),
    };
    let expected = [2, 2, 2, 3, 3, 3].map(|node| Some((node, PIECE)));
    let asked: Vec<_> = asked.iter().map(node).collect();
    assert_eq!(asked[..6], expected, "each some times, once a second, always the piece that is missing");
    assert_eq!(asked[6..], [None], "all were silent: after a while what is durable is gone on from");
}

#[test]
fn who_has_no_such_run_is_passed_over_and_one_that_nobody_has_is_told() {
    let mut fetch = begun(PIECE);
    assert_eq!(fetch.tick(&NODES, true, at(0)), ask(A, 1, 0));
    fetch.absent(A, name(2));
    assert_eq!(fetch.tick(&NODES, true, at(1)), None, "that was of another run");
    fetch.absent(A, name(1));
    assert_eq!(fetch.tick(&NODES, true, at(1)), ask(B, 1, 0));
    fetch.absent(B, name(1));
    assert_eq!(fetch.tick(&NODES, true, at(2)), None);
    assert!(!fetch.is_nowhere(name(1), at(9_000)), "perhaps they are asked too early");
    assert!(fetch.is_nowhere(name(1), at(10_002)));
    // Another one is not kept waiting by that.
    fetch.want([wanted(1, PIECE), wanted(2, PIECE)]);
    assert_eq!(fetch.tick(&NODES, true, at(3)), Some(FetchStep::Resume(wanted(2, PIECE))));
    fetch.resumed(Ok(0), at(3));
    fetch.want([wanted(1, PIECE)]);
    assert_eq!(
        fetch.tick(&NODES, true, at(4)),
        None,
        "nobody wants the second any more, and the first rests"
    );
    assert_eq!(fetch.tick(&NODES, true, at(6_000)), Some(FetchStep::Resume(wanted(1, PIECE))));
    fetch.resumed(Ok(0), at(6_000));
    assert_eq!(fetch.tick(&NODES, true, at(6_000)), ask(A, 1, 0), "all are asked again");
    take(&mut fetch, A, 0, PIECE);
    assert!(!fetch.is_nowhere(name(1), at(99_000)), "somebody has it");
}

#[test]
fn a_piece_that_proves_bad_comes_from_the_next_node_and_only_that() {
    let mut fetch = begun(3 * PIECE);
    for position in [0, PIECE, 2 * PIECE] {
        assert_eq!(fetch.tick(&NODES, true, at(0)), ask(A, 1, position));
        take(&mut fetch, A, position, PIECE);
    }
    assert_eq!(fetch.tick(&NODES, true, at(0)), Some(FetchStep::Check(wanted(1, 3 * PIECE))));
    assert!(!fetch.checked(RunChecked::Bad { position: PIECE + 7 }, at(0)));
    assert_eq!(fetch.tick(&NODES, true, at(0)), ask(B, 1, PIECE));
    take(&mut fetch, B, PIECE, PIECE);
    assert_eq!(fetch.tick(&NODES, true, at(0)), Some(FetchStep::Check(wanted(1, 3 * PIECE))));
    assert!(!fetch.checked(RunChecked::Bad { position: 3 * PIECE }, at(0)), "said of the end");
    assert_eq!(fetch.tick(&NODES, true, at(0)), ask(A, 1, 2 * PIECE), "in turns");
    assert_eq!(fetch.counts.bad_pieces, 2);
}

#[test]
fn a_full_disk_is_tried_again_from_what_is_durable() {
    let mut fetch = begun(PIECE);
    assert_eq!(fetch.tick(&NODES, true, at(0)), ask(A, 1, 0));
    assert!(fetch.piece(A, name(1), 0, PIECE as usize).is_some());
    fetch.written(false, at(0));
    assert_eq!(fetch.tick(&NODES, true, at(500)), None);
    assert_eq!(fetch.tick(&NODES, true, at(1_000)), Some(FetchStep::Resume(wanted(1, PIECE))));
    fetch.resumed(Err(()), at(1_000));
    assert_eq!(fetch.tick(&NODES, true, at(2_000)), Some(FetchStep::Resume(wanted(1, PIECE))));
}

#[test]
fn a_damaged_run_that_is_here_is_looked_at_and_mended_until_nothing_is_bad() {
    let mut fetch = RunFetch::default();
    let damaged = wanted(1, 3 * PIECE);
    fetch.mend(damaged);
    fetch.mend(damaged);
    assert_eq!(fetch.tick(&NODES, true, at(0)), None, "begun");
    for (node, position) in [(A, PIECE), (B, 0)] {
        assert_eq!(fetch.tick(&NODES, true, at(0)), Some(FetchStep::CheckHere(damaged)));
        fetch.mend(damaged);
        assert!(!fetch.checked(RunChecked::Bad { position: position + 9 }, at(0)));
        assert_eq!(fetch.tick(&NODES, true, at(0)), ask(node, 1, position));
        let place = fetch.piece(node, name(1), position, PIECE as usize).expect("it was asked for");
        assert_eq!(place, PiecePlace { name: name(1), position, mends: true });
        fetch.written(true, at(0));
    }
    assert_eq!(fetch.tick(&NODES, true, at(0)), Some(FetchStep::CheckHere(damaged)));
    assert!(fetch.checked(RunChecked::Good, at(0)));
    assert_eq!((fetch.tick(&NODES, true, at(9_000)), fetch.counts.mended), (None, 1));
    // What nobody has is looked at again later.
    fetch.mend(damaged);
    assert_eq!(fetch.tick(&NODES, true, at(0)), None);
    assert_eq!(fetch.tick(&NODES, true, at(0)), Some(FetchStep::CheckHere(damaged)));
    fetch.checked(RunChecked::Bad { position: 9 }, at(0));
    for node in NODES {
        assert_eq!(fetch.tick(&NODES, true, at(0)), ask(node, 1, 0));
        fetch.absent(node, name(1));
    }
    assert_eq!((fetch.tick(&NODES, true, at(1)), fetch.tick(&NODES, true, at(500))), (None, None));
    assert_eq!(fetch.tick(&NODES, true, at(1_001)), None, "begun again");
    assert_eq!(fetch.tick(&NODES, true, at(1_001)), Some(FetchStep::CheckHere(damaged)));
}

#[test]
fn what_is_under_way_for_a_run_that_went_is_answered_first() {
    let mut fetch = begun(2 * PIECE);
    assert_eq!(fetch.tick(&NODES, true, at(0)), ask(A, 1, 0));
    assert!(fetch.piece(A, name(1), 0, PIECE as usize).is_some());
    fetch.want([]);
    assert!(fetch.is_under_way(), "its write is");
    fetch.written(true, at(0));
    assert!(!fetch.is_under_way() && fetch.tick(&NODES, true, at(9_000)).is_none());
}
