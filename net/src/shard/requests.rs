//! The shard's pending requests: from the number that the engine names to whoever waits.

use super::results::{ProduceResult, QueryResult};
use crate::shard::completion::Slots;
use engine::collections::Map;
use engine::ids::ShardId;
use engine::port::{FetchedPartition, MarkerAnswer, Refusal, RequestId};
use std::collections::BTreeSet;
use std::rc::Rc;

/// Who asked for a command to be carried out.
pub enum Asker {
    Here(Rc<Slots<super::results::ControlResult>>),
    /// A connection of another shard, by that shard's number for it.
    Shard {
        shard: ShardId,
        id: u64,
    },
}

/// Called when a batch with acks=0 was refused.
pub type Refused = Rc<dyn Fn()>;

enum Pending {
    /// With when its client waits no longer.
    Produce(Rc<Slots<ProduceResult>>, u64),
    /// All batches with acks=0 of a connection: told of errors, until it ends.
    Silent(Refused),
    Fetch(Rc<Slots<Vec<FetchedPartition>>>),
    Query(Rc<Slots<QueryResult>>),
    Markers(Rc<Slots<MarkerAnswer>>),
    Control(Asker),
    /// One slot for each shard.
    Settle(Rc<Slots<()>>),
}

/// All requests that the engine has not answered. Their number is bounded by the connections'
/// own bounds on requests in flight.
#[derive(Default)]
pub struct Requests {
    last: u64,
    /// Of produce requests.
    deadlines: BTreeSet<(u64, RequestId)>,
    pending: Map<RequestId, Pending>,
}

impl Requests {
    fn add(&mut self, pending: Pending) -> RequestId {
        self.last += 1;
        let request = RequestId(self.last);
        self.pending.insert(request, pending);
        request
    }

    pub fn produce(&mut self, slots: Rc<Slots<ProduceResult>>, deadline_ns: u64) -> RequestId {
        let request = self.add(Pending::Produce(slots, deadline_ns));
        self.deadlines.insert((deadline_ns, request));
        request
    }

    /// Answers the produce requests whose time is over. Their batches may be stored all the same.
    pub fn expire(&mut self, now_ns: u64) {
        while let Some((deadline_ns, request)) = self.deadlines.first().copied()
            && deadline_ns <= now_ns
        {
            match self.remove(request) {
                Some(Pending::Produce(slots, _)) => slots.fill_rest(|| Err(Refusal::TimedOut)),
                _ => panic!("{request:?} has a deadline and is no produce request"),
            }
        }
    }

    fn remove(&mut self, request: RequestId) -> Option<Pending> {
        let pending = self.pending.remove(&request)?;
        if let Pending::Produce(_, deadline_ns) = &pending {
            self.deadlines.remove(&(*deadline_ns, request));
        }
        Some(pending)
    }

    pub fn fetch(&mut self, slots: Rc<Slots<Vec<FetchedPartition>>>) -> RequestId {
        self.add(Pending::Fetch(slots))
    }

    pub fn query(&mut self, slots: Rc<Slots<QueryResult>>) -> RequestId {
        self.add(Pending::Query(slots))
    }

    pub fn markers(&mut self, slots: Rc<Slots<MarkerAnswer>>) -> RequestId {
        self.add(Pending::Markers(slots))
    }

    pub fn marked(&mut self, request: RequestId, slot: u32, answer: MarkerAnswer) {
        let Some(Pending::Markers(slots)) = self.pending.get(&request) else { return };
        if slots.fill(slot, answer) {
            self.pending.remove(&request);
        }
    }

    pub fn control(&mut self, asker: Asker) -> RequestId {
        self.add(Pending::Control(asker))
    }

    pub fn settle(&mut self, slots: Rc<Slots<()>>) -> RequestId {
        self.add(Pending::Settle(slots))
    }

    /// A shard has what [`Self::settle`] waits for.
    pub fn settled(&mut self, request: RequestId, shard: ShardId) {
        if let Some(Pending::Settle(slots)) = self.pending.get(&request) {
            slots.fill(u32::from(shard.0), ());
        }
    }

    pub fn silent(&mut self, refused: Refused) -> RequestId {
        self.add(Pending::Silent(refused))
    }

    /// A request that nobody waits for any more is answered into nothing. Gives whom to tell of
    /// a refusal that has no answer.
    pub fn produced(&mut self, request: RequestId, slot: u32, result: ProduceResult) -> Option<Refused> {
        match self.pending.get(&request)? {
            Pending::Silent(refused) => return result.is_err().then(|| Rc::clone(refused)),
            Pending::Produce(slots, _) if slots.fill(slot, result) => {
                self.remove(request);
            }
            _ => {}
        }
        None
    }

    pub fn answered(&mut self, request: RequestId, slot: u32, result: QueryResult) {
        let Some(Pending::Query(slots)) = self.pending.get(&request) else { return };
        if slots.fill(slot, result) {
            self.pending.remove(&request);
        }
    }

    pub fn fetched(&mut self, request: RequestId, partitions: Vec<FetchedPartition>) {
        if let Some(Pending::Fetch(slots)) = self.pending.remove(&request) {
            slots.fill(0, partitions);
        }
    }

    pub fn control_done(&mut self, request: RequestId) -> Option<Asker> {
        match self.pending.remove(&request)? {
            Pending::Control(asker) => Some(asker),
            _ => panic!("{request:?} is no control request"),
        }
    }

    /// Forgets a request; true when the engine had not answered it.
    pub fn cancel(&mut self, request: RequestId) -> bool {
        self.remove(request).is_some()
    }

    pub fn len(&self) -> usize {
        self.pending.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_request_is_forgotten_with_its_last_answer_or_its_requester() {
        let mut requests = Requests::default();
        let slots = Slots::new(2);
        let request = requests.produce(Rc::clone(&slots), 9);
        assert!(requests.produced(request, 1, Err(Refusal::NotLeader)).is_none());
        assert_eq!(requests.len(), 1);
        assert!(requests.produced(request, 0, Err(Refusal::NotReady)).is_none());
        assert!(slots.is_complete() && requests.is_empty());
        let fetch = requests.fetch(Slots::new(1));
        assert!(requests.cancel(fetch) && !requests.cancel(fetch));
        requests.fetched(fetch, Vec::new());
        let silent = requests.silent(Rc::new(|| ()));
        assert!(requests.produced(silent, 0, Err(Refusal::NotLeader)).is_some());
        assert!(requests.cancel(silent) && requests.is_empty());
        assert!(requests.deadlines.is_empty());
    }

    #[test]
    fn a_produce_is_answered_when_its_time_is_over_whatever_is_missing() {
        let mut requests = Requests::default();
        let (soon, later) = (Slots::new(2), Slots::new(1));
        let request = requests.produce(Rc::clone(&soon), 10);
        requests.produce(Rc::clone(&later), 11);
        requests.produced(request, 1, Err(Refusal::Storage));
        requests.expire(9);
        assert!(!soon.is_complete());
        requests.expire(10);
        assert_eq!(soon.take(), [Err(Refusal::TimedOut), Err(Refusal::Storage)]);
        assert!(!later.is_complete() && requests.len() == 1);
        // What the engine says of it now is said into nothing.
        assert!(requests.produced(request, 0, Err(Refusal::NotLeader)).is_none());
    }
}
