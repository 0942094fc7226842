//! Questions about time, a few at once. Each of them reads entries and opens batches, so one client
//! that asks for thousands must neither fill the memory nor keep the others waiting: what does not
//! run waits, by request in turn, and what finds no place is refused so that it is asked again.

use crate::journal::effects::Effects;
use crate::port::{Output, Query, QueryKind, Refusal, RequestId};
use std::collections::VecDeque;

/// Questions that wait: a ListOffsets of a few thousand partitions fits. One takes about 50 bytes.
const WAITING_MAX: usize = 8192;
/// What one that runs may take: an entry of 16 MiB, the window of a decoder, and its list of
/// places.
const RUNNING_BYTES: usize = 32 << 20;
/// More at once would not end sooner: one shard opens all batches.
const RUNNING_MAX: usize = 4;

/// The questions about time that are not answered yet.
#[derive(Debug)]
pub struct Times {
    running: usize,
    running_max: usize,
    waiting: usize,
    /// Each request's, in order. The first request is next, and then goes to the end: one with many
    /// questions lets the others in.
    by_request: VecDeque<(RequestId, VecDeque<Query>)>,
}

/// What becomes of a question.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    Now,
    Waits,
    Refused,
}

impl Times {
    /// For a shard with this much memory: an eighth of it is for these.
    pub fn new(memory_bytes: usize) -> Self {
        let running_max = (memory_bytes / 8 / RUNNING_BYTES).clamp(1, RUNNING_MAX);
        Self { running: 0, running_max, waiting: 0, by_request: VecDeque::new() }
    }

    pub fn concerns(kind: QueryKind) -> bool {
        matches!(kind, QueryKind::AtTime(_) | QueryKind::MaxTimestamp)
    }

    pub fn running(&self) -> usize {
        self.running
    }

    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether a question may run; if so, [`Self::ended`] follows.
    pub fn begin(&mut self, query: &Query) -> Turn {
        if self.running < self.running_max {
            assert_eq!(self.waiting, 0, "nothing waits while there is a place");
            self.running += 1;
            return Turn::Now;
        }
        if self.waiting == WAITING_MAX {
            return Turn::Refused;
        }
        self.waiting += 1;
        match self.by_request.iter_mut().rev().find(|(request, _)| *request == query.request) {
            Some((_, waiting)) => waiting.push_back(query.clone()),
            None => self.by_request.push_back((query.request, VecDeque::from([query.clone()]))),
        }
        Turn::Waits
    }

    /// One is answered; gives the next one, which runs from now on.
    pub fn ended(&mut self) -> Option<Query> {
        assert!(self.running > 0, "a question ended that was not begun");
        self.running -= 1;
        let (request, mut queries) = self.by_request.pop_front()?;
        let next = queries.pop_front().expect("a request that waits has a question");
        if !queries.is_empty() {
            self.by_request.push_back((request, queries));
        }
        self.waiting -= 1;
        self.running += 1;
        Some(next)
    }

    /// The requester is gone.
    pub fn cancel(&mut self, request: RequestId) {
        self.by_request.retain(|(waiting, _)| *waiting != request);
        self.waiting = self.by_request.iter().map(|(_, queries)| queries.len()).sum();
    }

    /// Refuses all that wait.
    pub fn refuse_waiting(&mut self, refusal: Refusal, fx: &mut Effects) {
        self.waiting = 0;
        for query in core::mem::take(&mut self.by_request).into_iter().flat_map(|(_, queries)| queries) {
            fx.out.push(Output::Answered { request: query.request, slot: query.slot, result: Err(refusal) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PartitionId;

    fn query(request: u64, slot: u32) -> Query {
        let kind = QueryKind::AtTime(5);
        Query { request: RequestId(request), slot, partition: PartitionId(1), leader_epoch: -1, kind }
    }

    fn next(times: &mut Times) -> Option<(u64, u32)> {
        times.ended().map(|query| (query.request.0, query.slot))
    }

    #[test]
    fn a_few_run_and_requests_take_turns() {
        let mut times = Times::new(256 << 20);
        assert_eq!(times.begin(&query(1, 0)), Turn::Now);
        for slot in 1..4 {
            assert_eq!(times.begin(&query(1, slot)), Turn::Waits);
        }
        assert_eq!(times.begin(&query(2, 0)), Turn::Waits);
        assert_eq!((times.running(), times.waiting()), (1, 4));
        let order: Vec<_> = core::iter::from_fn(|| next(&mut times)).collect();
        assert_eq!(order, [(1, 1), (2, 0), (1, 2), (1, 3)]);
        assert_eq!((times.running(), times.waiting()), (0, 0));
    }

    #[test]
    fn what_finds_no_place_is_refused_and_what_nobody_waits_for_goes() {
        let mut times = Times::new(8 << 30);
        let begun: Vec<_> = (0..RUNNING_MAX as u32).map(|slot| times.begin(&query(1, slot))).collect();
        assert!(begun.iter().all(|turn| *turn == Turn::Now));
        for slot in 0..WAITING_MAX as u32 {
            assert_eq!(times.begin(&query(2 + u64::from(slot % 2), slot)), Turn::Waits);
        }
        assert_eq!(times.begin(&query(4, 0)), Turn::Refused);
        times.cancel(RequestId(2));
        assert_eq!(times.waiting(), WAITING_MAX / 2);
        assert_eq!(next(&mut times), Some((3, 1)));
        let mut fx = Effects::default();
        times.refuse_waiting(Refusal::Stopping, &mut fx);
        assert_eq!((fx.out.len(), times.waiting()), (WAITING_MAX / 2 - 1, 0));
        assert_eq!(next(&mut times), None);
    }
}
