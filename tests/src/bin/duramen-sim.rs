//! Replays one seed of the simulator with a readable trace, or runs many.

use clap::{Parser, Subcommand};
use engine::planted::{ALL, Bug, plant};
use std::time::Instant;
use tests::sim::Loads;
use tests::sim::soak::{name_seed_in_panics, run_loaded, soak_by};

/// The deterministic simulator of Duramen: one seed, one world, one trace.
#[derive(Parser)]
#[command(name = "duramen-sim")]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Runs one seed and prints every input and output with its virtual time.
    Replay {
        seed: u64,
        /// Nodes of the cluster: 1, 3 or 5.
        #[arg(long, default_value_t = 1)]
        nodes: usize,
        /// With transactional loops, too: another run of the seed.
        #[arg(long)]
        transactions: bool,
        /// With compacted topics, too.
        #[arg(long)]
        compaction: bool,
    },
    /// Runs `count` seeds from `first` on and prints how often each event happened.
    Soak {
        #[arg(default_value_t = 0)]
        first: u64,
        #[arg(default_value_t = 10_000)]
        count: u64,
        /// Nodes of the cluster: 1, 3 or 5.
        #[arg(long, default_value_t = 1)]
        nodes: usize,
        /// Threads; each seed runs in one.
        #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
        threads: usize,
        /// With transactional loops, too.
        #[arg(long)]
        transactions: bool,
        /// With compacted topics, too.
        #[arg(long)]
        compaction: bool,
        /// Plants a bug first (see `engine::planted`), to see whether it is caught.
        #[arg(long)]
        bug: Option<String>,
    },
}

/// The bug of this name.
fn named(name: &str) -> Bug {
    let found = ALL.into_iter().find(|bug| format!("{bug:?}") == name);
    found.unwrap_or_else(|| panic!("no such bug; there are {ALL:?}"))
}

fn main() {
    name_seed_in_panics();
    match Options::parse().what {
        What::Replay { seed, nodes, transactions, compaction } => {
            let outcome = run_loaded(seed, nodes, true, Loads { transactions, compaction });
            println!("{}", outcome.counts);
            println!("seed {seed} is fine; trace {:016x}, {} lines", outcome.trace_hash, outcome.trace_lines);
        }
        What::Soak { first, count, nodes, threads, transactions, compaction, bug } => {
            let begun = Instant::now();
            let bug = bug.map(|name| named(&name));
            let loads = Loads { transactions, compaction };
            let run = |seed| run_loaded(seed, nodes, false, loads);
            let soaked = soak_by(run, first..first + count, threads, || plant(bug), |_| {});
            println!("{}", soaked.counts);
            println!("{}", soaked.summary(nodes, begun.elapsed()));
            if !soaked.failed.is_empty() {
                println!("failed: {:?}", soaked.failed);
                std::process::exit(1);
            }
        }
    }
}
