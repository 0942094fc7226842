//! What a shard was asked, and what came of it.

use engine::control::{ControlRefusal, Outcome};
use engine::ids::PartitionId;
use engine::port::{Answer, Produced, QueryKind, Refusal};
use std::time::Duration;

/// The engine's tick; it also keeps a timer alive on the shard, which bounds a stall of the
/// executor (notes, G2).
pub const TICK: Duration = Duration::from_millis(10);

pub type ControlResult = Result<Outcome, ControlRefusal>;

pub type ProduceResult = Result<Produced, Refusal>;

pub type QueryResult = Result<Answer, Refusal>;

/// One question about one partition.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    pub partition: PartitionId,
    /// The epoch the client believes current; −1 is unknown.
    pub leader_epoch: i32,
    pub kind: QueryKind,
}
