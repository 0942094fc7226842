//! `transact`: how many transactions a second, how long a commit takes, and what the same records cost outside.

use super::brokers::Brokers;
use super::trouble::NotDone;
use super::txn_producer::{TxnEnd, TxnLevel, TxnProducer};
use crate::clock::{self, now_ns};
use crate::cluster::bootstrap::Bootstrap;
use crate::cluster::directory::Directory;
use crate::cluster::topics;
use crate::interrupt;
use crate::options::Rate;
use crate::output::Output;
use crate::output::progress::milliseconds;
use crate::stats::spread::{Spread, Summary};
use crate::trouble::{Outcome, Trouble};
use crate::workload::Workload;
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A transaction of a load that is left behind is aborted after so long.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a transaction is.
#[derive(Args, Clone, Copy, Debug)]
pub struct TransactShape {
    /// Partitions that each transaction writes a record to, by turns
    #[arg(long, value_name = "N", default_value_t = 1)]
    partitions_per_transaction: u32,
    /// The protocol of transactions: 2 (KIP-890) or 1
    #[arg(long, value_name = "1|2", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=2))]
    protocol: u8,
    /// The same requests by idempotent producers, without transactions
    #[arg(long)]
    outside: bool,
}

impl TransactShape {
    fn level(self) -> TxnLevel {
        match (self.outside, self.protocol) {
            (true, _) => TxnLevel::Outside,
            (false, 1) => TxnLevel::One,
            (false, _) => TxnLevel::Two,
        }
    }
}

/// What it was asked to do.
pub struct TransactLoad {
    pub bootstrap: Bootstrap,
    pub workload: Workload,
    pub shape: TransactShape,
}

/// What all clients counted.
#[derive(Debug, Default)]
struct Counted {
    done: AtomicU64,
    failed: AtomicU64,
    is_over: AtomicBool,
    /// From the first request to the last answer, and of the commit alone.
    spreads: Mutex<(Spread, Spread)>,
    failure: Mutex<Option<String>>,
}

#[derive(Serialize)]
struct ResultLine {
    r#type: &'static str,
    command: &'static str,
    inside: bool,
    protocol: u8,
    partitions_per_transaction: u32,
    producers: u32,
    seconds: f64,
    transactions: u64,
    failed: u64,
    per_second: f64,
    transaction_us: Summary,
    commit_us: Summary,
}

impl TransactLoad {
    pub fn run(&self, output: &mut Output) -> Outcome<()> {
        let most = self.workload.all_partitions();
        if !(1..=most).contains(&self.shape.partitions_per_transaction) {
            return Err(Trouble::Usage(format!("--partitions-per-transaction must be from 1 to {most}")));
        }
        let directory = Directory::new(self.bootstrap.clone(), &self.workload);
        topics::prepare(&directory, &self.workload)?;
        let server = Arc::clone(&directory);
        let thread = std::thread::Builder::new().name("directory".into()).spawn(move || server.serve());
        let thread = thread.map_err(|error| Trouble::Cluster(format!("no thread for metadata: {error}")))?;
        let counted = Counted::default();
        let seconds = self.measured(&directory, &counted, output);
        directory.stop();
        thread.join().expect("the directory does not panic");
        self.tell(output, &counted, seconds)?;
        match counted.failure.into_inner().expect("no thread panics while it holds this") {
            Some(why) => Err(Trouble::Run(why)),
            None => Ok(()),
        }
    }

    /// Seconds that were measured, after the warm-up.
    fn measured(&self, directory: &Arc<Directory>, counted: &Counted, output: &Output) -> f64 {
        let begin = Instant::now() + Duration::from_secs_f64(self.workload.warmup_seconds);
        let end = begin + Duration::from_secs_f64(self.workload.seconds.min(1e9));
        std::thread::scope(|scope| {
            for number in 0..self.workload.producers {
                scope.spawn(move || {
                    if let Err(why) = self.client(directory, counted, number, begin) {
                        let mut failure =
                            counted.failure.lock().expect("no thread panics while it holds this");
                        failure.get_or_insert(format!("client {number}: {why}"));
                        counted.is_over.store(true, Relaxed);
                    }
                });
            }
            let mut before = 0;
            let mut next = Instant::now() + Duration::from_secs(1);
            while Instant::now() < end && !interrupt::is_asked() && !counted.is_over.load(Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
                if Instant::now() >= next {
                    next += Duration::from_secs(1);
                    let done = counted.done.load(Relaxed);
                    output.say(&format!("{} transactions/s", done - before));
                    before = done;
                }
            }
            counted.is_over.store(true, Relaxed);
            begin.elapsed().as_secs_f64()
        })
    }

    fn client(
        &self,
        directory: &Arc<Directory>,
        counted: &Counted,
        number: u32,
        begin: Instant,
    ) -> Result<(), NotDone> {
        let patience = Duration::from_secs_f64(self.workload.retry_seconds.min(1e6));
        let brokers = Brokers::new(directory, self.workload.partitions);
        let id = format!("{}-transact-{number}", self.workload.topic);
        let mut producer = TxnProducer::new(brokers, &id, self.shape.level(), patience, TIMEOUT);
        producer.init()?;
        let all = self.workload.all_partitions();
        let pace = match self.workload.rate {
            Rate::Max => Duration::ZERO,
            Rate::PerSecond(rate) => Duration::from_secs_f64(f64::from(self.workload.producers) / rate),
        };
        // Clients are not in step.
        let mut intended = Instant::now() + pace * number / self.workload.producers.max(1);
        let mut first = number % all;
        let (mut whole, mut commit) = (Spread::default(), Spread::default());
        while !counted.is_over.load(Relaxed) {
            std::thread::sleep(intended.saturating_duration_since(Instant::now()));
            let from = if pace.is_zero() { Instant::now() } else { intended };
            intended += pace;
            let keys = (0..self.shape.partitions_per_transaction).map(|at| (first + at) % all);
            let values: BTreeMap<u32, Vec<Vec<u8>>> =
                keys.map(|key| (key, vec![vec![b'x'; self.workload.record_bytes]])).collect();
            first = (first + self.shape.partitions_per_transaction) % all;
            producer.send(&values)?;
            let committing_ns = now_ns();
            match producer.end(true) {
                (TxnEnd::Done, _) => {}
                (_, why) => {
                    counted.failed.fetch_add(1, Relaxed);
                    if why.is_some_and(|why| !why.may_pass()) {
                        producer.init()?;
                    }
                    continue;
                }
            }
            if from < begin {
                continue;
            }
            counted.done.fetch_add(1, Relaxed);
            whole.record(clock::ns(from.elapsed()), 1);
            commit.record(now_ns() - committing_ns, 1);
        }
        let mut spreads = counted.spreads.lock().expect("no thread panics while it holds this");
        spreads.0.add(&whole);
        spreads.1.add(&commit);
        Ok(())
    }

    fn tell(&self, output: &mut Output, counted: &Counted, seconds: f64) -> Outcome<()> {
        let spreads = counted.spreads.lock().expect("no thread panics while it holds this");
        let transactions = counted.done.load(Relaxed);
        let line = ResultLine {
            r#type: "result",
            command: "transact",
            inside: !self.shape.outside,
            protocol: self.shape.protocol,
            partitions_per_transaction: self.shape.partitions_per_transaction,
            producers: self.workload.producers,
            seconds,
            transactions,
            failed: counted.failed.load(Relaxed),
            per_second: transactions as f64 / seconds,
            transaction_us: spreads.0.summary(),
            commit_us: spreads.1.summary(),
        };
        output.line(&serde_json::to_string(&line).expect("plain figures are JSON"))?;
        let times =
            |spread: &Summary| format!("p50 {} p99 {}", milliseconds(spread.p50), milliseconds(spread.p99));
        output.text(&format!(
            "{} {} over {} partitions each by {} clients: {:.0}/s, whole {}, commit {}, {} failed",
            transactions,
            if self.shape.outside { "rounds outside of transactions" } else { "transactions" },
            line.partitions_per_transaction,
            line.producers,
            line.per_second,
            times(&line.transaction_us),
            times(&line.commit_us),
            line.failed
        ));
        Ok(())
    }
}
