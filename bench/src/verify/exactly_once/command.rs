//! The command: chapter after chapter, each judged before the next one begins.

use super::book::HistoryBook;
use super::chapter::Chapter;
use super::told::{Anomalies, Second};
use super::writer::Terms;
use crate::clock;
use crate::cluster::bootstrap::Bootstrap;
use crate::cluster::directory::Directory;
use crate::cluster::offsets::{self, End};
use crate::cluster::topics;
use crate::interrupt;
use crate::options::Rate;
use crate::output::Output;
use crate::transactions::brokers::Brokers;
use crate::transactions::txn_producer::{TxnLevel, TxnProducer};
use crate::trouble::{Outcome, Trouble};
use crate::verify::jepsen::check::{check, check_uncommitted};
use crate::workload::Workload;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A transaction that its client leaves is aborted after so long.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15);
/// The values that are written, and their copies.
pub const TOPICS: u32 = 2;

/// What it was asked to do.
pub struct ExactlyOnce<'a> {
    pub bootstrap: Bootstrap,
    pub workload: Workload,
    /// Takes the history of a chapter in which something was found.
    pub history: &'a Path,
    /// Readers of what is committed are shown all: a test of the test.
    pub shows_all: bool,
}

impl ExactlyOnce<'_> {
    /// Runs it all; anything found is an error.
    pub fn run(&self, output: &mut Output) -> Outcome<()> {
        assert_eq!(self.workload.topics, TOPICS, "values and their copies");
        let directory = Directory::new(self.bootstrap.clone(), &self.workload);
        topics::prepare(&directory, &self.workload)?;
        let server = Arc::clone(&directory);
        let thread = std::thread::Builder::new().name("directory".into()).spawn(move || server.serve());
        let thread = thread.map_err(|error| Trouble::Cluster(format!("no thread for metadata: {error}")))?;
        let ran = self.chapters(&directory, output);
        directory.stop();
        thread.join().expect("the directory does not panic");
        ran
    }

    fn chapters(&self, directory: &Arc<Directory>, output: &mut Output) -> Outcome<()> {
        let mut begin = self.begin(directory)?;
        let book = HistoryBook::new(fastrand::u64(..));
        let started = Instant::now();
        let until = started + Duration::from_secs_f64(self.workload.seconds.min(1e9));
        let (mut anomalies, mut chapters, mut ended) = (Anomalies::default(), 0, None);
        let mut seconds = Seconds { started, next: started, committed: 0 };
        while Instant::now() < until && !interrupt::is_asked() && ended.is_none() {
            chapters += 1;
            let terms = self.terms(begin);
            let chapter = Chapter {
                book: &book,
                directory,
                workload: &self.workload,
                terms,
                until,
                shows_all: self.shows_all,
            };
            let found = anomalies.count();
            let closed = chapter.run(&mut |told| seconds.tick(output, chapters, told, found))?;
            let (mut history, dirty) = book.take();
            history.splice(0..0, closed.owed);
            let mut found = check(&history);
            found.extend(check_uncommitted(&history, &dirty));
            anomalies.add(chapters, &found, (&history, &dirty), self.history)?;
            begin = closed.ends;
            ended = book.failure();
        }
        // Whoever interrupts the load wants to know what became of it.
        interrupt::heed();
        self.tell(output, &anomalies, chapters, &book)?;
        match (anomalies.count(), ended) {
            (0, None) => Ok(()),
            (0, Some(why)) => {
                Err(Trouble::Run(format!("no anomaly was found, but the run ended early: {why}")))
            }
            (found, _) => Err(Trouble::Findings(format!(
                "verify: {found} anomalies; the history is in {}",
                self.history.display()
            ))),
        }
    }

    fn terms(&self, begin: Vec<i64>) -> Terms {
        let Workload { partitions, rate, producers, .. } = self.workload;
        assert_eq!(begin.len(), (TOPICS * partitions) as usize, "every partition has a begin");
        let pace = match rate {
            Rate::Max => Duration::ZERO,
            Rate::PerSecond(rate) => Duration::from_secs_f64(f64::from(producers) / rate),
        };
        Terms {
            record_bytes: self.workload.record_bytes,
            written: 0..partitions,
            copies: partitions..2 * partitions,
            begin,
            patience: self.patience(),
            timeout: TRANSACTION_TIMEOUT,
            pace,
        }
    }

    fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.workload.retry_seconds.min(1e6))
    }

    /// Where all partitions end, once nothing that an earlier run left behind is open.
    fn begin(&self, directory: &Arc<Directory>) -> Outcome<Vec<i64>> {
        let topic = &self.workload.topic;
        let writers = (0..self.workload.producers).map(|number| format!("{topic}-writer-{number}"));
        let copiers = (0..super::chapter::COPIERS).map(|number| format!("{topic}-copier-{number}"));
        for id in writers.chain(copiers) {
            let brokers = Brokers::new(directory, self.workload.partitions);
            let mut producer =
                TxnProducer::new(brokers, &id, TxnLevel::Two, self.patience(), TRANSACTION_TIMEOUT);
            producer.init().map_err(|why| Trouble::Cluster(format!("{id} cannot be taken: {why}")))?;
        }
        let list = |end| offsets::list(directory, self.workload.partitions, end, self.patience());
        let patience = Instant::now() + self.patience();
        for tries in 1.. {
            let (ends, stable) = (list(End::Latest)?, list(End::Stable)?);
            if ends == stable {
                return Ok(ends);
            }
            if Instant::now() > patience {
                return Err(Trouble::Cluster(
                    "others have transactions open there: choose another --topic".into(),
                ));
            }
            std::thread::sleep(clock::backoff(tries));
        }
        unreachable!("the loop has no end of its own")
    }

    fn tell(
        &self,
        output: &mut Output,
        anomalies: &Anomalies,
        chapters: u32,
        book: &HistoryBook,
    ) -> Outcome<()> {
        let told = book.told();
        output.line(&anomalies.json(chapters, told))?;
        let mut text = format!(
            "{chapters} chapters: {} transactions committed, {} aborted, {} unknown; {} records sent, {} copied, {} read; \
             {} clients replaced\n",
            told.committed, told.aborted, told.unknown, told.sent, told.copied, told.read, told.crashed
        );
        for (name, count) in &anomalies.by_name {
            text += &format!("{name}: {count}\n");
        }
        for example in &anomalies.examples {
            text += &format!("{example}\n");
        }
        text += if anomalies.count() == 0 { "clean" } else { "NOT CLEAN" };
        output.text(&text);
        Ok(())
    }
}

/// Tells once a second.
struct Seconds {
    started: Instant,
    next: Instant,
    committed: u64,
}

impl Seconds {
    fn tick(&mut self, output: &mut Output, chapter: u32, told: super::book::Tally, anomalies: u64) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + Duration::from_secs(1);
        let at_seconds = now.duration_since(self.started).as_secs_f64();
        let second = Second { r#type: "transactions", at_seconds, chapter, told, anomalies };
        output.say(&second.line(self.committed));
        self.committed = told.committed;
        output.second(&serde_json::to_string(&second).expect("plain figures are JSON"));
    }
}
