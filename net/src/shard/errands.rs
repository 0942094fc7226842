//! Errands without an answer: who asked, and until when that waits.

use crate::shard::completion::Slots;
use engine::collections::Map;
use engine::ids::{LaneId, NodeId, ShardId};
use engine::port::{Errand, ErrandAnswer};
use std::rc::Rc;
use std::time::Duration;

/// A longer way through other nodes' queues is not waited for: whoever asks asks again.
pub const ERRAND_WAIT: Duration = Duration::from_secs(5);

/// Does an errand that this shard is asked to do, and gives the answer when it is done.
pub type Doer = Rc<dyn Fn(Errand, Answering)>;

/// Where an answer goes.
pub struct Answering(Box<dyn FnOnce(ErrandAnswer)>);

impl Answering {
    pub fn new(answer: impl FnOnce(ErrandAnswer) + 'static) -> Self {
        Self(Box::new(answer))
    }

    pub fn answer(self, answer: ErrandAnswer) {
        (self.0)(answer);
    }
}

/// Who asked.
pub enum Origin {
    Here(Rc<Slots<ErrandAnswer>>),
    /// Another shard of the node, by its number.
    Shard(ShardId, u64),
    /// A shard of another node, by its number, over the link of this lane.
    Peer(NodeId, LaneId, u64),
}

/// An errand on its way.
pub struct ErrandTicket {
    pub slots: Rc<Slots<ErrandAnswer>>,
    pub until_ns: u64,
}

/// Errands of this shard, or that it passed on, without an answer.
#[derive(Default)]
pub struct Errands {
    last: u64,
    /// With when they are given up.
    waiting: Map<u64, (Origin, u64)>,
    doer: Option<Doer>,
}

impl Errands {
    pub fn add(&mut self, origin: Origin, until_ns: u64) -> u64 {
        self.last += 1;
        self.waiting.insert(self.last, (origin, until_ns));
        self.last
    }

    /// Who asked: once.
    pub fn remove(&mut self, id: u64) -> Option<Origin> {
        self.waiting.remove(&id).map(|(origin, _)| origin)
    }

    pub fn set_doer(&mut self, doer: Doer) {
        self.doer = Some(doer);
    }

    pub fn doer(&self) -> Option<Doer> {
        self.doer.clone()
    }

    /// Forgets those whose time is over.
    pub fn expire(&mut self, now_ns: u64) {
        self.waiting.retain(|_, (_, until_ns)| *until_ns > now_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errand_that_is_never_answered_is_forgotten() {
        let mut errands = Errands::default();
        let first = errands.add(Origin::Here(Slots::new(1)), 10);
        let second = errands.add(Origin::Shard(ShardId(1), 5), 11);
        assert_ne!(first, second);
        errands.expire(9);
        assert_eq!(errands.waiting.len(), 2);
        errands.expire(10);
        assert!(!errands.waiting.contains_key(&first) && errands.waiting.contains_key(&second));
    }
}
