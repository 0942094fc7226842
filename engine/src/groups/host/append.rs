//! From the coordinator's batches to the log and back: in order, one outcome for each.

use super::super::coordinator;
use super::super::log::{AppendError, AppendId};
use super::{Host, Output, Ticket};
use crate::batch::validate::BatchError;
use crate::clock::Now;
use crate::ids::{Offset, PartitionId};
use crate::planted::{Bug, is_planted};
use crate::port::{Acks, Refusal};
use std::collections::VecDeque;

/// A batch for the shard; its outcome is due as [`super::Input::Produced`].
#[derive(Debug)]
pub struct Append {
    pub ticket: Ticket,
    pub partition: PartitionId,
    pub acks: Acks,
    pub batch: Vec<u8>,
}

struct Sent {
    append: AppendId,
    ticket: Ticket,
    outcome: Option<Result<Offset, AppendError>>,
}

/// Batches of all partitions of this shard. Their number is bounded by the requests that wait.
#[derive(Default)]
pub(super) struct Appends {
    unsent: VecDeque<(AppendId, Vec<u8>)>,
    /// With the shard, in the order of the log: tickets rise.
    sent: VecDeque<Sent>,
}

impl Appends {
    pub fn push(&mut self, append: AppendId, batch: Vec<u8>) {
        self.unsent.push_back((append, batch));
    }

    pub fn outcome(&mut self, ticket: Ticket, result: Result<Offset, Refusal>) {
        let at = self.sent.binary_search_by_key(&ticket, |sent| sent.ticket);
        let sent = &mut self.sent[at.expect("an outcome is of what was sent, and comes once")];
        assert!(sent.outcome.is_none(), "{ticket:?} was answered twice");
        sent.outcome = Some(result.map_err(error_of));
    }
}

impl Host {
    /// The next batch that the shard has room for; the rest waits until it has.
    pub fn next_append(
        &mut self,
        now: Now,
        room: impl Fn(PartitionId, usize) -> bool,
        out: &mut Vec<Output>,
    ) -> Option<Append> {
        loop {
            let (append, batch) = self.appends.unsent.pop_front()?;
            let partition = self.partition_id(append.tenure.partition);
            if partition.is_some_and(|partition| !room(partition, batch.len())) {
                self.appends.unsent.push_front((append, batch));
                return None;
            }
            let ticket = self.ticket();
            self.appends.sent.push_back(Sent { append, ticket, outcome: None });
            if let Some(partition) = partition {
                let early = is_planted(Bug::OffsetsAckedByLeaderAlone);
                let acks = if early { Acks::Leader } else { Acks::All };
                return Some(Append { ticket, partition, acks, batch });
            }
            // The topic is gone.
            self.appends.outcome(ticket, Err(Refusal::UnknownPartition));
            self.tell_outcomes(now, out);
        }
    }

    /// Tells the coordinator the outcomes, in the order of the appends.
    pub(super) fn tell_outcomes(&mut self, now: Now, out: &mut Vec<Output>) {
        while let Some(result) = self.appends.sent.front().and_then(|sent| sent.outcome) {
            let sent = self.appends.sent.pop_front().expect("just seen");
            self.coordinate(now, coordinator::Input::Appended { append: sent.append, result }, out);
        }
    }
}

fn error_of(refusal: Refusal) -> AppendError {
    match refusal {
        Refusal::NotLeader | Refusal::Stopping => AppendError::NotLeader,
        Refusal::Batch(BatchError::TooLarge { .. }) => AppendError::TooLarge,
        _ => AppendError::Unavailable,
    }
}
