//! Compacted topics in the simulator: their model holds among all faults, and what is to happen does.

use tests::sim::soak::{name_seed_in_panics, replay_command, run_loaded, soak_by};
use tests::sim::{Counts, Loads, compaction_scenes};

/// Of a lone node and of three.
const SEEDS: [(u64, usize); 2] = [(24, 1), (12, 3)];
const MUST_HAPPEN: &[&str] = &[
    "run made",
    "run made of a run",
    "run read",
    "run deleted",
    "run fetched",
    "run fetched from its begin",
    "run that is read is on a majority",
    "runs compared",
    "pass: record superseded",
    "pass: tombstone dropped",
    "pass: aborted record dropped",
    "pass: marker dropped",
    "pass: map full",
    "pass: delete horizon set",
    "pass: batch written again",
    "compaction: emptied batch read",
    "compaction: transaction ended",
    "compaction: partition read whole",
];

#[test]
fn seeds_with_compacted_topics_hold_every_promise() {
    name_seed_in_panics();
    let mut counts = Counts::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for (seeds, nodes) in SEEDS {
        let loads = Loads { compaction: true, ..Loads::default() };
        let run = |seed| run_loaded(seed, nodes, false, loads);
        let soaked = soak_by(run, 0..seeds, threads, || {}, |_| {});
        let commands = soaked.failed.iter().map(|seed| replay_command(*seed, nodes) + " --compaction");
        let commands: Vec<String> = commands.collect();
        assert!(commands.is_empty(), "seeds failed:\n    {}", commands.join("\n    "));
        counts.merge(&soaked.counts);
    }
    println!("{counts}");
    let missing = counts.missing(MUST_HAPPEN);
    assert!(missing.is_empty(), "never happened: {missing:?}");
}

#[test]
fn a_run_that_nobody_can_give_is_void_and_its_inputs_stay() {
    (0..3).for_each(compaction_scenes::a_run_that_nobody_gives);
}
