//! Who wants to know what became of a command.

use crate::ids::NodeId;
use crate::port::RequestId;

/// Who wants the outcome of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// This shard itself, which sees it in the state.
    Shard,
    Client(RequestId),
    /// Another node, by its own number for it.
    Peer(NodeId, u64),
}
