//! The replicas of a journal: which node has which, who is to be a member, and how a leader gets
//! there.
//!
//! The metadata says which replica each node is to have; a node that lost its disk has a new one.
//! The leader compares that with the members and takes the next step, one change at a time, each
//! from what is committed: whoever leads next goes on from there.

use crate::control::View;
use crate::control::view::JournalView;
use crate::ids::{Index, NodeId, RaftId};
use crate::raft::{Change, Membership};
use std::collections::{BTreeMap, BTreeSet};

/// Which node has which replica.
#[derive(Debug, Default)]
pub struct Members {
    pub(in crate::journal) known: BTreeMap<RaftId, NodeId>,
    /// Replicas that the metadata here does not name yet: the newest one that each node sent from.
    pub(in crate::journal) heard: BTreeMap<NodeId, RaftId>,
    /// The replica that each node is to have; empty before the metadata says.
    pub(in crate::journal) wanted: Vec<(NodeId, RaftId)>,
    /// Of the changes seen to be committed since the start, the last one is at most here.
    pub(in crate::journal) changed: Index,
}

impl Members {
    pub fn new(known: Vec<(RaftId, NodeId)>) -> Self {
        Self { known: known.into_iter().collect(), ..Self::default() }
    }

    /// The node of a replica.
    pub fn node_of(&self, id: RaftId) -> Option<NodeId> {
        let heard = || self.heard.iter().find(|(_, heard)| **heard == id).map(|(node, _)| *node);
        self.known.get(&id).copied().or_else(heard)
    }

    /// The nodes that have or had a replica, but for that of this one.
    pub fn nodes_but(&self, own: RaftId) -> Vec<NodeId> {
        let here = self.node_of(own);
        let nodes: BTreeSet<NodeId> = self.known.values().copied().collect();
        nodes.into_iter().filter(|node| Some(*node) != here).collect()
    }

    /// The replica that a node has, as far as is known: raft ids rise.
    pub fn newest_of(&self, node: NodeId) -> Option<RaftId> {
        let known = self.known.iter().filter(|(_, of)| **of == node).map(|(id, _)| *id);
        known.chain(self.heard.get(&node).copied()).max()
    }

    pub fn all(&self) -> Vec<(RaftId, NodeId)> {
        self.known.iter().map(|(id, node)| (*id, *node)).collect()
    }

    /// Takes note of who sent. True when that may be a member whose entry is not here yet: raft ids
    /// rise, so it is newer than all of its node that are members here.
    pub fn hear(&mut self, node: NodeId, id: RaftId, members: &Membership) -> bool {
        let is_member = members.contains(id);
        let of_node = members.ids().filter(|member| self.node_of(*member) == Some(node));
        let is_newer = !is_member && of_node.max().is_none_or(|newest| newest < id);
        // The members may come with a checkpoint, long before the metadata that names them.
        if (is_member || is_newer)
            && !self.known.contains_key(&id)
            && self.heard.get(&node).is_none_or(|heard| *heard < id)
        {
            self.heard.insert(node, id);
        }
        is_newer
    }

    pub(in crate::journal) fn follow(&mut self, view: &View, journal: &JournalView) {
        let nodes = || journal.replicas.iter().filter_map(|node| view.nodes.get(node));
        for node in nodes() {
            self.known.extend(journal.raft_ids_of(node).map(|id| (id, node.node)));
        }
        self.wanted = nodes().map(|node| (node.node, journal.raft_id_of(node))).collect();
    }

    /// The node of this replica is to have another one: its disk is lost.
    pub fn is_replaced(&self, id: RaftId) -> bool {
        let node = self.node_of(id);
        self.wanted.iter().any(|(of, wanted)| Some(*of) == node && *wanted != id)
    }

    /// The next step from the members that there are to those that are wanted.
    pub(in crate::journal) fn next_change(
        &self,
        members: &Membership,
        own: RaftId,
        is_caught_up: impl Fn(RaftId) -> bool + Copy,
    ) -> Option<Change> {
        if members.is_joint() {
            return Some(Change::Leave);
        }
        let is_wanted = |id: &RaftId| self.wanted.iter().any(|(_, wanted)| wanted == id);
        if let Some(lost) = members.learners.iter().find(|id| !is_wanted(id)) {
            return Some(Change::RemoveLearner(*lost));
        }
        let step = |(node, id): &(NodeId, RaftId)| {
            let of_node = |voter: &&RaftId| self.node_of(**voter) == Some(*node);
            let out = *members.voters.iter().find(of_node).filter(|voter| **voter != *id)?;
            match members.learners.contains(id) {
                // A leader does not remove itself. Its node came back under this raft id with an
                // older disk: no other replica of that node can be alive.
                _ if out == own => None,
                false => Some(Change::AddLearner(*id)),
                true => is_caught_up(*id).then_some(Change::Swap { out, into: *id }),
            }
        };
        self.wanted.iter().find_map(step).or_else(|| self.next_to_grow(members, is_caught_up))
    }

    /// The next step towards more voters: replicas of nodes that have none learn, and take part two by two.
    fn next_to_grow(&self, members: &Membership, is_caught_up: impl Fn(RaftId) -> bool) -> Option<Change> {
        let has_voter = |node: NodeId| members.voters.iter().any(|voter| self.node_of(*voter) == Some(node));
        let new: Vec<RaftId> =
            self.wanted.iter().filter(|(node, _)| !has_voter(*node)).map(|(_, id)| *id).collect();
        if let Some(missing) = new.iter().find(|id| !members.contains(**id)) {
            return Some(Change::AddLearner(*missing));
        }
        match new.into_iter().filter(|id| is_caught_up(*id)).collect::<Vec<_>>()[..] {
            // An even number of voters bears no more than one fewer.
            [one, other, ..] => Some(Change::Grow { one, other }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: &[u64]) -> Vec<RaftId> {
        numbers.iter().copied().map(RaftId).collect()
    }

    fn members(wanted: [u64; 3]) -> Members {
        let known = [(1, 1), (2, 2), (3, 3), (4, 3), (5, 3)];
        let known = known.map(|(id, node)| (RaftId(id), NodeId(node)));
        let mut members = Members::new(known.to_vec());
        members.wanted = [1, 2, 3].map(NodeId).into_iter().zip(wanted.map(RaftId)).collect();
        members
    }

    #[test]
    fn a_leader_goes_on_from_wherever_the_members_are() {
        let own = RaftId(1);
        let mut at = Membership::first(&ids(&[1, 2, 3]));
        let mut taken = Vec::new();
        while let Some(change) = members([1, 2, 4]).next_change(&at, own, |_| true) {
            at = at.changed(change).expect("it fits");
            taken.push(change);
        }
        let swap = Change::Swap { out: RaftId(3), into: RaftId(4) };
        assert_eq!(taken, [Change::AddLearner(RaftId(4)), swap, Change::Leave]);
        assert_eq!(at, Membership::first(&ids(&[1, 2, 4])));
        assert_eq!(
            (members([1, 2, 4]).is_replaced(RaftId(3)), members([1, 2, 3]).is_replaced(RaftId(3))),
            (true, false)
        );
        assert_eq!(members([1, 2, 4]).next_change(&at, RaftId(4), |_| true), None);
    }

    #[test]
    fn one_voter_becomes_three_and_five_by_way_of_learners() {
        let known = (1..=5).map(|id| (RaftId(id + 10 * u64::from(id > 1)), NodeId(id as u32))).collect();
        let mut here = Members::new(known);
        let wanted = [(1, 1), (2, 12), (3, 13), (4, 14), (5, 15)];
        let mut at = Membership::first(&ids(&[1]));
        for (count, voters) in [(3, vec![1, 12, 13]), (5, vec![1, 12, 13, 14, 15])] {
            here.wanted = wanted[..count].iter().map(|(node, id)| (NodeId(*node), RaftId(*id))).collect();
            let mut taken = Vec::new();
            while let Some(change) = here.next_change(&at, RaftId(1), |id| at.learners.contains(&id)) {
                at = at.changed(change).expect("it fits");
                taken.push(change);
            }
            let [one, other] = [voters[count - 2], voters[count - 1]].map(RaftId);
            let learn = [Change::AddLearner(one), Change::AddLearner(other)];
            assert_eq!(taken, [&learn[..], &[Change::Grow { one, other }, Change::Leave]].concat());
            assert_eq!(at, Membership::first(&ids(&voters)));
        }
    }

    #[test]
    fn voters_stay_as_they_are_until_both_new_ones_have_all() {
        let mut here = Members::new((1..=3).map(|id| (RaftId(id.into()), NodeId(id))).collect());
        here.wanted = (1..=3).map(|id| (NodeId(id), RaftId(id.into()))).collect();
        let at = Membership { learners: ids(&[2, 3]), ..Membership::first(&ids(&[1])) };
        assert_eq!(here.next_change(&at, RaftId(1), |id| id == RaftId(2)), None);
        here.wanted.truncate(1);
        assert_eq!(here.next_change(&at, RaftId(1), |_| true), Some(Change::RemoveLearner(RaftId(2))));
    }

    #[test]
    fn a_learner_waits_until_it_has_all_and_a_lost_one_goes() {
        let at = Membership { learners: ids(&[4]), ..Membership::first(&ids(&[1, 2, 3])) };
        assert_eq!(members([1, 2, 4]).next_change(&at, RaftId(1), |_| false), None);
        let lost = members([1, 2, 5]).next_change(&at, RaftId(1), |_| true);
        assert_eq!(lost, Some(Change::RemoveLearner(RaftId(4))));
        assert_eq!(members([1, 2, 4]).next_change(&at, RaftId(3), |_| true), None, "not the leader itself");
    }

    #[test]
    fn whoever_is_newer_than_its_nodes_members_may_be_one() {
        let at = Membership::first(&ids(&[1, 2, 3]));
        let mut here = members([1, 2, 3]);
        assert!(!here.hear(NodeId(3), RaftId(3), &at), "it is one");
        assert!(here.hear(NodeId(3), RaftId(4), &at));
        assert!(here.hear(NodeId(2), RaftId(9), &at));
        assert_eq!(here.node_of(RaftId(9)), Some(NodeId(2)));
        let later = Membership::first(&ids(&[1, 2, 5]));
        assert!(!here.hear(NodeId(3), RaftId(4), &later), "it was one");
        let unnamed = Membership::first(&ids(&[1, 7, 5]));
        assert!(!here.hear(NodeId(2), RaftId(7), &unnamed), "it is one, by a checkpoint");
        let mut empty = Members::default();
        empty.hear(NodeId(2), RaftId(7), &unnamed);
        assert_eq!(empty.node_of(RaftId(7)), Some(NodeId(2)));
    }
}
