//! Which transactions were aborted: told by the markers of a partition, in the order of their offsets.

use crate::batch::Ending;
use crate::entry::{BatchDescriptor, MarkerFields};
use crate::ids::{Offset, ProducerId};
use crate::port::AbortedTransaction;
use crate::rewrite::AbortedRange;

/// A marker in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkerAt {
    pub offset: Offset,
    pub producer: ProducerId,
    /// Where the transaction began that it ends; its own offset when none was open.
    pub first_offset: Offset,
    /// No transaction that began below it is open behind the marker; `None` when that is not told.
    pub stable: Option<Offset>,
    pub aborts: bool,
}

impl MarkerAt {
    /// The marker that a batch is, if it is one.
    pub fn of(batch: &BatchDescriptor) -> Option<Self> {
        let MarkerFields { ending, first_offset, stable, .. } = batch.marker()?;
        let (offset, producer) = (batch.base_offset(), batch.producer_id());
        Some(Self { offset, producer, first_offset, stable, aborts: ending == Ending::Abort })
    }
}

/// Looks for the aborted transactions that have records from an offset on and below another.
///
/// ```text
///        from                    to
///   a1 ...|..... A1               |          found: it ends behind `from`
///         |         a2 ...........|...... A2 found: it begins before `to`; stable behind A2 is at or above `to`:
///         |                       |   a3     whatever ends later begins there
/// ```
#[derive(Clone, Debug)]
pub struct AbortedSearch {
    from: Offset,
    to: Offset,
    found: Vec<MarkerAt>,
    is_over: bool,
}

impl AbortedSearch {
    pub fn new(from: Offset, to: Offset) -> Self {
        assert!(from < to, "nothing is read from {from} to {to}");
        Self { from, to, found: Vec::new(), is_over: false }
    }

    /// Markers below it do not matter.
    pub fn from(&self) -> Offset {
        self.from
    }

    /// Takes the next marker. False when those behind it do not matter.
    pub fn take(&mut self, marker: &MarkerAt) -> bool {
        if self.is_over || marker.offset < self.from {
            return !self.is_over;
        }
        // One that ended nothing has no records.
        if marker.aborts && marker.first_offset < self.to.min(marker.offset) {
            self.found.push(*marker);
        }
        self.is_over = marker.stable.is_some_and(|stable| stable >= self.to);
        !self.is_over
    }

    pub fn is_over(&self) -> bool {
        self.is_over
    }

    pub fn found(self) -> Vec<AbortedTransaction> {
        let found = self.found.into_iter();
        found
            .map(|MarkerAt { producer, first_offset, .. }| AbortedTransaction { producer, first_offset })
            .collect()
    }

    /// From where to where each of them was.
    pub fn ranges(self) -> Vec<AbortedRange> {
        let found = self.found.into_iter();
        let range = |marker: MarkerAt| AbortedRange {
            producer: marker.producer,
            first: marker.first_offset,
            last: marker.offset,
        };
        found.map(range).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(offset: i64, producer: i64, first_offset: i64, stable: i64, aborts: bool) -> MarkerAt {
        let (offset, first_offset) = (Offset(offset), Offset(first_offset));
        let stable = Some(Offset(stable)).filter(|stable| stable.0 >= 0);
        MarkerAt { offset, producer: ProducerId(producer), first_offset, stable, aborts }
    }

    fn found(from: i64, to: i64, markers: &[MarkerAt]) -> (Vec<i64>, usize) {
        let mut search = AbortedSearch::new(Offset(from), Offset(to));
        let taken = markers.iter().take_while(|marker| search.take(marker)).count();
        (search.found().iter().map(|one| one.producer.0).collect(), taken)
    }

    #[test]
    fn those_that_overlap_are_found_and_the_search_ends() {
        let markers = [
            marker(10, 1, 0, 5, true),
            marker(20, 2, 5, 15, true),
            marker(30, 3, 15, 25, false),
            marker(40, 4, 25, 41, true),
            marker(50, 5, 50, 51, true),
            marker(60, 6, 55, -1, true),
        ];
        assert_eq!(found(0, 1, &markers), (vec![1], 0), "all below 5 is decided behind the first");
        assert_eq!(found(11, 20, &markers), (vec![2], 2));
        assert_eq!(found(21, 30, &markers), (vec![4], 3));
        assert_eq!(found(41, 60, &markers), (vec![6], 6), "a marker that ended nothing aborts nothing");
        assert_eq!(found(0, 100, &markers), (vec![1, 2, 4, 6], 6));
    }
}
