//! What is under way between nodes for transactions: errands, ends of transactions, batches and offsets that wait for
//! their coordinator's word. Who moves it on stands in `errands`, `ends` and `joins`.

use engine::coordinator::Tenure;
use engine::groups::request::Commit;
use engine::ids::{JournalId, LaneId, NodeId, PartitionId};
use engine::port::{
    Errand, ErrandAnswer, Guard, JoinRefusal, JoinTransaction, MarkerAnswer, Markers, RequestId,
    TransactionVersion,
};
use engine::transactions::request::TopicPartition;
use engine::transactions::rounds::Rounds;
use engine::transactions::{Answer, Request};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a node's process carries for transactions.
#[derive(Default)]
pub struct Carried {
    pub(super) last: u64,
    /// Errands without an answer.
    pub(super) asked: BTreeMap<u64, AskedBy>,
    /// Errands that a shard of this node does.
    pub(super) marks: BTreeMap<RequestId, Marking>,
    pub(super) joined: BTreeMap<RequestId, (From, usize)>,
    pub(super) ends: Ends,
    pub(super) joins: Joins,
}

/// Who waits for an errand's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskedBy {
    /// A round of markers.
    End {
        end: u64,
        journal: JournalId,
    },
    Join {
        join: u64,
    },
}

/// Where an errand's answer goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    Here(u64),
    Peer { node: NodeId, lane: LaneId, id: u64 },
}

/// Markers that a shard writes, and what became of them so far.
pub(super) struct Marking {
    pub(super) from: From,
    pub(super) markers: Markers,
    pub(super) answers: Vec<Option<MarkerAnswer>>,
}

/// What is due on a shard for transactions.
pub(super) enum Step {
    Turn,
    Request { request: RequestId, body: Request },
    Batch { request: RequestId, batch: Transacted },
    Offsets { request: RequestId, offsets: Committing },
    Errand { from: From, errand: Errand },
    Answer { id: u64, answer: Option<ErrandAnswer> },
    Round { end: u64 },
    Join { join: u64 },
}

impl Carried {
    pub(super) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

/// Those of a node's coordinators.
#[derive(Default)]
pub(super) struct Ends(pub(super) BTreeMap<u64, End>);

pub(super) struct End {
    pub(super) shard: u16,
    pub(super) tenure: Tenure,
    pub(super) rounds: Rounds,
    /// Its metadata were new when the round before was over.
    pub(super) knows_all: bool,
}

/// What a client of a coordinator of transactions is answered.
#[derive(Clone, Debug)]
pub enum TransactionAnswer {
    Coordinator(Answer),
    /// A batch, or offsets, that the coordinator said no to.
    NotJoined(JoinRefusal),
}

/// A batch of a transaction, as a client sends it.
#[derive(Clone, Debug)]
pub struct Transacted {
    pub transactional_id: Arc<str>,
    pub version: TransactionVersion,
    pub place: TopicPartition,
    pub partition: PartitionId,
    pub records: Vec<u8>,
}

/// Offsets of a transaction.
#[derive(Clone, Debug)]
pub struct Committing {
    pub transactional_id: Arc<str>,
    pub version: TransactionVersion,
    pub producer: i64,
    pub epoch: i16,
    pub commit: Commit,
}

/// Those of a node's shards that wait.
#[derive(Default)]
pub(super) struct Joins(pub(super) BTreeMap<u64, Join>);

pub(super) struct Join {
    pub(super) shard: u16,
    pub(super) request: RequestId,
    pub(super) what: What,
    pub(super) guard: Option<Guard>,
    pub(super) asked: JoinTransaction,
    pub(super) asks: u32,
    pub(super) is_joined: bool,
}

pub(super) enum What {
    Batch(Transacted),
    Offsets(Committing),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_given_twice() {
        let mut carried = Carried::default();
        assert!(carried.number() < carried.number());
    }
}
