//! Nodes that the metadata names and the operator's list does not: they came later, or may come. Whoever holds the
//! folder writes them down first; only then does this node speak to them, so that it knows at its next start that it is
//! no longer alone.

use super::Shard;
use crate::clock::Now;
use crate::control::View;
use crate::formation::Formation;
use crate::ids::{NodeId, ShardId};
use crate::journal::effects::Effects;
use crate::shard::identity::forming::Forming;
use crate::shard::slot::Slot;
use std::collections::BTreeSet;

impl Shard {
    /// They are written down.
    pub(super) fn learn_peers(&mut self, nodes: &[NodeId], now: Now, fx: &mut Effects) {
        let own = [self.config.node];
        let before: BTreeSet<NodeId> = self.config.peers.iter().chain(&own).copied().collect();
        let listed: BTreeSet<NodeId> = before.iter().chain(nodes).copied().collect();
        if listed == before {
            return;
        }
        self.config.peers = listed.iter().copied().collect();
        match (&mut self.forming, &self.lifecycle.node) {
            (Some(forming), _) => forming.formation.learn(&listed),
            (None, Some(node)) if self.config.shard == ShardId(0) => {
                assert!(node.is_final, "a lone node forms at once");
                let entropy = self.rng.next_u64();
                let formation = Formation::new(node.clone(), self.config.broker_ids, &listed, true, entropy);
                self.forming = Some(Forming { formation, ticks: 0, said: None });
            }
            (None, _) => {}
        }
        self.follow_members();
        self.partitions_changed(now, fx);
    }

    /// Whether this node may speak to all nodes of a view: journals let nobody in before.
    pub(super) fn knows_all(&self, view: &View) -> bool {
        let is_known = |node: &NodeId| *node == self.config.node || self.config.peers.contains(node);
        view.nodes.keys().all(is_known)
    }

    /// Running journals learn which replica each node is to have.
    pub(super) fn follow_members(&mut self) {
        if !self.knows_all(&self.view) {
            return;
        }
        for journal in self.journals.values_mut().filter_map(Slot::journal_mut) {
            journal.follow_members(&self.view);
        }
    }
}
