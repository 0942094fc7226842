//! From the coordinator's batches to the log and back: in order, one outcome for each.

use super::super::leading;
use super::Host;
use super::seam::Append;
use super::seam::Output;
use crate::batch::BatchHeader;
use crate::clock::Now;
use crate::coordinator::StateMachine;
use crate::ids::PartitionId;
use crate::planted::{Bug, is_planted};
use crate::port::{Acks, BatchWriter, Refusal};

impl<M: StateMachine> Host<M> {
    /// The next batch that the shard has room for; the rest waits until it has.
    pub fn next_append(
        &mut self,
        now: Now,
        room: impl Fn(PartitionId, usize) -> bool,
        out: &mut Vec<Output<M::Words>>,
    ) -> Option<Append> {
        loop {
            let (append, (batch, guard)) = self.appends.next()?;
            let partition = self.partition_id(append.tenure.partition);
            if partition.is_some_and(|partition| !room(partition, batch.len())) {
                self.appends.put_back(append, (batch, guard));
                return None;
            }
            let ticket = self.ticket();
            self.appends.sent(append, ticket);
            if let Some(partition) = partition {
                let early = is_planted(Bug::OffsetsAckedByLeaderAlone);
                let acks = if early { Acks::Leader } else { Acks::All };
                let header = BatchHeader::of(&batch).expect("a batch that was built here");
                let writer = match header.is_transactional() {
                    true => BatchWriter::Coordinator { guard },
                    false => BatchWriter::Client,
                };
                return Some(Append { ticket, partition, acks, batch, writer });
            }
            // The topic is gone.
            self.appends.outcome(ticket, Err(Refusal::UnknownPartition));
            self.tell_outcomes(now, out);
        }
    }

    /// Tells the coordinator the outcomes, in the order of the appends.
    pub(super) fn tell_outcomes(&mut self, now: Now, out: &mut Vec<Output<M::Words>>) {
        while let Some((append, result)) = self.appends.next_outcome() {
            self.coordinate(now, leading::Input::Appended { append, result }, out);
        }
    }
}
