//! The simulator's checks catch what they are for: each of these bugs, planted in the engine, is
//! found within two hundred seeds.

use engine::planted::{ALL, Bug, plant};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tests::sim::{Loads, run, run_with, scenes, transaction_scenes};

const SEEDS_MAX: u64 = 200;

/// What was cut for damage others may still have; the other bugs show in clusters, where nodes lead
/// in turn.
fn nodes_for(bug: Bug) -> usize {
    match bug {
        Bug::DamageCut | Bug::NewestOfKeyDropped | Bug::TombstoneOutlived | Bug::EndNotKept => 1,
        _ => 3,
    }
}

/// What would show it: where a disk lies and the right nodes are down at the right time a scene of its own.
fn act(bug: Bug, seed: u64) {
    match bug {
        Bug::StaleTailTaken => scenes::a_former_tail(seed),
        Bug::VoteByIndexAlone => scenes::voted_away_for_a_longer_log(seed),
        Bug::BadTailForgotten => scenes::voted_away(seed, false),
        Bug::MatchedKeptOverStart => scenes::sent_again(seed, false),
        Bug::OldCopyBelieved => scenes::an_old_copy(seed),
        Bug::AloneByFounders => scenes::a_lone_founder_that_grew(seed),
        Bug::AmnesiacBelieved => scenes::an_amnesiac_is_asked(seed),
        Bug::StableAboveOpen | Bug::AbortedForgotten | Bug::LateBatchTaken | Bug::OpenProducerForgotten => {
            transaction_scenes::decided(seed, 1)
        }
        Bug::PreparedForgotten | Bug::PendingOffsetShown | Bug::PendingTrimmed => {
            drop(run_with(seed, 1, false, Loads { transactions: true, ..Loads::default() }));
        }
        Bug::NewestOfKeyDropped | Bug::TombstoneOutlived | Bug::InputsDroppedEarly | Bug::EndNotKept => {
            drop(run_with(seed, nodes_for(bug), false, Loads { compaction: true, ..Loads::default() }));
        }
        other => drop(run(seed, nodes_for(other), false)),
    }
}

/// The first seed that fails with this bug.
fn caught(bug: Bug) -> Option<u64> {
    plant(Some(bug));
    let fails = |seed: &u64| catch_unwind(AssertUnwindSafe(|| act(bug, *seed))).is_err();
    let seed = (0..SEEDS_MAX).find(fails);
    plant(None);
    // Without the bug the same seed holds.
    seed.into_iter().for_each(|seed| act(bug, seed));
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
