//! A copier: a member of a group that reads what is committed, and writes a copy of each value and the group's offsets
//! in one transaction. Each value is copied once, whoever crashes.

use super::book::HistoryBook;
use super::value::copy_of;
use super::writer::{Terms, sends, told};
use crate::transactions::brokers::Brokers;
use crate::transactions::isolated_reader::IsolatedReader;
use crate::transactions::member::GroupMember;
use crate::transactions::trouble::NotDone;
use crate::transactions::txn_producer::{TxnEnd, TxnLevel, TxnProducer};
use crate::verify::jepsen::history::{Key, Operation, Outcome, Step, Value};
use fastrand::Rng;
use std::collections::BTreeMap;

/// How long it waits for something to copy.
const WAIT_MS: i32 = 50;

/// See the head of this file.
#[derive(Debug)]
pub struct TxnCopier<'a> {
    pub book: &'a HistoryBook,
    pub terms: &'a Terms,
    producer: TxnProducer,
    reader: IsolatedReader,
    member: GroupMember,
    rng: Rng,
}

/// What comes after a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    GoesOn,
    /// From what is committed.
    GoesBack,
    /// Another client takes over.
    IsReplaced,
}

impl<'a> TxnCopier<'a> {
    pub fn new(
        book: &'a HistoryBook,
        terms: &'a Terms,
        number: u32,
        (id, group): (&str, &str),
        brokers: impl Fn() -> Brokers,
    ) -> Self {
        let level = if number.is_multiple_of(2) { TxnLevel::Two } else { TxnLevel::One };
        let producer = TxnProducer::new(brokers(), id, level, terms.patience, terms.timeout);
        let reader = IsolatedReader::new(brokers(), true);
        let member = GroupMember::new(brokers(), group, terms.written.clone().collect(), terms.patience);
        let rng = Rng::with_seed(!book.run ^ u64::from(number));
        Self { book, terms, producer, reader, member, rng }
    }

    /// Until no more is to be copied; then nothing of it is open.
    pub fn run(&mut self) -> Result<(), NotDone> {
        self.producer.init()?;
        let mut process = self.book.process();
        let mut assigned = Vec::new();
        let mut is_member = false;
        while self.book.may_copy() {
            if !is_member {
                assigned = self.member.join()?;
                self.go_back(process, &assigned)?;
            }
            is_member = self.member.beat();
            if !is_member {
                continue;
            }
            match self.round(process) {
                Next::GoesOn => {}
                Next::GoesBack => self.go_back(process, &assigned)?,
                Next::IsReplaced => {
                    self.producer.init()?;
                    self.book.note_crash();
                    process = self.book.process();
                    self.go_back(process, &assigned)?;
                }
            }
        }
        self.member.leave();
        self.producer.init()
    }

    /// To what is committed, once nobody's transaction may change it.
    fn go_back(&mut self, process: u32, assigned: &[Key]) -> Result<(), NotDone> {
        let committed = self.member.committed(assigned)?;
        let from = |key: &Key| {
            (*key, self.terms.begin[*key as usize].max(committed.get(key).copied().unwrap_or(-1)))
        };
        self.reader.positions = assigned.iter().map(from).collect();
        self.book.wrote(Operation { process, outcome: Outcome::Ok, steps: vec![Step::Moved] });
        Ok(())
    }

    fn round(&mut self, process: u32) -> Next {
        let (fetched, trouble) = self.reader.poll(WAIT_MS);
        if trouble.is_some() && fetched.is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(WAIT_MS as u64));
        }
        if fetched.is_empty() {
            return Next::GoesOn;
        }
        let poll = self.book.poll(fetched);
        let Step::Poll { read } = &poll else { unreachable!("a poll is one") };
        let mut copies = BTreeMap::<Key, Vec<Value>>::new();
        for (key, records) in read {
            let to = key - self.terms.written.start + self.terms.copies.start;
            // What is none of the run's values is judged where it is read.
            let values = records.iter().map(|(_, value)| *value).filter(|value| value.leading_zeros() > 0);
            copies.entry(to).or_default().extend(values.map(copy_of));
        }
        copies.retain(|_, values| !values.is_empty());
        let positions: BTreeMap<Key, i64> =
            read.keys().map(|key| (*key, self.reader.positions[key])).collect();
        let copied = sends(&mut self.producer, self.book.run, self.terms.record_bytes, &copies);
        let (offsets, sent) = match copied {
            Ok(offsets) => (offsets, Ok(())),
            Err(why) => (BTreeMap::new(), Err(why)),
        };
        let steps = std::iter::once(poll).chain(told(&copies, &offsets)).collect();
        let sent = sent.and_then(|()| self.producer.send_offsets(&self.member.place(), &positions));
        let (outcome, next) = self.leave(sent.is_ok());
        if outcome == Outcome::Ok {
            self.book.note_copies(copies.values().map(Vec::len).sum());
        }
        self.book.wrote(Operation { process, outcome, steps });
        next
    }

    fn leave(&mut self, may_commit: bool) -> (Outcome, Next) {
        let dice = self.rng.u32(0..100);
        if may_commit && dice >= 96 {
            return (Outcome::Failed, Next::IsReplaced);
        }
        if may_commit && dice < 88 {
            return match self.producer.end(true).0 {
                TxnEnd::Done => (Outcome::Ok, Next::GoesOn),
                TxnEnd::Refused => (Outcome::Failed, Next::IsReplaced),
                TxnEnd::Unknown => (Outcome::Unknown, Next::IsReplaced),
            };
        }
        match self.producer.end(false).0 {
            TxnEnd::Done => (Outcome::Failed, Next::GoesBack),
            _ => (Outcome::Failed, Next::IsReplaced),
        }
    }
}
