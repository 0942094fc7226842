//! Reads partitions of the topic back, one after the other, for the coordinator that
//! began to lead them.

use super::seam::Ticket;
use crate::batch::BatchHeader;
use crate::clock::Now;
use crate::coordinator::append::Tenure;
use crate::ids::{Offset, PartitionId};
use std::collections::VecDeque;

/// Partitions that are to be read, and the one that is.
#[derive(Default)]
pub(super) struct ReadBack {
    /// Not before this time, monotonic nanoseconds.
    pub(super) waiting: VecDeque<(u64, Tenure)>,
    pub(super) current: Option<Current>,
}

pub(super) struct Current {
    pub(super) tenure: Tenure,
    pub(super) partition: PartitionId,
    /// What the shard was asked last.
    pub(super) ticket: Ticket,
    pub(super) stage: Stage,
}

pub(super) enum Stage {
    Earliest,
    Latest {
        first: Offset,
    },
    /// Kept until all is read, so that a read that failed half way is not seen twice.
    Batches {
        next: Offset,
        end: Offset,
        read: Vec<Vec<u8>>,
    },
}

impl ReadBack {
    pub fn add(&mut self, tenure: Tenure, now: Now) {
        self.waiting.push_back((now.mono_ns, tenure));
    }

    pub fn take(&mut self, ticket: Ticket) -> Current {
        let current = self.current.take().expect("only what is asked for is answered");
        assert_eq!(current.ticket, ticket, "one question at a time");
        current
    }
}

/// The offset behind the last of these batches; none where there are none.
pub(super) fn next_offset(mut batches: &[u8]) -> Option<Offset> {
    let mut next = None;
    while let Some(header) = BatchHeader::of(batches) {
        let bytes = usize::try_from(header.declared_bytes()).ok()?;
        next = Some(Offset(header.base_offset.get()).plus(header.offsets()));
        batches = batches.get(bytes..)?;
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, NewRecord};

    #[test]
    pub fn reading_goes_on_behind_the_last_batch() {
        let batch = |base: i64, records: usize| {
            let mut batch = BatchBuilder::new(1);
            batch.base_offset(base);
            for _ in 0..records {
                batch.push(NewRecord::value(b"v"));
            }
            batch.build()
        };
        assert_eq!(next_offset(&[]), None);
        assert_eq!(next_offset(&[batch(5, 2), batch(7, 3)].concat()), Some(Offset(10)));
    }
}
