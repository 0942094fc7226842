//! What the runtime of coordinators and consumer groups say to each other.

use super::config::GroupConfig;
use super::figures::GroupFigures;
use super::pending::Pending;
use super::request::{Answer, Request};
use super::timers::Timer;
use crate::batch::Ending;
use crate::coordinator::{Turn as AnyTurn, Vocabulary};
use std::sync::Arc;

#[derive(Debug)]
pub enum GroupWords {}

/// GroupNews for all groups of a partition.
#[derive(Clone, Debug)]
pub enum GroupNews {
    TopicDeleted {
        topic: Arc<str>,
    },
    /// A transaction was ended in this partition of the offsets topic.
    TransactionEnded {
        producer: i64,
        epoch: i16,
        ending: Ending,
    },
}

impl Vocabulary for GroupWords {
    type Config = GroupConfig;
    type Request = Request;
    type Answer = Answer;
    type Pending = Pending;
    type Timer = Timer;
    type News = GroupNews;
    type Effect = core::convert::Infallible;
    type Figures = GroupFigures;

    fn history_bytes_min(config: &GroupConfig) -> u64 {
        config.history_bytes_min
    }
}

/// What a group may use while it takes a request.
pub type Turn<'a> = AnyTurn<'a, GroupWords>;
