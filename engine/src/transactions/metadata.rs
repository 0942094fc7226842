//! What is known of a transactional id, and how each step changes it: pure functions, Kafka's
//! rules. A step is only true once its record is committed.

use super::error::TransactionError;
use super::request::{ProducerEpoch, TopicPartition};
use super::state::State;
use crate::batch::Ending;
use crate::port::TransactionVersion;
use std::collections::BTreeSet;

/// What clients never see: so that the last producer of an id can be fenced, too.
pub const EPOCH_MAX: i16 = i16::MAX;

/// Whether a new producer id is wanted before the next epoch.
pub fn is_exhausted(epoch: i16) -> bool {
    epoch >= EPOCH_MAX - 1
}

/// One transactional id, as its record has it.
///
/// Invariants: partitions only while it is open; an epoch never falls under one producer id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionMetadata {
    pub producer: i64,
    /// That of the step before: a client that did not hear of a new one may still name it. −1: none.
    pub previous_producer: i64,
    /// That which the producer was told and gets when the transaction is complete. −1: the same.
    pub next_producer: i64,
    /// −1: new, and not given to anybody.
    pub epoch: i16,
    /// That from which the producer itself went on (KIP-360). −1: none.
    pub last_epoch: i16,
    pub timeout_ms: i32,
    pub state: State,
    pub partitions: BTreeSet<TopicPartition>,
    pub updated_ms: i64,
    /// −1: no transaction since it was initialised.
    pub started_ms: i64,
    /// Which rules the client of the last step goes by: 0, or 2.
    pub client_version: i16,
}

pub fn version_number(version: TransactionVersion) -> i16 {
    match version {
        // As Kafka writes it for clients before KIP-890.
        TransactionVersion::One => 0,
        TransactionVersion::Two => 2,
    }
}

impl TransactionMetadata {
    /// A transactional id that nobody had.
    pub fn new(producer: i64, timeout_ms: i32, now_ms: i64) -> Self {
        Self {
            producer,
            previous_producer: -1,
            next_producer: -1,
            epoch: -1,
            last_epoch: -1,
            timeout_ms,
            state: State::Empty,
            partitions: BTreeSet::new(),
            updated_ms: now_ms,
            started_ms: -1,
            client_version: 0,
        }
    }

    pub fn version(&self) -> TransactionVersion {
        if self.client_version >= 2 { TransactionVersion::Two } else { TransactionVersion::One }
    }

    pub fn is_exhausted(&self) -> bool {
        is_exhausted(self.epoch)
    }

    /// Who the producer is told to be: after a transaction whose epochs ended, the next one.
    pub fn told(&self) -> ProducerEpoch {
        match self.next_producer {
            next if next >= 0 => ProducerEpoch { id: next, epoch: 0 },
            _ => ProducerEpoch { id: self.producer, epoch: self.epoch },
        }
    }

    fn step(&self, state: State, now_ms: i64) -> Self {
        let previous_producer = if self.epoch < 0 { -1 } else { self.producer };
        Self { previous_producer, state, updated_ms: now_ms, ..self.clone() }
    }

    fn emptied(&self, timeout_ms: i32, now_ms: i64) -> Self {
        Self { timeout_ms, partitions: BTreeSet::new(), started_ms: -1, ..self.step(State::Empty, now_ms) }
    }

    /// The next epoch for a producer that begins, or goes on from the one that it `expected`.
    pub fn bumped(
        &self,
        timeout_ms: i32,
        expected: Option<i16>,
        now_ms: i64,
    ) -> Result<Self, TransactionError> {
        let (epoch, last_epoch) = match expected {
            None => (self.epoch + 1, -1),
            Some(expected) if self.epoch < 0 || expected == self.epoch => (self.epoch + 1, self.epoch),
            // It did not hear the answer. Nobody else was initialised since: that would have made it −1.
            Some(expected) if expected == self.last_epoch && self.epoch < EPOCH_MAX => {
                (self.epoch, self.last_epoch)
            }
            Some(_) => return Err(TransactionError::ProducerFenced),
        };
        assert!(epoch < EPOCH_MAX, "an epoch above {} is nobody's", EPOCH_MAX - 1);
        Ok(Self { epoch, last_epoch, ..self.emptied(timeout_ms, now_ms) })
    }

    /// The epochs are used up: another producer id.
    pub fn rotated(&self, fresh: i64, timeout_ms: i32, was_expected: bool, now_ms: i64) -> Self {
        assert!(self.state.is_finished(), "a producer id is not changed in {:?}", self.state);
        let last_epoch = if was_expected { self.epoch } else { -1 };
        Self { producer: fresh, epoch: 0, last_epoch, ..self.emptied(timeout_ms, now_ms) }
    }

    pub fn with_partitions(
        &self,
        added: impl IntoIterator<Item = TopicPartition>,
        version: TransactionVersion,
        now_ms: i64,
    ) -> Self {
        let begins = self.state.is_finished();
        let mut next = self.step(State::Ongoing, now_ms);
        next.partitions.extend(added);
        next.client_version = version_number(version);
        if begins {
            next.started_ms = now_ms;
        }
        next
    }

    /// Its end is decided. With version 2 the epoch rises with that, so that what comes late
    /// belongs to no transaction; `fresh` is the producer id that follows where epochs end.
    pub fn prepared(
        &self,
        ending: Ending,
        version: TransactionVersion,
        fresh: Option<i64>,
        now_ms: i64,
    ) -> Self {
        let begins = self.state.is_finished();
        let mut next = self.step(State::Prepare(ending), now_ms);
        if version == TransactionVersion::Two {
            // One that was fenced at the last epoch but one is at the last already.
            next.epoch = self.epoch.saturating_add(1);
            next.last_epoch = self.epoch;
        }
        if begins {
            next.started_ms = now_ms;
        }
        next.next_producer = fresh.unwrap_or(-1);
        next.client_version = version_number(version);
        next
    }

    /// The producer that is there is fenced and its transaction aborted. The epoch between is
    /// never told to anybody.
    pub fn fenced(&self, now_ms: i64) -> Self {
        let between = Self { epoch: self.epoch.saturating_add(1), ..self.clone() };
        Self { last_epoch: -1, ..between.prepared(Ending::Abort, TransactionVersion::Two, None, now_ms) }
    }

    /// All markers are written.
    pub fn completed(&self, now_ms: i64) -> Self {
        let State::Prepare(ending) = self.state else { panic!("{:?} is not completed", self.state) };
        let mut next = self.step(State::Complete(ending), now_ms);
        next.partitions.clear();
        if self.next_producer >= 0 {
            // The client saw the last epoch but one, and then 0.
            (next.producer, next.epoch, next.next_producer) = (self.next_producer, 0, -1);
        }
        next
    }

    /// About what it takes in memory and as a record.
    pub fn bytes(&self) -> usize {
        64 + self.partitions.iter().map(|(topic, _)| topic.len() + 8).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: i16) -> TransactionMetadata {
        TransactionMetadata { epoch, ..TransactionMetadata::new(7, 1_000, 1) }
    }

    fn partition(number: i32) -> TopicPartition {
        ("t".into(), number)
    }

    #[test]
    fn a_new_producer_raises_the_epoch_and_one_that_goes_on_is_known_again() {
        let first = at(-1).bumped(1_000, None, 2).expect("new");
        assert_eq!((first.epoch, first.last_epoch, first.previous_producer), (0, -1, -1));
        let next = first.bumped(1_000, Some(0), 3).expect("it goes on");
        assert_eq!((next.epoch, next.last_epoch, next.previous_producer), (1, 0, 7));
        let repeat = next.bumped(1_000, Some(0), 4).expect("it did not hear the answer");
        assert_eq!((repeat.epoch, repeat.last_epoch), (1, 0));
        let other = next.bumped(1_000, None, 5).expect("another one begins");
        assert_eq!(other.bumped(1_000, Some(1), 6), Err(TransactionError::ProducerFenced));
    }

    #[test]
    fn version_1_keeps_the_epoch_and_version_2_raises_it() {
        let open = at(3).with_partitions([partition(0)], TransactionVersion::One, 5);
        assert_eq!((open.state, open.started_ms, open.epoch), (State::Ongoing, 5, 3));
        let more = open.with_partitions([partition(1)], TransactionVersion::One, 6);
        assert_eq!((more.partitions.len(), more.started_ms), (2, 5));
        let one = more.prepared(Ending::Commit, TransactionVersion::One, None, 7);
        assert_eq!((one.epoch, one.started_ms, one.version()), (3, 5, TransactionVersion::One));
        let two = more.prepared(Ending::Commit, TransactionVersion::Two, None, 7);
        assert_eq!((two.epoch, two.last_epoch), (4, 3));
        let done = two.completed(8);
        assert_eq!((done.state, done.partitions.len()), (State::Complete(Ending::Commit), 0));
        assert_eq!(done.told(), ProducerEpoch { id: 7, epoch: 4 });
    }

    #[test]
    fn epochs_that_end_go_on_under_another_producer_id() {
        let open = at(EPOCH_MAX - 1).with_partitions([partition(0)], TransactionVersion::Two, 5);
        assert!(open.is_exhausted());
        let ending = open.prepared(Ending::Commit, TransactionVersion::Two, Some(9), 6);
        assert_eq!((ending.producer, ending.epoch), (7, EPOCH_MAX), "markers are the old producer's");
        assert_eq!(ending.told(), ProducerEpoch { id: 9, epoch: 0 });
        let done = ending.completed(7);
        assert_eq!((done.producer, done.epoch, done.last_epoch), (9, 0, EPOCH_MAX - 1));
        assert_eq!((done.previous_producer, done.next_producer), (7, -1));
    }

    #[test]
    fn the_last_producer_can_be_fenced_too() {
        for (epoch, marked) in [(3, 5), (EPOCH_MAX - 2, EPOCH_MAX), (EPOCH_MAX - 1, EPOCH_MAX)] {
            let open = at(epoch).with_partitions([partition(0)], TransactionVersion::One, 5);
            let fenced = open.fenced(6);
            assert_eq!((fenced.state, fenced.epoch), (State::Prepare(Ending::Abort), marked));
        }
        let rotated = at(EPOCH_MAX).rotated(9, 1_000, false, 7);
        assert_eq!((rotated.producer, rotated.epoch, rotated.previous_producer), (9, 0, 7));
    }

    #[test]
    #[should_panic(expected = "is not completed")]
    fn what_is_not_prepared_is_not_completed() {
        at(0).completed(1);
    }
}
