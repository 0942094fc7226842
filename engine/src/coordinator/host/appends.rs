//! Batches on their way to the log, and their outcomes.
//!
//! Invariants:
//! - Batches go to the shard in the order in which the coordinator gave them.
//! - Tickets of what was sent rise, and each has one outcome.
//! - Outcomes are told in the order of the batches, whatever order they came in.

use super::seam::Ticket;
use crate::batch::validate::BatchError;
use crate::coordinator::append::{AppendError, AppendId};
use crate::ids::Offset;
use crate::port::{Guard, Refusal};
use std::collections::VecDeque;

/// A batch, and what must still hold when it is appended.
pub(super) type Guarded = (Vec<u8>, Option<Guard>);

struct Sent {
    append: AppendId,
    ticket: Ticket,
    outcome: Option<Result<Offset, AppendError>>,
}

/// Batches of all partitions of this shard. Their number is bounded by the requests that wait.
#[derive(Default)]
pub(super) struct Appends {
    unsent: VecDeque<(AppendId, Guarded)>,
    /// With the shard, in the order of the log: tickets rise.
    sent: VecDeque<Sent>,
}

impl Appends {
    pub fn push(&mut self, append: AppendId, batch: Guarded) {
        self.unsent.push_back((append, batch));
    }

    /// The next batch to be sent: it is [`Self::sent`] or [`Self::put_back`] before the next one is taken.
    pub fn next(&mut self) -> Option<(AppendId, Guarded)> {
        self.unsent.pop_front()
    }

    /// There is no room for it yet.
    pub fn put_back(&mut self, append: AppendId, batch: Guarded) {
        self.unsent.push_front((append, batch));
    }

    /// The shard has it, under this ticket.
    pub fn sent(&mut self, append: AppendId, ticket: Ticket) {
        assert!(self.sent.back().is_none_or(|last| last.ticket < ticket), "tickets rise");
        self.sent.push_back(Sent { append, ticket, outcome: None });
    }

    pub fn outcome(&mut self, ticket: Ticket, result: Result<Offset, Refusal>) {
        let at = self.sent.binary_search_by_key(&ticket, |sent| sent.ticket);
        let sent = &mut self.sent[at.expect("an outcome is of what was sent, and comes once")];
        assert!(sent.outcome.is_none(), "{ticket:?} was answered twice");
        sent.outcome = Some(result.map_err(error_of));
    }

    /// The outcome of the oldest batch, once it is there.
    pub fn next_outcome(&mut self) -> Option<(AppendId, Result<Offset, AppendError>)> {
        let result = self.sent.front()?.outcome?;
        let sent = self.sent.pop_front().expect("just seen");
        Some((sent.append, result))
    }
}

fn error_of(refusal: Refusal) -> AppendError {
    match refusal {
        Refusal::NotLeader | Refusal::Stopping => AppendError::NotLeader,
        Refusal::InvalidProducerEpoch => AppendError::Fenced,
        Refusal::Batch(BatchError::TooLarge { .. }) => AppendError::TooLarge,
        _ => AppendError::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::append::Tenure;

    fn append(number: u64) -> AppendId {
        AppendId { tenure: Tenure::default(), number }
    }

    #[test]
    fn batches_and_outcomes_keep_their_order() {
        let mut appends = Appends::default();
        (1..=3).for_each(|number| appends.push(append(number), (vec![number as u8], None)));
        let (first, batch) = appends.next().expect("three wait");
        appends.put_back(first, batch);
        for number in 1..=3 {
            let (next, batch) = appends.next().expect("it waits");
            assert_eq!((next, batch), (append(number), (vec![number as u8], None)));
            appends.sent(next, Ticket(number * 10));
        }
        assert!(appends.next().is_none());
        appends.outcome(Ticket(20), Err(Refusal::NotEnoughReplicas));
        assert_eq!(appends.next_outcome(), None, "the first is not answered yet");
        appends.outcome(Ticket(10), Ok(Offset(5)));
        appends.outcome(Ticket(30), Err(Refusal::Stopping));
        assert_eq!(appends.next_outcome(), Some((append(1), Ok(Offset(5)))));
        assert_eq!(appends.next_outcome(), Some((append(2), Err(AppendError::Unavailable))));
        assert_eq!(appends.next_outcome(), Some((append(3), Err(AppendError::NotLeader))));
        assert_eq!(appends.next_outcome(), None);
    }

    #[test]
    #[should_panic(expected = "comes once")]
    fn an_outcome_of_what_was_never_sent_is_a_fault() {
        Appends::default().outcome(Ticket(1), Ok(Offset(0)));
    }
}
