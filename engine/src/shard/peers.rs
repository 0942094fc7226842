//! What comes from other nodes and goes to them: messages of replicas, who leads what, and
//! commands on their way to the node that leads the meta journal.

use crate::ids::{JournalId, NodeId, Run, Term};
use crate::peer::Committed;
use crate::port::RequestId;
use std::collections::BTreeMap;

/// Who leads a journal, as far as this shard knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub term: Term,
    pub leader: Option<NodeId>,
    pub in_sync: Vec<NodeId>,
}

/// A command sent to the node that leads the meta journal.
#[derive(Debug)]
pub(in crate::shard) struct Forwarded {
    pub(in crate::shard) request: Option<RequestId>,
    pub(in crate::shard) deadline_ns: u64,
}

/// The shard's dealings with other nodes.
#[derive(Debug, Default)]
pub struct Peers {
    pub(in crate::shard) known: BTreeMap<JournalId, Known>,
    /// When that was last said.
    pub(in crate::shard) told_ns: BTreeMap<JournalId, u64>,
    pub(in crate::shard) next_id: u64,
    pub(in crate::shard) forwarded: BTreeMap<u64, Forwarded>,
    /// Commands that are committed, until the metadata here has them.
    pub(in crate::shard) behind: Vec<(RequestId, Committed)>,
    pub(in crate::shard) hinted_ns: u64,
    pub(in crate::shard) drifted_ns: u64,
    pub(in crate::shard) ticked_ns: Option<u64>,
    /// The process that last linked with this one, by its node.
    pub(in crate::shard) runs: BTreeMap<NodeId, Run>,
}
