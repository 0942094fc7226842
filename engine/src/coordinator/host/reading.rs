//! How the host reads partitions back.

use super::Host;
use super::read_back::{Current, Stage, next_offset};
use super::seam::{Output, Ticket};
use crate::clock::Now;
use crate::coordinator::append::Tenure;
use crate::coordinator::{StateMachine, leading};
use crate::ids::PartitionId;
use crate::port::{Answer, FetchedPartition, QueryKind, Refusal};
use core::time::Duration;

/// What is read at once; its records are in memory twice for a moment.
const READ_BYTES: u32 = 1 << 20;

/// A read that fails (damage that is being repaired, say) is tried again this often.
const RETRY: Duration = Duration::from_millis(500);

/// A journal that was made just now is there soon: the shard's tick.
const RETRY_SOON: Duration = Duration::from_millis(10);

impl<M: StateMachine> Host<M> {
    /// Begins with the next one that is due, where none is being read.
    pub(super) fn read_next(&mut self, now: Now, out: &mut Vec<Output<M::Words>>) {
        while self.reading.current.is_none() {
            let due = self.reading.waiting.iter().position(|(due_ns, _)| *due_ns <= now.mono_ns);
            let Some((_, tenure)) = due.and_then(|at| self.reading.waiting.remove(at)) else { return };
            if !self.coordinator.is_current(tenure) {
                continue;
            }
            match self.partition_id(tenure.partition) {
                Some(partition) => self.ask(tenure, partition, Stage::Earliest, now, out),
                None => self.read_again(tenure, Refusal::UnknownPartition, now, out),
            }
        }
    }

    /// Asks for what the stage needs.
    fn ask(
        &mut self,
        tenure: Tenure,
        partition: PartitionId,
        stage: Stage,
        now: Now,
        out: &mut Vec<Output<M::Words>>,
    ) {
        let ticket = self.ticket();
        out.push(match &stage {
            Stage::Earliest => Output::Query { ticket, partition, kind: QueryKind::Earliest },
            Stage::Latest { .. } => Output::Query { ticket, partition, kind: QueryKind::Latest },
            Stage::Batches { next, .. } => {
                let deadline_ns = now.plus(RETRY);
                Output::Fetch { ticket, partition, offset: *next, bytes_max: READ_BYTES, deadline_ns }
            }
        });
        self.reading.current = Some(Current { tenure, partition, ticket, stage });
    }

    /// Whatever the reason, the coordinator has to know its groups: it is tried until it works or
    /// the leadership ends. The others have their turn before.
    fn read_again(&mut self, tenure: Tenure, refusal: Refusal, now: Now, out: &mut Vec<Output<M::Words>>) {
        let soon = matches!(refusal, Refusal::NotReady | Refusal::OffsetNotAvailable | Refusal::NotLeader);
        let due_ns = now.plus(if soon { RETRY_SOON } else { RETRY });
        self.reading.waiting.push_back((due_ns, tenure));
        out.push(Output::NotLoaded { partition: tenure.partition, refusal });
    }

    /// The log's bounds, one after the other.
    pub(super) fn read_bound(
        &mut self,
        ticket: Ticket,
        result: Result<Answer, Refusal>,
        now: Now,
        out: &mut Vec<Output<M::Words>>,
    ) {
        let Current { tenure, partition, stage, .. } = self.reading.take(ticket);
        let offset = match result {
            Ok(Answer::Offset { offset, .. }) => offset,
            Ok(other) => panic!("an offset was asked for and {other:?} answered"),
            Err(refusal) => return self.read_again(tenure, refusal, now, out),
        };
        match stage {
            Stage::Earliest => self.ask(tenure, partition, Stage::Latest { first: offset }, now, out),
            Stage::Latest { first } => {
                let stage = Stage::Batches { next: first, end: offset, read: Vec::new() };
                self.go_on(tenure, partition, stage, now, out);
            }
            Stage::Batches { .. } => panic!("batches were asked for and {offset} answered"),
        }
    }

    pub(super) fn read(
        &mut self,
        ticket: Ticket,
        fetched: &FetchedPartition,
        now: Now,
        out: &mut Vec<Output<M::Words>>,
    ) {
        let Current { tenure, partition, stage, .. } = self.reading.take(ticket);
        let Stage::Batches { end, mut read, .. } = stage else {
            panic!("a bound was asked for and batches answered")
        };
        let batches: Vec<u8> = fetched.records.iter().flat_map(|slice| slice.iter().copied()).collect();
        match (fetched.error, next_offset(&batches)) {
            (None, Some(next)) => {
                read.push(batches);
                self.go_on(tenure, partition, Stage::Batches { next, end, read }, now, out);
            }
            (refusal, _) => self.read_again(tenure, refusal.unwrap_or(Refusal::Storage), now, out),
        }
    }

    /// Reads on, or gives the coordinator all that was read.
    fn go_on(
        &mut self,
        tenure: Tenure,
        partition: PartitionId,
        stage: Stage,
        now: Now,
        out: &mut Vec<Output<M::Words>>,
    ) {
        match stage {
            Stage::Batches { next, end, read } if next >= end => {
                for batches in read {
                    self.coordinate(now, leading::Input::Read { tenure, batches: &batches }, out);
                }
                self.coordinate(now, leading::Input::Loaded { tenure }, out);
            }
            stage => self.ask(tenure, partition, stage, now, out),
        }
    }
}
