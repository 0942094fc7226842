//! The shard's part of health: it gathers the facts, has them judged, and tells what changed.

use crate::clock::Now;
use crate::health::{DOWN_AFTER, OpenTooLong, Watch};
use crate::ids::{JournalId, NodeId};
use std::collections::BTreeMap;

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub struct Health {
    pub(in crate::shard) watch: Watch,
    pub(in crate::shard) looked_ns: u64,
    pub(in crate::shard) signed_ns: u64,
    pub(in crate::shard) heard_ns: BTreeMap<NodeId, u64>,
    /// Since when nobody is known to lead a journal.
    pub(in crate::shard) leaderless_ns: BTreeMap<JournalId, u64>,
    /// Transactions that are open for too long, by journal; looked for less often than all else.
    pub(in crate::shard) open_too_long: BTreeMap<JournalId, OpenTooLong>,
    pub(in crate::shard) open_looked_ns: u64,
    /// Free bytes of the data folder's file system, and all.
    pub(in crate::shard) space: Option<(u64, u64)>,
}

impl Health {
    /// Something came from another node.
    pub(in crate::shard) fn heard(&mut self, node: NodeId, now: Now) {
        self.heard_ns.insert(node, now.mono_ns);
    }

    /// A node that is not down, as far as is known here.
    pub(in crate::shard) fn hears(&self, node: NodeId, now: Now) -> bool {
        let heard_ns = self.heard_ns.get(&node);
        heard_ns.is_some_and(|heard_ns| now.mono_ns.saturating_sub(*heard_ns) < DOWN_AFTER.as_nanos() as u64)
    }
}
