//! What a connection writes next, once it is there: an answer of any API, in the order of its request.

use crate::kafka::codec::outgoing::Outgoing;
use crate::kafka::hot::fetch::FetchWork;
use crate::kafka::hot::produce::ProduceWork;

/// What is written next, once it is there.
pub enum Answer {
    Ready(Outgoing),
    Produce(ProduceWork),
    Fetch(FetchWork),
}

impl Answer {
    pub fn is_complete(&self) -> bool {
        match self {
            Answer::Ready(_) => true,
            Answer::Produce(work) => work.is_complete(),
            Answer::Fetch(work) => work.is_complete(),
        }
    }

    /// What it takes while it waits.
    pub fn ready_bytes(&self) -> usize {
        match self {
            Answer::Ready(outgoing) => outgoing.bytes(),
            Answer::Produce(_) | Answer::Fetch(_) => 0,
        }
    }

    /// Ends when it is complete; holds no borrow of the queue meanwhile.
    pub fn completion(&self) -> impl Future<Output = ()> + use<> {
        let (produced, fetched) = match self {
            Answer::Ready(_) => (None, None),
            Answer::Produce(work) => (Some(work.slots()), None),
            Answer::Fetch(work) => (None, work.slots()),
        };
        async move {
            match (produced, fetched) {
                (Some(slots), _) => slots.completed().await,
                (None, Some(slots)) => slots.completed().await,
                (None, None) => {}
            }
        }
    }
}
