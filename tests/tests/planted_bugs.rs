//! The simulator's checks catch what they are for: each of these bugs, planted in the engine, is
//! found within two hundred seeds.

use engine::planted::{ALL, Bug, plant};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tests::sim::run;

const SEEDS_MAX: u64 = 200;

/// What was cut for damage others may still have; the other bugs show in clusters, where nodes lead
/// in turn.
fn nodes_for(bug: Bug) -> usize {
    if bug == Bug::DamageCut { 1 } else { 3 }
}

/// The first seed that fails with this bug.
fn caught(bug: Bug) -> Option<u64> {
    plant(Some(bug));
    let fails = |seed: &u64| catch_unwind(AssertUnwindSafe(|| run(*seed, nodes_for(bug), false))).is_err();
    let seed = (0..SEEDS_MAX).find(fails);
    plant(None);
    seed
}

#[test]
fn every_planted_bug_is_caught_within_two_hundred_seeds() {
    std::panic::set_hook(Box::new(|_| {}));
    let results: Vec<(Bug, Option<u64>)> = std::thread::scope(|scope| {
        let hunts = ALL.map(|bug| scope.spawn(move || (bug, caught(bug))));
        hunts.into_iter().map(|hunt| hunt.join().expect("panics are caught")).collect()
    });
    let _ = std::panic::take_hook();
    for (bug, seed) in &results {
        println!("{bug:?}: {}", seed.map_or("not caught".to_owned(), |seed| format!("seed {seed}")));
    }
    let missed: Vec<_> = results.iter().filter(|(_, seed)| seed.is_none()).map(|(bug, _)| bug).collect();
    assert!(missed.is_empty(), "nobody noticed {missed:?}");
}
