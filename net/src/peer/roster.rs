//! Which shards of which nodes a shard is to be linked to: those with which it shares a lane.

use super::handshake::share_a_lane;
use engine::control::View;
use engine::ids::{LaneId, NodeId, ShardId};
use std::collections::BTreeMap;

/// Which shard of which node this is.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub node: NodeId,
    pub shard: ShardId,
    /// Shards of this node.
    pub shards: u16,
}

/// The other nodes, and how many shards each has.
#[derive(Debug, Default)]
pub struct Roster {
    /// Zero shards: not known yet.
    nodes: BTreeMap<NodeId, u16>,
    /// Zero until the cluster is formed.
    lanes: u16,
}

impl Roster {
    pub fn new(listed: &[NodeId]) -> Self {
        Self { nodes: listed.iter().map(|node| (*node, 0)).collect(), lanes: 0 }
    }

    pub fn follow(&mut self, view: &View) {
        self.lanes = view.lanes;
        for node in view.nodes.values() {
            self.nodes.insert(node.node, node.shards);
        }
    }

    /// Nodes that may be there, and of which the metadata says no more.
    pub fn learn(&mut self, nodes: &[NodeId]) {
        for node in nodes {
            self.nodes.entry(*node).or_default();
        }
    }

    pub fn lanes(&self) -> u16 {
        self.lanes
    }

    /// All shards of all other nodes that this shard of so many is to be linked to.
    pub fn wanted(&self, shard: ShardId, shards: u16) -> Vec<(NodeId, ShardId)> {
        let mut wanted = Vec::new();
        for (node, theirs) in &self.nodes {
            // Formation and lane 0 are shards 0's, whatever else is known.
            let share = |their: &ShardId| {
                let are_first = shard.0 == 0 && their.0 == 0;
                are_first || *theirs > 0 && share_a_lane(self.lanes, (shard, shards), (*their, *theirs))
            };
            let all = (0..(*theirs).max(1)).map(ShardId);
            wanted.extend(all.filter(share).map(|their| (*node, their)));
        }
        wanted
    }

    /// The lanes that a link carries.
    pub fn common_lanes(&self, ours: Place, (shard, shards): (ShardId, u16)) -> Vec<LaneId> {
        let is_common = |lane: &LaneId| lane.shard(ours.shards) == ours.shard && lane.shard(shards) == shard;
        (0..self.lanes.max(1)).map(LaneId).filter(is_common).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::control::nodes::{Advertised, NodeView};
    use engine::ids::{Incarnation, RaftId};
    use std::sync::Arc;

    fn view(lanes: u16, nodes: &[(u32, u16)]) -> View {
        let mut view = View { lanes, ..View::default() };
        for (node, shards) in nodes {
            let node = NodeView {
                node: NodeId(*node),
                incarnation: Incarnation(0),
                raft_id: RaftId(u64::from(*node)),
                former: Vec::new(),
                shards: *shards,
                advertised: Advertised::default(),
            };
            view.nodes.insert(node.node, Arc::new(node));
        }
        view
    }

    fn wanted(roster: &Roster, shard: u16) -> Vec<(u32, u16)> {
        roster.wanted(ShardId(shard), 2).into_iter().map(|(node, shard)| (node.0, shard.0)).collect()
    }

    #[test]
    fn shards_0_are_linked_from_the_start_and_the_others_by_lanes() {
        let mut roster = Roster::new(&[NodeId(2), NodeId(3)]);
        assert_eq!(wanted(&roster, 0), [(2, 0), (3, 0)]);
        assert_eq!(wanted(&roster, 1), []);
        roster.follow(&view(4, &[(2, 0), (3, 0)]));
        assert_eq!(wanted(&roster, 1), [], "a node that did not register");
        roster.follow(&view(4, &[(2, 2), (3, 4)]));
        assert_eq!(wanted(&roster, 0), [(2, 0), (3, 0), (3, 2)]);
        assert_eq!(wanted(&roster, 1), [(2, 1), (3, 1), (3, 3)]);
    }

    #[test]
    fn one_that_may_come_is_linked_as_one_that_did_not_register() {
        let mut roster = Roster::new(&[]);
        roster.follow(&view(2, &[(2, 2)]));
        roster.learn(&[NodeId(2), NodeId(3)]);
        assert_eq!(wanted(&roster, 0), [(2, 0), (3, 0)], "what is known stays");
        assert_eq!(wanted(&roster, 1), [(2, 1)]);
    }

    #[test]
    fn a_link_carries_the_lanes_that_both_its_shards_work() {
        let mut roster = Roster::new(&[NodeId(2)]);
        let place = |shard| Place { node: NodeId(1), shard: ShardId(shard), shards: 2 };
        let lanes = |roster: &Roster, shard, theirs| -> Vec<u16> {
            roster.common_lanes(place(shard), theirs).into_iter().map(|lane| lane.0).collect()
        };
        assert_eq!(lanes(&roster, 0, (ShardId(0), 1)), [0], "lane 0 is there before any is known");
        assert_eq!(lanes(&roster, 1, (ShardId(0), 1)), [0u16; 0]);
        roster.follow(&view(4, &[(2, 1)]));
        assert_eq!(lanes(&roster, 0, (ShardId(0), 1)), [0, 2]);
        assert_eq!(lanes(&roster, 1, (ShardId(0), 1)), [1, 3]);
    }
}
