//! What the runtime of coordinators and transactions say to each other.

use super::config::TransactionConfig;
use super::request::{Answer, ProducerEpoch, Request, TopicPartition};
use crate::batch::Ending;
use crate::coordinator::{Turn as AnyTurn, Vocabulary};
use crate::port::{RequestId, TransactionVersion};
use std::sync::Arc;

#[derive(Debug)]
pub enum TransactionWords {}

impl Vocabulary for TransactionWords {
    type Config = TransactionConfig;
    type Request = Request;
    type Answer = Answer;
    type Pending = Pending;
    type Timer = TransactionTimer;
    type News = TransactionNews;
    type Effect = SendMarkers;
    type Figures = TransactionFigures;

    fn history_bytes_min(config: &TransactionConfig) -> u64 {
        config.history_bytes_min
    }
}

pub type Turn<'a> = AnyTurn<'a, TransactionWords>;

/// What follows when a record is committed, or is not. Which step it is stands with the
/// transactional id.
#[derive(Debug)]
pub enum Pending {
    Init { id: Arc<str>, request: RequestId },
    Add { id: Arc<str>, requests: Vec<(RequestId, usize)> },
    Prepare { id: Arc<str>, request: Option<(RequestId, Asker)> },
    Complete { id: Arc<str> },
    Forget { id: Arc<str> },
}

/// Who waits for an end to be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    EndTxn,
    /// Another producer that begins: it asks again when what was open is ended.
    InitProducerId,
}

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransactionTimer {
    /// A transaction may have been open for too long.
    Timeout { id: Arc<str> },
    /// Somebody may have waited for too long.
    Waiting { id: Arc<str> },
    /// That all markers are written could not be written: once more.
    Complete { id: Arc<str> },
    /// Transactional ids may not be used any more.
    Expiry,
}

/// Send a transaction's end to all its partitions, however often that takes; then tell
/// [`TransactionNews::Marked`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendMarkers {
    pub transactional_id: Arc<str>,
    pub producer: ProducerEpoch,
    pub version: TransactionVersion,
    pub ending: Ending,
    pub partitions: Vec<TopicPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionNews {
    /// All markers of this producer's transaction are committed.
    Marked { transactional_id: Arc<str>, producer: ProducerEpoch },
}

/// For the metrics page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionFigures {
    pub ids: u64,
    /// Of their texts and partitions.
    pub bytes: u64,
    /// Requests for which there was no room.
    pub refused: u64,
    pub open: u64,
    /// How long the oldest open one is open.
    pub oldest_ms: u64,
}
