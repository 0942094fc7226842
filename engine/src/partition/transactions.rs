//! A partition's transactions: which are open, and where there ever were any.
//!
//! Invariants:
//! - Each open transaction is its producer's, whose state says the same first offset, and no two begin at one offset.
//! - Below the first unstable offset everything is decided.

use crate::codec::{Reader, Short, Write};
use crate::ids::{Offset, ProducerId};
use std::collections::BTreeMap;

/// Transactions that a journal lets be open, over all of its partitions. Who has one is never forgotten (about 250 B
/// each); the first batch of one more waits for others to end.
pub const OPEN_MAX: usize = 65_536;

/// The open ones, and the bounds of those that were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transactions {
    open: BTreeMap<Offset, ProducerId>,
    /// Where the first one of all began; above all offsets when there was none.
    first: Offset,
    /// −1 when there was none.
    last_marker: Offset,
}

impl Default for Transactions {
    fn default() -> Self {
        Self { open: BTreeMap::new(), first: Offset(i64::MAX), last_marker: Offset(-1) }
    }
}

impl Transactions {
    /// There never was one.
    pub fn are_unknown(&self) -> bool {
        self.first == Offset(i64::MAX) && self.last_marker == Offset(-1)
    }

    pub fn open(&self) -> impl Iterator<Item = (Offset, ProducerId)> {
        self.open.iter().map(|(first, producer)| (*first, *producer))
    }

    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// Where the oldest open one begins.
    pub fn first_unstable(&self) -> Option<Offset> {
        self.open.first_key_value().map(|(first, _)| *first)
    }

    /// Whether a reader of these offsets may meet records of a transaction that was ended.
    pub fn may_concern(&self, from: Offset, to: Offset) -> bool {
        self.first < to && from <= self.last_marker
    }

    pub fn begin(&mut self, first: Offset, producer: ProducerId) {
        let before = self.open.insert(first, producer);
        assert!(before.is_none(), "two transactions begin at {first}: of {before:?} and of {producer:?}");
        self.first = self.first.min(first);
    }

    /// Ends the one that began at `first`, if any did, by a marker at `at`.
    pub fn end(&mut self, first: Option<Offset>, at: Offset) {
        if let Some(first) = first {
            let ended = self.open.remove(&first);
            assert!(ended.is_some(), "the transaction that began at {first} is not open");
        }
        self.last_marker = self.last_marker.max(at);
    }

    /// Those that are open stand with their producers.
    pub fn encode(&self, to: &mut Vec<u8>) {
        to.put_i64(self.first.0);
        to.put_i64(self.last_marker.0);
    }

    pub fn decode(from: &mut Reader<'_>) -> Result<Self, Short> {
        Ok(Self { open: BTreeMap::new(), first: Offset(from.i64()?), last_marker: Offset(from.i64()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_open_one_decides_what_is_stable() {
        let mut transactions = Transactions::default();
        assert!(transactions.are_unknown() && transactions.first_unstable().is_none());
        transactions.begin(Offset(10), ProducerId(1));
        transactions.begin(Offset(20), ProducerId(2));
        assert_eq!(transactions.first_unstable(), Some(Offset(10)));
        transactions.end(Some(Offset(10)), Offset(30));
        assert_eq!(transactions.first_unstable(), Some(Offset(20)));
        transactions.end(None, Offset(31));
        transactions.end(Some(Offset(20)), Offset(32));
        assert_eq!((transactions.first_unstable(), transactions.open_count()), (None, 0));
        assert!(!transactions.are_unknown());
    }

    #[test]
    fn only_offsets_between_the_first_one_and_the_last_marker_are_concerned() {
        let mut transactions = Transactions::default();
        assert!(!transactions.may_concern(Offset(0), Offset(i64::MAX)));
        transactions.begin(Offset(10), ProducerId(1));
        transactions.end(Some(Offset(10)), Offset(30));
        assert!(!transactions.may_concern(Offset(0), Offset(10)));
        assert!(transactions.may_concern(Offset(0), Offset(11)));
        assert!(transactions.may_concern(Offset(30), Offset(31)));
        assert!(!transactions.may_concern(Offset(31), Offset(90)));
    }
}
