//! Readers: of what is committed, and of all; now and then one begins anew somewhere else. And the last one, which
//! reads each partition to its end.

use super::book::HistoryBook;
use super::writer::Terms;
use crate::transactions::isolated_reader::IsolatedReader;
use crate::transactions::trouble::{NotDone, Patience};
use crate::verify::jepsen::history::{Key, Operation, Outcome, Step};
use fastrand::Rng;
use std::collections::BTreeMap;
use std::time::Duration;

const WAIT_MS: i32 = 100;
/// Polls between two moves, at most.
const POLLS_MAX: u32 = 200;
/// Readers that got nothing ask again after so long.
const PAUSE: Duration = Duration::from_millis(50);

/// See the head of this file.
#[derive(Debug)]
pub struct TxnWatcher<'a> {
    pub book: &'a HistoryBook,
    pub terms: &'a Terms,
    pub reader: IsolatedReader,
    pub is_dirty: bool,
    pub rng: Rng,
}

impl TxnWatcher<'_> {
    pub fn run(&mut self) {
        let process = self.book.process();
        while self.book.may_read() {
            self.assign(process);
            for _ in 0..self.rng.u32(1..=POLLS_MAX) {
                if !self.book.may_read() {
                    break;
                }
                let (fetched, trouble) = self.reader.poll(WAIT_MS);
                if trouble.is_some() {
                    std::thread::sleep(PAUSE);
                }
                if !fetched.is_empty() {
                    let step = self.book.poll(fetched);
                    self.wrote(process, step);
                }
            }
        }
    }

    fn wrote(&self, process: u32, step: Step) {
        let operation = Operation { process, outcome: Outcome::Ok, steps: vec![step] };
        if self.is_dirty { self.book.wrote_dirty(operation) } else { self.book.wrote(operation) }
    }

    /// Some of the partitions: from where the chapter begins, or where it is.
    fn assign(&mut self, process: u32) {
        let before = std::mem::take(&mut self.reader.positions);
        for key in 0..self.terms.copies.end {
            let begin = self.terms.begin[key as usize];
            match self.rng.u32(0..10) {
                0 => drop(self.reader.positions.insert(key, begin)),
                1..8 => drop(self.reader.positions.insert(key, before.get(&key).copied().unwrap_or(begin))),
                _ => {}
            }
        }
        self.wrote(process, Step::Moved);
    }
}

/// Reads these partitions up to these offsets; fails when it does not get on for as long as it is patient.
pub fn read_to(
    book: &HistoryBook,
    reader: &mut IsolatedReader,
    ends: &BTreeMap<Key, i64>,
    patience: Duration,
) -> Result<BTreeMap<Key, Vec<(i64, u64)>>, String> {
    let (process, mut all) = (book.process(), BTreeMap::<Key, Vec<(i64, u64)>>::new());
    let mut patient = Patience::of(patience);
    loop {
        let behind = |reader: &IsolatedReader| {
            ends.iter().find(|(key, end)| reader.positions[*key] < **end).map(|(key, end)| (*key, *end))
        };
        let Some((key, end)) = behind(reader) else { return Ok(all) };
        let before = reader.positions.clone();
        let (fetched, trouble) = reader.poll(WAIT_MS);
        if !fetched.is_empty() {
            let step = book.poll(fetched);
            let Step::Poll { read } = &step else { unreachable!("a poll is one") };
            for (key, records) in read {
                all.entry(*key).or_default().extend_from_slice(records);
            }
            book.wrote(Operation { process, outcome: Outcome::Ok, steps: vec![step] });
        }
        if reader.positions == before {
            let why = trouble.unwrap_or_else(|| NotDone::NobodyThere("its leader gives nothing".into()));
            let told =
                format!("partition {key} did not get on from offset {}, of {end}: {why}", before[&key]);
            patient.wait(NotDone::Silence(why.to_string())).map_err(|_| told)?;
        } else {
            patient = Patience::of(patience);
        }
    }
}
