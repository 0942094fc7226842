//! One chapter: clients go until it is time; then each says what was open with it is decided, copies are made of all
//! that is committed, and every partition is read to its end.

use super::book::{HistoryBook, Tally};
use super::copier::TxnCopier;
use super::value::copy_of;
use super::watcher::{TxnWatcher, read_to};
use super::writer::{Terms, TxnWriter};
use crate::cluster::directory::Directory;
use crate::cluster::offsets::{self, End};
use crate::interrupt;
use crate::transactions::brokers::Brokers;
use crate::transactions::isolated_reader::IsolatedReader;
use crate::transactions::member::GroupMember;
use crate::transactions::trouble::NotDone;
use crate::trouble::{Outcome, Trouble};
use crate::verify::jepsen::history::{Key, Operation, Outcome as Happened, Step};
use crate::workload::Workload;
use fastrand::Rng;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// Members of the group that copies.
pub const COPIERS: u32 = 2;
/// How long a chapter goes at most: what is wrong is told soon.
const CHAPTER: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// See the head of this file.
pub struct Chapter<'a> {
    pub book: &'a HistoryBook,
    pub directory: &'a Arc<Directory>,
    pub workload: &'a Workload,
    pub terms: Terms,
    /// When the load ends.
    pub until: Instant,
    pub shows_all: bool,
}

/// What a chapter came to.
#[derive(Debug, Default)]
pub struct ChapterEnd {
    /// What copiers owe: a copy of each committed value.
    pub owed: Vec<Operation>,
    /// Where the next one begins.
    pub ends: Vec<i64>,
}

type Ran<'scope> = ScopedJoinHandle<'scope, ()>;

impl Chapter<'_> {
    fn brokers(&self) -> Brokers {
        Brokers::new(self.directory, self.workload.partitions)
    }

    fn patience(&self) -> Duration {
        self.terms.patience
    }

    /// Runs it to its end; `tick` is called all the time.
    pub fn run(&self, tick: &mut dyn FnMut(Tally)) -> Outcome<ChapterEnd> {
        self.book.begin_chapter();
        std::thread::scope(|scope| {
            let closed = self.clients(scope, tick);
            // Whatever it came to, nobody is left behind.
            self.book.stop_all();
            closed
        })
    }

    fn clients<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        tick: &mut dyn FnMut(Tally),
    ) -> Outcome<ChapterEnd> {
        let (book, topic) = (self.book, &self.workload.topic);
        let writer = |number: u32| {
            let id = format!("{topic}-writer-{number}");
            scope.spawn(move || {
                let mut writer = TxnWriter::new(book, &self.terms, number, &id, || self.brokers());
                writer.run().unwrap_or_else(|why| fail(book, &id, &why));
            })
        };
        let copier = |number: u32| {
            let (id, group) = (format!("{topic}-copier-{number}"), self.group());
            scope.spawn(move || {
                let mut copier = TxnCopier::new(book, &self.terms, number, (&id, &group), || self.brokers());
                copier.run().unwrap_or_else(|why| fail(book, &id, &why));
            })
        };
        let watcher = |number: u32, is_dirty: bool| {
            let reader = IsolatedReader::new(self.brokers(), !is_dirty && !self.shows_all);
            let rng = Rng::with_seed(book.run.rotate_left(17) ^ u64::from(number));
            scope.spawn(move || TxnWatcher { book, terms: &self.terms, reader, is_dirty, rng }.run())
        };
        let writers: Vec<Ran<'_>> = (0..self.workload.producers).map(writer).collect();
        let copiers: Vec<Ran<'_>> = (0..COPIERS).map(copier).collect();
        let readers = self.workload.consumers;
        let watchers: Vec<Ran<'_>> = (0..=readers).map(|number| watcher(number, number == readers)).collect();
        let until = self.until.min(Instant::now() + CHAPTER);
        while Instant::now() < until && book.may_write() && !book.is_full() && !interrupt::is_asked() {
            tick(book.told());
            std::thread::sleep(LOOK);
        }
        self.close(tick, writers, copiers, watchers)
    }

    fn group(&self) -> String {
        format!("{}-copiers", self.workload.topic)
    }

    fn close(
        &self,
        tick: &mut dyn FnMut(Tally),
        writers: Vec<Ran<'_>>,
        copiers: Vec<Ran<'_>>,
        watchers: Vec<Ran<'_>>,
    ) -> Outcome<ChapterEnd> {
        self.book.stop_writers();
        self.wait_for(&writers, tick);
        let mut closed = ChapterEnd::default();
        let committed = self.read_all(self.terms.written.clone(), tick, &mut closed)?;
        if self.book.failure().is_none() {
            self.wait_for_copies(&committed, tick)?;
            closed.owed = self.owed(&committed);
        }
        self.book.stop_copiers();
        self.wait_for(&copiers, tick);
        self.read_all(self.terms.copies.clone(), tick, &mut closed)?;
        self.book.stop_all();
        self.wait_for(&watchers, tick);
        Ok(closed)
    }

    fn wait_for(&self, clients: &[Ran<'_>], tick: &mut dyn FnMut(Tally)) {
        while !clients.iter().all(ScopedJoinHandle::is_finished) {
            tick(self.book.told());
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until everything there is decided, and reads it to its end.
    fn read_all(
        &self,
        keys: Range<Key>,
        tick: &mut dyn FnMut(Tally),
        closed: &mut ChapterEnd,
    ) -> Outcome<BTreeMap<Key, Vec<(i64, u64)>>> {
        let ends = self.wait_until_decided(&keys, tick)?;
        let mut reader = IsolatedReader::new(self.brokers(), true);
        reader.positions = keys.clone().map(|key| (key, self.terms.begin[key as usize])).collect();
        let wanted = keys.clone().map(|key| (key, ends[key as usize])).collect();
        let read = read_to(self.book, &mut reader, &wanted, self.patience());
        let read =
            read.map_err(|why| Trouble::Unread(format!("not everything could be read back: {why}")))?;
        assert_eq!(closed.ends.len(), keys.start as usize, "one topic after the other");
        closed.ends.extend(keys.map(|key| ends[key as usize]));
        Ok(read)
    }

    /// The ends of all partitions, once the stable offset of these is there.
    fn wait_until_decided(&self, keys: &Range<Key>, tick: &mut dyn FnMut(Tally)) -> Outcome<Vec<i64>> {
        let patience = Instant::now() + self.patience();
        loop {
            let list = |end| offsets::list(self.directory, self.workload.partitions, end, self.patience());
            let (ends, stable) = (list(End::Latest)?, list(End::Stable)?);
            let open = keys.clone().find(|key| stable[*key as usize] < ends[*key as usize]);
            let Some(key) = open else { return Ok(ends) };
            if Instant::now() > patience {
                let (stable, end) = (stable[key as usize], ends[key as usize]);
                return Err(Trouble::Unread(format!(
                    "partition {key}: its stable offset stands at {stable}, and it ends at {end}: a transaction that nobody \
                     has open is not ended"
                )));
            }
            tick(self.book.told());
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until the group's offsets are behind the last value of each partition.
    fn wait_for_copies(
        &self,
        committed: &BTreeMap<Key, Vec<(i64, u64)>>,
        tick: &mut dyn FnMut(Tally),
    ) -> Outcome<()> {
        let keys: Vec<Key> = self.terms.written.clone().collect();
        let mut asks = GroupMember::new(self.brokers(), &self.group(), keys.clone(), self.patience());
        let mut patience = Instant::now() + self.patience();
        let mut before = BTreeMap::new();
        loop {
            let unread = |why: NotDone| Trouble::Unread(format!("the copiers' offsets: {why}"));
            let at = asks.committed(&keys).map_err(unread)?;
            let behind = committed.iter().find_map(|(key, records)| {
                let (last, _) = records.last()?;
                at.get(key).is_none_or(|at| at <= last).then_some((*key, *last))
            });
            let Some((key, last)) = behind else { return Ok(()) };
            if self.book.failure().is_some() {
                return Ok(());
            }
            if at != before {
                patience = Instant::now() + self.patience();
            } else if Instant::now() > patience {
                let at = at.get(&key).copied().unwrap_or(-1);
                return Err(Trouble::Unread(format!(
                    "the copiers stand at offset {at} of partition {key}, whose last record is {last}"
                )));
            }
            before = at;
            tick(self.book.told());
            std::thread::sleep(LOOK);
        }
    }

    /// Exactly once: what is committed has its copy.
    fn owed(&self, committed: &BTreeMap<Key, Vec<(i64, u64)>>) -> Vec<Operation> {
        let copy = |key: Key, value: u64| Step::Send {
            key: key - self.terms.written.start + self.terms.copies.start,
            value: copy_of(value),
            offset: None,
        };
        let values =
            committed.iter().flat_map(|(key, records)| records.iter().map(|(_, value)| (*key, *value)));
        let steps: Vec<Step> = values
            .filter(|(_, value)| value.leading_zeros() > 0)
            .map(|(key, value)| copy(key, value))
            .collect();
        let owes = |steps| Operation { process: self.book.process(), outcome: Happened::Ok, steps };
        (!steps.is_empty()).then_some(steps).map(owes).into_iter().collect()
    }
}

fn fail(book: &HistoryBook, who: &str, why: &NotDone) {
    book.fail(format!("{who}: {why}"));
}
