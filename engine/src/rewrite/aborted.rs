//! Which transactions were aborted, as a pass of compaction is told: a batch says itself that it is of a transaction, but
//! how that ended stands in a marker behind it, which may lie behind all that the pass reads.

use crate::batch::BatchHeader;
use crate::ids::{Offset, ProducerId};
use std::collections::BTreeMap;

/// A transaction that was aborted in the partition: from its first record to its marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedRange {
    pub producer: ProducerId,
    pub first: Offset,
    /// The marker's offset.
    pub last: Offset,
}

/// All of them that reach into what a pass reads.
#[derive(Clone, Debug, Default)]
pub struct AbortedRanges {
    /// By producer and marker.
    first: BTreeMap<(ProducerId, Offset), Offset>,
}

impl AbortedRanges {
    pub fn new(ranges: impl IntoIterator<Item = AbortedRange>) -> Self {
        let mut first = BTreeMap::new();
        for range in ranges {
            assert!(range.first <= range.last, "{range:?} ends before it begins");
            let before = first.insert((range.producer, range.last), range.first);
            assert!(before.is_none_or(|first| first == range.first), "{range:?} has another first record");
        }
        Self { first }
    }

    /// Whether these are records of a transaction that was aborted.
    pub fn has(&self, header: &BatchHeader) -> bool {
        if !header.is_transactional() || header.is_control() {
            return false;
        }
        let (producer, base) = (ProducerId(header.producer_id.get()), Offset(header.base_offset.get()));
        // The first marker of the producer at or behind it is the one that ended it.
        let ended = self.first.range((producer, base)..=(producer, Offset(i64::MAX))).next();
        ended.is_some_and(|(_, first)| *first <= base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::header::attribute;
    use crate::batch::{BatchBuilder, NewRecord};

    #[test]
    fn a_batch_is_aborted_when_its_producers_next_abort_began_before_it() {
        let range = |producer, first, last| AbortedRange {
            producer: ProducerId(producer),
            first: Offset(first),
            last: Offset(last),
        };
        let ranges = AbortedRanges::new([range(7, 10, 20), range(7, 40, 50), range(8, 0, 100)]);
        let has = |producer, base, attributes| {
            let mut builder = BatchBuilder::new(1);
            builder.base_offset(base).producer(producer, 0, 0).attributes(attributes);
            let batch = builder.push(NewRecord::value(b"v")).build();
            ranges.has(BatchHeader::of(&batch).unwrap())
        };
        let transactional = attribute::TRANSACTIONAL;
        let found = [5, 10, 15, 20, 30, 45, 60].map(|base| has(7, base, transactional));
        assert_eq!(found, [false, true, true, true, false, true, false]);
        assert!(has(8, 99, transactional) && !has(9, 15, transactional));
        assert!(!has(7, 15, 0), "not of a transaction");
        assert!(!has(7, 20, transactional | attribute::CONTROL), "the marker itself");
    }
}
