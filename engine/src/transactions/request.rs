//! What producers, leaders of partitions and tools ask of a coordinator of transactions, and what
//! they are answered: closed lists. Each request but [`Request::List`] is about one transactional
//! id.

use super::error::TransactionError;
use super::state::State;
use crate::batch::Ending;
use crate::port::TransactionVersion;
use std::sync::Arc;

/// Topic and number.
pub type TopicPartition = (Arc<str>, i32);

/// A producer id with its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerEpoch {
    pub id: i64,
    pub epoch: i16,
}

#[derive(Clone, Debug)]
pub enum Request {
    Init(InitProducer),
    Add(AddPartitions),
    End(EndTransaction),
    Describe { transactional_id: Arc<str> },
    List(ListFilter),
}

impl Request {
    /// The transactional id that it is about.
    pub fn transactional_id(&self) -> Option<&Arc<str>> {
        match self {
            Self::Init(init) => Some(&init.transactional_id),
            Self::Add(add) => Some(&add.transactional_id),
            Self::End(end) => Some(&end.transactional_id),
            Self::Describe { transactional_id } => Some(transactional_id),
            Self::List(_) => None,
        }
    }
}

/// InitProducerId.
#[derive(Clone, Debug)]
pub struct InitProducer {
    pub transactional_id: Arc<str>,
    pub timeout_ms: i32,
    /// KIP-360: a producer that goes on after an error says who it was.
    pub expected: Option<ProducerEpoch>,
    /// A producer id that nobody has, where the answer before asked for one.
    pub fresh: Option<i64>,
}

/// AddPartitionsToTxn, AddOffsetsToTxn, and what the leader of a partition asks before a
/// transaction's first batch.
#[derive(Clone, Debug)]
pub struct AddPartitions {
    pub transactional_id: Arc<str>,
    pub producer: ProducerEpoch,
    pub partitions: Vec<TopicPartition>,
    /// Nothing is added: it is only looked whether they belong to the transaction.
    pub verify_only: bool,
    pub version: TransactionVersion,
}

/// EndTxn.
#[derive(Clone, Debug)]
pub struct EndTransaction {
    pub transactional_id: Arc<str>,
    pub producer: ProducerEpoch,
    pub ending: Ending,
    pub version: TransactionVersion,
    /// As in [`InitProducer`].
    pub fresh: Option<i64>,
}

/// Empty lists and no duration: all.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    pub producers: Vec<i64>,
    pub states: Vec<String>,
    pub open_longer_than_ms: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Initialised(Result<ProducerEpoch, TransactionError>),
    /// One result for each partition of the request.
    Added(Result<Vec<Result<(), TransactionError>>, TransactionError>),
    /// Who the producer is from now on; the same as before with version 1.
    Ended(Result<ProducerEpoch, TransactionError>),
    /// Ask the same again, with a producer id that nobody has.
    NeedsProducerId,
    Described(Result<DescribedTransaction, TransactionError>),
    Listed {
        loading: bool,
        transactions: Vec<ListedTransaction>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedTransaction {
    pub state: State,
    pub timeout_ms: i32,
    /// −1: none was begun.
    pub started_ms: i64,
    pub producer: ProducerEpoch,
    pub partitions: Vec<TopicPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTransaction {
    pub transactional_id: Arc<str>,
    pub producer_id: i64,
    pub state: State,
}
