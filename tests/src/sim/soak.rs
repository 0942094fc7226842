//! Many seeds over the cores at hand; each seed runs in one thread.

use super::{Counts, Loads, Outcome, run_with};
use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

thread_local! {
    static SEED: Cell<Option<(u64, usize)>> = const { Cell::new(None) };
    static LOADS: Cell<Loads> = const { Cell::new(Loads { transactions: false, compaction: false }) };
}

/// The command that shows what a seed does.
pub fn replay_command(seed: u64, nodes: usize) -> String {
    format!("cargo run -p duramen-tests --bin duramen-sim -- replay {seed} --nodes {nodes}")
}

/// Makes a panic name the seed that ran in its thread, also where a panic aborts the process.
pub fn name_seed_in_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        if let Some((seed, nodes)) = SEED.get() {
            let loads = LOADS.get();
            let with = [(loads.transactions, " --transactions"), (loads.compaction, " --compaction")];
            let with: String = with.iter().filter(|(is, _)| *is).map(|(_, with)| *with).collect();
            eprintln!("seed {seed} failed; replay it with:\n    {}{with}", replay_command(seed, nodes));
        }
    }));
}

/// Runs one seed, so that a panic names it.
pub fn run_named(seed: u64, nodes: usize, print: bool) -> Outcome {
    run_loaded(seed, nodes, print, Loads::default())
}

/// The same with more to carry, which is another run.
pub fn run_loaded(seed: u64, nodes: usize, print: bool, loads: Loads) -> Outcome {
    SEED.set(Some((seed, nodes)));
    LOADS.set(loads);
    let outcome = run_with(seed, nodes, print, loads);
    SEED.set(None);
    outcome
}

/// What many seeds came to.
#[derive(Debug, Default)]
pub struct Soaked {
    pub runs: u64,
    pub operations: u64,
    pub operations_min: u64,
    pub faults_min: u64,
    pub virtual_ns: u64,
    pub failed: Vec<u64>,
    pub counts: Counts,
}

/// Runs all seeds; stops early once some failed. Each thread begins with `begin`; `progress` is told of each that ended.
pub fn soak(
    seeds: Range<u64>,
    nodes: usize,
    threads: usize,
    begin: impl Fn() + Sync,
    progress: impl Fn(u64) + Sync,
) -> Soaked {
    soak_by(|seed| run_named(seed, nodes, false), seeds, threads, begin, progress)
}

/// The same, with any way to run a seed.
pub fn soak_by(
    run: impl Fn(u64) -> Outcome + Sync,
    seeds: Range<u64>,
    threads: usize,
    begin: impl Fn() + Sync,
    progress: impl Fn(u64) + Sync,
) -> Soaked {
    const FAILURES_MAX: usize = 3;
    let next = AtomicU64::new(seeds.start);
    let enough = AtomicBool::new(false);
    let soaked = Mutex::new(Soaked { operations_min: u64::MAX, faults_min: u64::MAX, ..Soaked::default() });
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                begin();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || enough.load(Ordering::Relaxed) {
                        break;
                    }
                    let outcome = catch_unwind(AssertUnwindSafe(|| run(seed)));
                    let mut soaked = soaked.lock().expect("no panic while it is held");
                    match outcome {
                        Ok(outcome) => soaked.add(&outcome),
                        Err(_) => soaked.failed.push(seed),
                    }
                    enough.fetch_or(soaked.failed.len() >= FAILURES_MAX, Ordering::Relaxed);
                    drop(soaked);
                    progress(seed);
                }
            });
        }
    });
    soaked.into_inner().expect("no panic while it was held")
}

impl Soaked {
    /// A line for people: how much was tried, and how much faster than in real time.
    pub fn summary(&self, nodes: usize, took: Duration) -> String {
        let virtual_hours = self.virtual_ns as f64 / 3.6e12;
        format!(
            "{} seeds of {nodes}, {} operations, {virtual_hours:.1} virtual hours in {took:.1?}: {:.0} in an hour",
            self.runs,
            self.operations,
            virtual_hours * 3600.0 / took.as_secs_f64(),
        )
    }

    fn add(&mut self, outcome: &Outcome) {
        self.runs += 1;
        self.operations += outcome.operations;
        self.operations_min = self.operations_min.min(outcome.operations);
        self.faults_min = self.faults_min.min(outcome.faults);
        self.virtual_ns += outcome.virtual_ns;
        self.counts.merge(&outcome.counts);
    }
}
