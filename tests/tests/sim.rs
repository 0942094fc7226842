//! The simulator's gate: thousands of seeds, every named event met, one trace per seed.

use std::time::Instant;
use tests::sim::soak::{name_seed_in_panics, replay_command, run_loaded, run_named, soak, soak_by};
use tests::sim::{Counts, Loads};

const SEEDS: u64 = 2_000;
/// Clusters cost four and eight times a node's time.
const SEEDS_OF_THREE: u64 = 500;
const SEEDS_OF_FIVE: u64 = 100;
/// What a run of all seeds must have met at least once.
const MUST_HAPPEN: &[&str] = &[
    "crash: power cut",
    "crash: kill",
    "clean stop",
    "fault: write error",
    "fault: sync error",
    "fault: read error",
    "fault: no space",
    "process ended after a failed write",
    "torn tail cut",
    "entry waited for zeros on their way",
    "segment rolled",
    "segment sealed",
    "segment deleted",
    "checkpoint written",
    "recovered from a checkpoint",
    "index rebuilt",
    "bad copy of the hard state",
    "bad copy of a journal's record",
    "damage of a body reported",
    "damage of a head reported",
    "fetch refused: damage",
    "disk full",
    "disk has room again",
    "clock distrusted",
    "clock trusted again",
    "duplicate answered",
    "retry answered with the original offset",
    "corrupt batch refused",
    "records deleted by request",
    "topic deleted",
    "partitions added",
    "configuration changed",
    "index made again while serving",
    "start ended: tail unreadable",
    "crash while recovering: list journal folder",
    "crash while recovering: open journal.meta",
    "crash while recovering: read hard-state",
    "crash while recovering: *checkpoint",
    "crash while recovering: read index",
    "crash while recovering: read segment",
    "crash while recovering: write segment",
    "crash while recovering: sync segment",
    "crash while recovering: write hard-state",
    "crash while recovering: sync hard-state",
    "crash while recovering: sync folder journal folder",
    "crash while recovering: write temporary file",
    "folder: Missing",
    "folder: Empty",
    "folder: Truncated",
    "folder: Old",
    "folder refused",
    "unregistered made again",
    "groups: rebalance ended",
    "groups: coordinator read its groups back",
    "groups: offsets committed",
];

/// The same of clusters.
const MUST_HAPPEN_IN_CLUSTERS: &[&str] = &[
    "cluster formed",
    "formation waits",
    "leadership begun",
    "diverged tail cut",
    "acknowledgement checked on the disk",
    "commit checked on the disks",
    "producers held back for a follower",
    "link up",
    "link broken",
    "crash: power cut",
    "crash: kill",
    "clean stop",
    "process ended after a failed write",
    "struck: Isolated",
    "struck: Deaf",
    "struck: Mute",
    "struck: Slow",
    "struck: LinksBroken",
    "struck: PowerCutAll",
    "whole disk lost",
    "rejoined with an empty disk",
    "folder: Missing",
    "folder: Empty",
    "folder: Truncated",
    "folder: OtherNode",
    "folder: Old",
    "told that it is an old copy",
    "replica lost what it promised",
    "amnesia of one journal healed",
    "what was left is set aside",
    "unregistered made again",
    "install begun",
    "checkpoint installed",
    "learner added",
    "learner swapped in",
    "members changed",
    "topic gets more copies",
    "two learners became voters",
    "run with more copies",
    "struck: Pause",
    "struck: Stall",
    "disk full",
    "disk has room again",
    "clock distrusted",
    "torn tail cut",
    "bad tail proven torn",
    "bad tail perhaps acked",
    "last entries lied about: Flip",
    "last entries lied about: Misdirected",
    "last entries lied about: Unreadable",
    "health: replica in doubt",
    "perhaps acked: healed",
    "perhaps acked: no voter has it",
    "perhaps acked: replaced by a leader",
    "perhaps acked: end raised",
    "perhaps acked: end lowered",
    "entry waited for zeros on their way",
    "sealed segments compared",
    "damage repaired",
    "damage on every replica",
    "damage of a body reported",
    "damage of a head reported",
    "damage found while serving",
    "digest agrees",
    "replica quarantined",
    "rot in a cluster: Flip",
    "rot in a cluster: LostWrite",
    "rot in a cluster: Misdirected",
    "rot in a cluster: Unreadable",
    "fetch refused: damage",
    "checkpoint written",
    "recovered from a checkpoint",
    "duplicate answered",
    "retry answered with the original offset",
    "produce refused: NotLeader",
    "topic created",
    "partitions added",
    "partition read whole",
    "crash while recovering: read segment",
    "crash while recovering: write segment",
    "crash while recovering: sync segment",
    "crash while recovering: write hard-state",
    "crash while recovering: sync folder journal folder",
    "crash while serving: sync segment",
    "crash while serving: write segment",
    "crash while serving: sync hard-state",
    "groups: rebalance ended",
    "groups: coordinator read its groups back",
    "groups: offsets committed",
    "groups: offsets committed after a failover",
    "groups: offsets looked at",
    "groups: history freed",
    "groups: member expired",
    "groups: member crashed",
    "groups: member stalled",
    "groups: member left",
    "groups: refused: CoordinatorLoadInProgress",
    "groups: refused: NotCoordinator",
    "groups: refused: RebalanceInProgress",
];

/// Runs with transactional loops, of a lone node and of three.
const TRANSACTING: u64 = 96;
const TRANSACTING_OF_THREE: u64 = 32;
const MUST_HAPPEN_TO_TRANSACTIONS: &[&str] = &[
    "transactions: Commit answered",
    "transactions: Abort answered",
    "transactions: ended after a failover",
    "transactions: committed records read",
    "transactions: aborted records passed over",
    "transactions: stable offset below the watermark",
    "transactions: offsets written",
    "transactions: a loop was exactly once",
    "transactions: aborted with batches under way",
    "transactions: client crashed",
    "transactions: client stalled",
    "transactions: coordinator read its transactions back",
    "transactions: history freed",
    "transactions: errand to another node",
    "transactions: markers sent again",
    "transactions: marker Done",
    "transactions: refused: ConcurrentTransactions",
    "transactions: refused: CoordinatorLoadInProgress",
    "transactions: refused: NotCoordinator",
    "transactions: refused: ProducerFenced",
];

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Runs the seeds; what was counted is given when none failed.
fn hold_every_promise(seeds: u64, nodes: usize) -> Counts {
    let begun = Instant::now();
    let soaked = soak(0..seeds, nodes, threads(), || {}, |_| {});
    println!("{}", soaked.counts);
    println!("{}", soaked.summary(nodes, begun.elapsed()));
    let commands: Vec<String> = soaked.failed.iter().map(|seed| replay_command(*seed, nodes)).collect();
    assert!(commands.is_empty(), "seeds failed:\n    {}", commands.join("\n    "));
    assert!(soaked.operations_min >= 500, "a seed had only {} client operations", soaked.operations_min);
    assert!(soaked.faults_min >= 5, "a seed had only {} faults", soaked.faults_min);
    soaked.counts
}

/// One after the other: each takes all cores.
#[test]
fn thousands_of_seeds_hold_every_promise() {
    name_seed_in_panics();
    let missing = hold_every_promise(SEEDS, 1).missing(MUST_HAPPEN);
    assert!(missing.is_empty(), "never happened: {missing:?}");
    let mut clusters = hold_every_promise(SEEDS_OF_THREE, 3);
    clusters.merge(&hold_every_promise(SEEDS_OF_FIVE, 5));
    let missing = clusters.missing(MUST_HAPPEN_IN_CLUSTERS);
    assert!(missing.is_empty(), "never happened in clusters: {missing:?}");
}

/// The night has more of them: `duramen-sim soak --transactions`.
#[test]
fn seeds_with_transactions_hold_every_promise() {
    name_seed_in_panics();
    let mut counts = Counts::default();
    for (seeds, nodes) in [(TRANSACTING, 1), (TRANSACTING_OF_THREE, 3)] {
        let loads = Loads { transactions: true, ..Loads::default() };
        let run = |seed| run_loaded(seed, nodes, false, loads);
        let soaked = soak_by(run, 0..seeds, threads(), || {}, |_| {});
        assert!(soaked.failed.is_empty(), "seeds of {nodes} with --transactions failed: {:?}", soaked.failed);
        counts.merge(&soaked.counts);
    }
    println!("{counts}");
    let missing = counts.missing(MUST_HAPPEN_TO_TRANSACTIONS);
    assert!(missing.is_empty(), "never happened: {missing:?}");
}

#[test]
fn one_seed_gives_one_trace() {
    for (seed, nodes) in (10_000..10_010).map(|seed| (seed, if seed % 5 == 0 { 3 } else { 1 })) {
        let (first, second) = (run_named(seed, nodes, false), run_named(seed, nodes, false));
        assert_eq!(first.trace_hash, second.trace_hash, "seed {seed}: {} lines", first.trace_lines);
        assert_eq!((first.counts, first.operations), (second.counts, second.operations));
    }
}
