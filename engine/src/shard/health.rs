//! The shard's part of health: it gathers the facts, has them judged, and tells what changed.

use crate::clock::Now;
use crate::health::{DOWN_AFTER, OpenTooLong, Topics, Watch};
use crate::ids::{Index, JournalId, NodeId};
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
    /// What waits for compaction, by journal, as the view of this version has it.
    pub(in crate::shard) awaiting_compaction: (Index, BTreeMap<JournalId, Topics>),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_heard_until_it_was_silent_for_too_long() {
        let at = |mono_ns| Now { mono_ns, wall_ms: 0 };
        let mut health = Health::default();
        assert!(!health.hears(NodeId(2), at(5)), "it never said anything");
        health.heard(NodeId(2), at(5));
        let down_ns = 5 + DOWN_AFTER.as_nanos() as u64;
        assert!(health.hears(NodeId(2), at(down_ns - 1)) && !health.hears(NodeId(2), at(down_ns)));
        assert!(!health.hears(NodeId(3), at(5)));
        health.heard(NodeId(2), at(down_ns));
        assert!(health.hears(NodeId(2), at(down_ns)));
    }
}
