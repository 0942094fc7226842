//! A writer: transactions of one to four steps, each a send or a read; some are aborted, some are left behind by a
//! client that crashes and is replaced by another with its transactional id, which must find them aborted.

use super::book::HistoryBook;
use super::value;
use crate::transactions::brokers::Brokers;
use crate::transactions::isolated_reader::IsolatedReader;
use crate::transactions::trouble::NotDone;
use crate::transactions::txn_producer::{TxnEnd, TxnLevel, TxnProducer};
use crate::verify::jepsen::history::{Key, Operation, Outcome, Step, Value};
use fastrand::Rng;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What a client of a chapter needs to know.
#[derive(Clone, Debug)]
pub struct Terms {
    pub record_bytes: usize,
    /// A transactional client's own partitions.
    pub written: std::ops::Range<Key>,
    /// The others'.
    pub copies: std::ops::Range<Key>,
    /// Where the chapter begins.
    pub begin: Vec<i64>,
    pub patience: Duration,
    pub timeout: Duration,
    /// From one transaction of a writer to its next.
    pub pace: Duration,
}

/// See the head of this file.
#[derive(Debug)]
pub struct TxnWriter<'a> {
    pub book: &'a HistoryBook,
    pub terms: &'a Terms,
    pub producer: TxnProducer,
    pub reader: IsolatedReader,
    pub rng: Rng,
}

/// How a client leaves a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaves {
    Commits,
    Aborts,
    /// Without a word.
    Crashes,
}

impl<'a> TxnWriter<'a> {
    pub fn new(
        book: &'a HistoryBook,
        terms: &'a Terms,
        number: u32,
        id: &str,
        brokers: impl Fn() -> Brokers,
    ) -> Self {
        let level = if number.is_multiple_of(2) { TxnLevel::Two } else { TxnLevel::One };
        let producer = TxnProducer::new(brokers(), id, level, terms.patience, terms.timeout);
        let mut reader = IsolatedReader::new(brokers(), true);
        let all = 0..terms.copies.end;
        reader.positions = all.map(|key| (key, terms.begin[key as usize])).collect();
        Self { book, terms, producer, reader, rng: Rng::with_seed(book.run ^ u64::from(number)) }
    }

    /// Until no more is to be written; then nothing of it is open.
    pub fn run(&mut self) -> Result<(), NotDone> {
        self.producer.init()?;
        let mut process = self.book.process();
        let mut next = Instant::now();
        while self.book.may_write() {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            next = (next + self.terms.pace).max(Instant::now());
            if !self.transact(process)? {
                self.producer.init()?;
                self.book.note_crash();
                process = self.book.process();
            }
        }
        // Whatever nobody answered is decided now.
        self.producer.init()
    }

    /// One transaction; false: this client is of no more use.
    fn transact(&mut self, process: u32) -> Result<bool, NotDone> {
        let (mut steps, mut failure) = (Vec::new(), None);
        for _ in 0..self.rng.u32(1..=4) {
            if self.rng.u32(0..4) == 0 {
                let (fetched, _) = self.reader.poll(0);
                steps.push(self.book.poll(fetched));
            } else if let Err(why) = self.send(&mut steps) {
                failure = Some(why);
                break;
            }
        }
        let leaves = match self.rng.u32(0..100) {
            _ if failure.is_some() => Leaves::Aborts,
            0..80 => Leaves::Commits,
            80..95 => Leaves::Aborts,
            _ => Leaves::Crashes,
        };
        let ended = match leaves {
            Leaves::Crashes => None,
            Leaves::Aborts => Some(self.producer.end(false)),
            Leaves::Commits => Some(self.producer.end(true)),
        };
        let (outcome, goes_on) = match (leaves, ended) {
            (Leaves::Commits, Some((TxnEnd::Done, _))) => (Outcome::Ok, true),
            (Leaves::Commits, Some((TxnEnd::Unknown, _))) => (Outcome::Unknown, false),
            (Leaves::Commits, _) | (Leaves::Crashes, _) => (Outcome::Failed, false),
            // Nobody asked for a commit, whatever became of the abort.
            (Leaves::Aborts, ended) => (Outcome::Failed, matches!(ended, Some((TxnEnd::Done, _)))),
        };
        steps.retain(|step| !matches!(step, Step::Poll { read } if read.is_empty()));
        if !steps.is_empty() {
            self.book.wrote(Operation { process, outcome, steps });
        }
        Ok(goes_on)
    }

    /// Some values to some partitions; what was perhaps sent is a step, with its offset where the broker said it.
    fn send(&mut self, steps: &mut Vec<Step>) -> Result<(), NotDone> {
        let mut values = BTreeMap::<Key, Vec<Value>>::new();
        for _ in 0..self.rng.u32(1..=3) {
            let key = self.rng.u32(self.terms.written.clone());
            values.entry(key).or_default().push(self.book.value());
        }
        let sent = sends(&mut self.producer, self.book.run, self.terms.record_bytes, &values);
        let (offsets, result) = match sent {
            Ok(offsets) => (offsets, Ok(())),
            Err(why) => (BTreeMap::new(), Err(why)),
        };
        steps.extend(told(&values, &offsets));
        result
    }
}

/// Sends values as records; gives the first offset by partition.
pub fn sends(
    producer: &mut TxnProducer,
    run: u64,
    record_bytes: usize,
    values: &BTreeMap<Key, Vec<Value>>,
) -> Result<BTreeMap<Key, Option<i64>>, NotDone> {
    let record = |value: &Value| value::write(run, *value, record_bytes);
    let records = values.iter().map(|(key, values)| (*key, values.iter().map(record).collect()));
    producer.send(&records.collect())
}

/// What was sent, in the order in which it stands.
pub fn told(values: &BTreeMap<Key, Vec<Value>>, offsets: &BTreeMap<Key, Option<i64>>) -> Vec<Step> {
    let mut steps = Vec::new();
    for (key, values) in values {
        let first = offsets.get(key).copied().flatten();
        for (at, value) in values.iter().enumerate() {
            let offset = first.map(|first| first + at as i64);
            steps.push(Step::Send { key: *key, value: *value, offset });
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_its_place_in_the_batch() {
        let values = [(1, vec![10, 11]), (2, vec![20])].into();
        let steps = told(&values, &[(1, Some(5)), (2, None)].into());
        let send = |key, value, offset| Step::Send { key, value, offset };
        assert_eq!(steps, [send(1, 10, Some(5)), send(1, 11, Some(6)), send(2, 20, None)]);
    }
}
