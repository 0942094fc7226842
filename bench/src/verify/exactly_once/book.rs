//! What the clients of a chapter share: the history that they write, when to stop, and what is counted.

use crate::transactions::isolated_reader::FetchedValues;
use crate::verify::jepsen::history::{Key, Operation, Outcome, Step, Value};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

/// A chapter ends at so many operations: with its values by offset and by number it takes some 40 MB.
pub const OPERATIONS_MAX: usize = 40_000;

/// Since the run began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub committed: u64,
    pub aborted: u64,
    /// Nobody said what became of them.
    pub unknown: u64,
    /// Clients that were replaced.
    pub crashed: u64,
    pub sent: u64,
    pub read: u64,
    pub copied: u64,
}

#[derive(Debug, Default)]
struct Counters {
    committed: AtomicU64,
    aborted: AtomicU64,
    unknown: AtomicU64,
    crashed: AtomicU64,
    sent: AtomicU64,
    read: AtomicU64,
    copied: AtomicU64,
}

/// See the head of this file.
#[derive(Debug)]
pub struct HistoryBook {
    pub run: u64,
    /// In the order in which they ended.
    history: Mutex<Vec<Operation>>,
    /// What readers of uncommitted records saw.
    dirty: Mutex<Vec<Operation>>,
    next_process: AtomicU32,
    next_value: AtomicU64,
    counters: Counters,
    /// Writers begin nothing more.
    written: AtomicBool,
    /// Copiers neither.
    copied: AtomicBool,
    /// Readers neither.
    over: AtomicBool,
    failure: Mutex<Option<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics while it holds this")
}

impl HistoryBook {
    pub fn new(run: u64) -> Self {
        Self {
            run,
            history: Mutex::default(),
            dirty: Mutex::default(),
            next_process: AtomicU32::new(0),
            next_value: AtomicU64::new(1),
            counters: Counters::default(),
            written: AtomicBool::new(false),
            copied: AtomicBool::new(false),
            over: AtomicBool::new(false),
            failure: Mutex::default(),
        }
    }

    /// Another client.
    pub fn process(&self) -> u32 {
        self.next_process.fetch_add(1, Relaxed)
    }

    pub fn value(&self) -> Value {
        self.next_value.fetch_add(1, Relaxed)
    }

    /// A transaction, or what somebody read of what is committed.
    pub fn wrote(&self, operation: Operation) {
        let sends = operation.sends().count() as u64;
        let counters = &self.counters;
        counters.sent.fetch_add(sends, Relaxed);
        counters.read.fetch_add(operation.reads().count() as u64, Relaxed);
        if sends > 0 {
            let which = match operation.outcome {
                Outcome::Ok => &counters.committed,
                Outcome::Failed => &counters.aborted,
                Outcome::Unknown => &counters.unknown,
            };
            which.fetch_add(1, Relaxed);
        }
        lock(&self.history).push(operation);
    }

    pub fn wrote_dirty(&self, operation: Operation) {
        self.counters.read.fetch_add(operation.reads().count() as u64, Relaxed);
        lock(&self.dirty).push(operation);
    }

    pub fn note_crash(&self) {
        self.counters.crashed.fetch_add(1, Relaxed);
    }

    pub fn note_copies(&self, copies: usize) {
        self.counters.copied.fetch_add(copies as u64, Relaxed);
    }

    pub fn told(&self) -> Tally {
        let counters = &self.counters;
        Tally {
            committed: counters.committed.load(Relaxed),
            aborted: counters.aborted.load(Relaxed),
            unknown: counters.unknown.load(Relaxed),
            crashed: counters.crashed.load(Relaxed),
            sent: counters.sent.load(Relaxed),
            read: counters.read.load(Relaxed),
            copied: counters.copied.load(Relaxed),
        }
    }

    pub fn is_full(&self) -> bool {
        lock(&self.history).len() + lock(&self.dirty).len() >= OPERATIONS_MAX
    }

    /// Both histories; what comes next is another chapter's.
    pub fn take(&self) -> (Vec<Operation>, Vec<Operation>) {
        (std::mem::take(&mut *lock(&self.history)), std::mem::take(&mut *lock(&self.dirty)))
    }

    pub fn begin_chapter(&self) {
        assert!(lock(&self.history).is_empty(), "a chapter was judged before the next one");
        [&self.written, &self.copied, &self.over].iter().for_each(|flag| flag.store(false, Relaxed));
    }

    pub fn stop_writers(&self) {
        self.written.store(true, Relaxed);
    }

    pub fn stop_copiers(&self) {
        self.copied.store(true, Relaxed);
    }

    pub fn stop_all(&self) {
        [&self.written, &self.copied, &self.over].iter().for_each(|flag| flag.store(true, Relaxed));
    }

    pub fn may_write(&self) -> bool {
        !self.written.load(Relaxed)
    }

    pub fn may_copy(&self) -> bool {
        !self.copied.load(Relaxed)
    }

    pub fn may_read(&self) -> bool {
        !self.over.load(Relaxed)
    }

    /// Something went wrong for good: all stop.
    pub fn fail(&self, why: String) {
        lock(&self.failure).get_or_insert(why);
        self.stop_all();
    }

    pub fn failure(&self) -> Option<String> {
        lock(&self.failure).clone()
    }

    /// What was fetched, as a step of a history.
    pub fn poll(&self, fetched: FetchedValues) -> Step {
        let value = |(offset, record): (i64, Vec<u8>)| (offset, super::value::read(self.run, &record));
        let read: BTreeMap<Key, Vec<(i64, Value)>> = fetched
            .into_iter()
            .map(|(key, records)| (key, records.into_iter().map(value).collect()))
            .collect();
        Step::Poll { read }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_are_counted_by_what_became_of_them_and_given_once() {
        let book = HistoryBook::new(1);
        let send = |outcome| Operation {
            process: book.process(),
            outcome,
            steps: vec![Step::Send { key: 0, value: book.value(), offset: None }],
        };
        for outcome in [Outcome::Ok, Outcome::Failed, Outcome::Unknown] {
            book.wrote(send(outcome));
        }
        let poll = book.poll([(0, vec![(5, super::super::value::write(1, 9, 0))])].into());
        book.wrote_dirty(Operation { process: 9, outcome: Outcome::Ok, steps: vec![poll] });
        let told = book.told();
        assert_eq!((told.committed, told.aborted, told.unknown, told.sent, told.read), (1, 1, 1, 3, 1));
        let (history, dirty) = book.take();
        assert_eq!((history.len(), dirty.len()), (3, 1));
        assert_eq!(dirty[0].reads().collect::<Vec<_>>(), [(0, 5, 9)]);
        book.begin_chapter();
        assert!(book.may_write() && book.may_copy() && book.may_read() && !book.is_full());
    }

    #[test]
    fn a_failure_stops_all_and_the_first_one_is_told() {
        let book = HistoryBook::new(1);
        book.fail("first".into());
        book.fail("second".into());
        assert_eq!(book.failure().as_deref(), Some("first"));
        assert!(!book.may_write() && !book.may_copy() && !book.may_read());
    }
}
