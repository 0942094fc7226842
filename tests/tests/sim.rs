//! The simulator's gate: thousands of seeds, every named event met, one trace per seed.

use std::time::Instant;
use tests::sim::soak::{name_seed_in_panics, replay_command, run_named, soak};

const SEEDS: u64 = 2_000;
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
    "crash while recovering: read checkpoint",
    "crash while recovering: read index",
    "crash while recovering: read segment",
    "crash while recovering: write segment",
    "crash while recovering: sync segment",
    "crash while recovering: write hard-state",
    "crash while recovering: sync hard-state",
    "crash while recovering: sync folder journal folder",
    "crash while recovering: write temporary file",
];

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn thousands_of_seeds_hold_every_promise() {
    name_seed_in_panics();
    let begun = Instant::now();
    let soaked = soak(0..SEEDS, threads(), |_| {});
    println!("{}", soaked.counts);
    println!("{} seeds, {} operations, {:.1?}", soaked.runs, soaked.operations, begun.elapsed());
    let commands: Vec<String> = soaked.failed.iter().map(|seed| replay_command(*seed)).collect();
    assert!(soaked.failed.is_empty(), "seeds failed:\n    {}", commands.join("\n    "));
    assert!(soaked.operations_min >= 500, "a seed had only {} client operations", soaked.operations_min);
    assert!(soaked.faults_min >= 3, "a seed had only {} faults", soaked.faults_min);
    let missing = soaked.counts.missing(MUST_HAPPEN);
    assert!(missing.is_empty(), "never happened: {missing:?}");
}

#[test]
fn one_seed_gives_one_trace() {
    for seed in 10_000..10_010 {
        let (first, second) = (run_named(seed, false), run_named(seed, false));
        assert_eq!(first.trace_hash, second.trace_hash, "seed {seed}: {} lines", first.trace_lines);
        assert_eq!((first.counts, first.operations), (second.counts, second.operations));
    }
}
