//! Where a new partition goes: which journal, by replica set, lane, preferred leader and life, and
//! never more journals than there are such combinations in use (decision 1).

use super::command::Place;
use super::command_error::CommandError;
use super::life::Life;
use super::nodes::NodeView;
use super::view::JournalView;
use crate::ids::{Incarnation, JournalId, LaneId, NodeId};
use crate::rng::mix;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A segment rolls at its length or at this many batches, so that its index stays bounded too.
pub const BATCHES_PER_SEGMENT_MAX: u32 = 262_144;

/// All journals, and how many partitions each has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journals {
    pub by_id: BTreeMap<JournalId, Arc<JournalView>>,
    pub partitions: BTreeMap<JournalId, u32>,
    /// The next journal's number; none is used twice.
    pub next: u64,
}

/// What the partitions to be placed have in common.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub life: Life,
    pub replication_factor: u16,
    pub lanes: u16,
    pub segment_bytes: u64,
    /// Drawn by the proposer; secrets of new journals follow from it.
    pub entropy: u64,
}

/// A lane under a preferred leader: what partitions are spread over.
struct Slot {
    lane: LaneId,
    leader_at: usize,
    of_topic: u32,
    of_cluster: u32,
    journal: Option<JournalId>,
}

/// The secret of the meta journal, which every node must know before it can read that journal:
/// from all incarnations, which clients never see.
pub fn meta_journal_secret(members: &[(NodeId, Incarnation)]) -> u64 {
    let mut incarnations: Vec<u128> = members.iter().map(|(_, incarnation)| incarnation.0).collect();
    incarnations.sort_unstable();
    incarnations.iter().fold(0x6D65_7461, |secret, &incarnation| {
        let (low, high) = (incarnation as u64, (incarnation >> 64) as u64);
        mix(mix(secret ^ low).wrapping_add(high))
    })
}

/// The preferred leader first, then its neighbours in the ring of node ids, those first in whose
/// racks there are fewest of the set: replicas share a rack only when there are not enough. A node
/// without a rack stands in one of its own.
fn replica_set(
    nodes: &BTreeMap<NodeId, Arc<NodeView>>,
    order: &[NodeId],
    leader_at: usize,
    factor: usize,
) -> Vec<NodeId> {
    extended_set(nodes, order, vec![order[leader_at]], factor)
}

/// The same, of a set that is begun.
pub(super) fn extended_set(
    nodes: &BTreeMap<NodeId, Arc<NodeView>>,
    order: &[NodeId],
    mut set: Vec<NodeId>,
    factor: usize,
) -> Vec<NodeId> {
    let rack = |node: &NodeId| nodes[node].advertised.rack.as_deref();
    let leader_at = order.binary_search(&set[0]).expect("a replica is on a node");
    while set.len() < factor {
        let ring = (1..order.len()).map(|at| order[(leader_at + at) % order.len()]);
        let of_its_rack = |node: &NodeId| {
            let shares = |other: &&NodeId| rack(node).is_some() && rack(node) == rack(other);
            set.iter().filter(shares).count()
        };
        let next = ring.filter(|node| !set.contains(node)).min_by_key(of_its_rack);
        set.push(next.expect("no more replicas than nodes"));
    }
    set
}

impl Journals {
    /// A journal for each of `count` new partitions of a topic that has `existing` ones. Makes
    /// the journals that are missing.
    pub fn place(
        &mut self,
        nodes: &BTreeMap<NodeId, Arc<NodeView>>,
        request: Request,
        existing: &[JournalId],
        count: u32,
    ) -> Vec<JournalId> {
        assert!(usize::from(request.replication_factor) <= nodes.len() && request.lanes > 0);
        let order: Vec<NodeId> = nodes.keys().copied().collect();
        let mut slots = self.slots(&order, request.lanes, existing);
        let choose = |_| {
            let least = slots
                .iter_mut()
                .min_by_key(|slot| (slot.of_topic, slot.of_cluster))
                .expect("there are lanes and nodes");
            least.of_topic += 1;
            least.of_cluster += 1;
            let journal = *least.journal.get_or_insert_with(|| {
                self.find_or_make(nodes, &order, least.lane, least.leader_at, request)
            });
            *self.partitions.entry(journal).or_default() += 1;
            journal
        };
        (0..count).map(choose).collect()
    }

    /// The same where a client said which lane and nodes: a journal of these replicas under this
    /// preferred leader, whatever the order of the others.
    pub fn place_by_hand(
        &mut self,
        nodes: &BTreeMap<NodeId, Arc<NodeView>>,
        request: Request,
        places: &[Place],
    ) -> Vec<JournalId> {
        let order: Vec<NodeId> = nodes.keys().copied().collect();
        let mut found: BTreeMap<&Place, JournalId> = BTreeMap::new();
        let mut journals = Vec::with_capacity(places.len());
        for place in places {
            assert!(place.lane.0 < request.lanes, "lane {} of {}", place.lane, request.lanes);
            let journal = match found.get(place) {
                Some(journal) => *journal,
                None => self.find_or_make_by_hand(nodes, &order, place, request),
            };
            found.insert(place, journal);
            *self.partitions.entry(journal).or_default() += 1;
            journals.push(journal);
        }
        journals
    }

    fn find_or_make_by_hand(
        &mut self,
        nodes: &BTreeMap<NodeId, Arc<NodeView>>,
        order: &[NodeId],
        place: &Place,
        request: Request,
    ) -> JournalId {
        let set = |replicas: &[NodeId]| replicas.iter().copied().collect::<BTreeSet<NodeId>>();
        let (leader, wanted) = (place.replicas[0], set(&place.replicas));
        let alike = |journal: &&Arc<JournalView>| {
            journal.lane == place.lane
                && journal.life == request.life
                && journal.replicas[0] == leader
                && set(&journal.replicas) == wanted
        };
        if let Some(journal) = self.by_id.values().find(alike) {
            return journal.id;
        }
        // In the order in which the placement would have them, so that it finds this journal, too.
        let leader_at = order.binary_search(&leader).expect("checked by the rules");
        let usual = replica_set(nodes, order, leader_at, wanted.len());
        let replicas = if set(&usual) == wanted { usual } else { place.replicas.clone() };
        self.make(nodes, place.lane, replicas, request)
    }

    /// Entries that may have given numbers are lost.
    pub fn skip_lost_numbers(&mut self, after: impl Fn(u64) -> u64) {
        self.next = after(self.next);
    }

    /// A partition of this journal is gone. The journal stays: it serves the next one.
    pub fn forget_partition(&mut self, journal: JournalId) {
        let partitions = self.partitions.get_mut(&journal).expect("the journal has this partition");
        *partitions -= 1;
        if *partitions == 0 {
            self.partitions.remove(&journal);
        }
    }

    /// All slots, neighbours on different nodes, with what they hold.
    fn slots(&self, order: &[NodeId], lanes: u16, existing: &[JournalId]) -> Vec<Slot> {
        let mut slots = Vec::with_capacity(usize::from(lanes) * order.len());
        for lane in 0..lanes {
            for leader_at in 0..order.len() {
                let lane = LaneId(lane);
                slots.push(Slot { lane, leader_at, of_topic: 0, of_cluster: 0, journal: None });
            }
        }
        let at = |id: &JournalId| {
            let journal = &self.by_id[id];
            let leader_at = order.binary_search(&journal.replicas[0]).ok()?;
            Some(usize::from(journal.lane.0) * order.len() + leader_at)
        };
        for (id, partitions) in &self.partitions {
            if let Some(slot) = at(id).and_then(|at| slots.get_mut(at)) {
                slot.of_cluster += partitions;
            }
        }
        for id in existing {
            if let Some(slot) = at(id).and_then(|at| slots.get_mut(at)) {
                slot.of_topic += 1;
            }
        }
        slots
    }

    fn find_or_make(
        &mut self,
        nodes: &BTreeMap<NodeId, Arc<NodeView>>,
        order: &[NodeId],
        lane: LaneId,
        leader_at: usize,
        request: Request,
    ) -> JournalId {
        let replicas = replica_set(nodes, order, leader_at, usize::from(request.replication_factor));
        let alike = |journal: &&Arc<JournalView>| {
            journal.lane == lane && journal.life == request.life && journal.replicas == replicas
        };
        if let Some(journal) = self.by_id.values().find(alike) {
            return journal.id;
        }
        self.make(nodes, lane, replicas, request)
    }

    fn make(
        &mut self,
        nodes: &BTreeMap<NodeId, Arc<NodeView>>,
        lane: LaneId,
        replicas: Vec<NodeId>,
        request: Request,
    ) -> JournalId {
        let id = JournalId(self.next);
        self.next += 1;
        let journal = JournalView {
            id,
            lane,
            life: request.life,
            voters: replicas.iter().map(|node| nodes[node].raft_id).collect(),
            renewed: Vec::new(),
            replicas,
            secret: mix(mix(request.entropy).wrapping_add(mix(id.0))),
            segment_bytes: request.segment_bytes,
            batches_per_segment_max: BATCHES_PER_SEGMENT_MAX,
        };
        let before = self.by_id.insert(id, Arc::new(journal));
        assert!(before.is_none(), "journal {id} was there already");
        id
    }

    /// The meta journal, on all members.
    pub fn form(
        &mut self,
        nodes: &BTreeMap<NodeId, Arc<NodeView>>,
        secret: u64,
        segment_bytes: u64,
    ) -> Result<(), CommandError> {
        if !self.by_id.is_empty() {
            return Err(CommandError::InvalidRequest("the cluster is formed already".to_owned()));
        }
        let meta = JournalView {
            id: crate::ids::META_JOURNAL,
            lane: LaneId(0),
            life: Life::Meta,
            replicas: nodes.keys().copied().collect(),
            voters: nodes.values().map(|node| node.raft_id).collect(),
            renewed: Vec::new(),
            secret,
            segment_bytes,
            batches_per_segment_max: BATCHES_PER_SEGMENT_MAX,
        };
        self.by_id.insert(meta.id, Arc::new(meta));
        self.next = 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::nodes::Advertised;
    use crate::ids::RaftId;

    fn nodes(count: u32) -> BTreeMap<NodeId, Arc<NodeView>> {
        let node = |id: u32| {
            let view = NodeView {
                node: NodeId(id),
                incarnation: Incarnation(id.into()),
                raft_id: RaftId(u64::from(id) + 1),
                former: Vec::new(),
                shards: 4,
                advertised: Advertised::default(),
            };
            (NodeId(id), Arc::new(view))
        };
        (0..count).map(node).collect()
    }

    fn request(replication_factor: u16, lanes: u16) -> Request {
        Request { life: Life::Finite, replication_factor, lanes, segment_bytes: 1 << 28, entropy: 7 }
    }

    fn formed(nodes: &BTreeMap<NodeId, Arc<NodeView>>) -> Journals {
        let mut journals = Journals::default();
        journals.form(nodes, 1, 1 << 28).unwrap();
        journals
    }

    #[test]
    fn partitions_spread_over_lanes_and_share_their_journals() {
        let nodes = nodes(1);
        let mut journals = formed(&nodes);
        let first = journals.place(&nodes, request(1, 4), &[], 10);
        assert_eq!(journals.by_id.len(), 1 + 4);
        let again = journals.place(&nodes, request(1, 4), &[], 2);
        assert_eq!(journals.by_id.len(), 1 + 4, "no more journals than combinations");
        assert_eq!(first[..4], [JournalId(1), JournalId(2), JournalId(3), JournalId(4)]);
        assert_eq!(again, [JournalId(3), JournalId(4)], "the lanes with fewest partitions");
        let counts: Vec<u32> = journals.partitions.values().copied().collect();
        assert_eq!(counts, [3, 3, 3, 3]);
        let more = journals.place(&nodes, request(1, 4), &again, 2);
        assert_eq!(more, [JournalId(1), JournalId(2)], "the topic's own partitions count first");
        journals.forget_partition(JournalId(1));
        assert_eq!(journals.partitions[&JournalId(1)], 3);
    }

    #[test]
    fn different_lives_never_share_a_journal() {
        let nodes = nodes(1);
        let mut journals = formed(&nodes);
        let finite = journals.place(&nodes, request(1, 1), &[], 1);
        let infinite = journals.place(&nodes, Request { life: Life::Infinite, ..request(1, 1) }, &[], 1);
        assert_ne!(finite, infinite);
        let secrets: Vec<u64> = journals.by_id.values().map(|journal| journal.secret).collect();
        assert!(secrets[1] != secrets[2]);
    }

    #[test]
    fn replicas_are_a_ring_and_every_node_leads_its_share() {
        let nodes = nodes(5);
        let mut journals = formed(&nodes);
        let placed = journals.place(&nodes, request(3, 2), &[], 20);
        assert_eq!(journals.by_id.len(), 1 + 10);
        let led_by_0 = placed.iter().filter(|id| journals.by_id[id].replicas[0] == NodeId(0)).count();
        assert_eq!(led_by_0, 4);
        let last = &journals.by_id[&placed[4]];
        assert_eq!(last.replicas, [NodeId(4), NodeId(0), NodeId(1)]);
        assert_eq!(last.voters, [RaftId(5), RaftId(1), RaftId(2)]);
    }

    #[test]
    fn replicas_stand_in_different_racks_where_there_are_enough() {
        let mut nodes = nodes(5);
        let racks = [Some("a"), Some("a"), Some("b"), Some("a"), Some("c")];
        for (node, rack) in nodes.values_mut().zip(racks) {
            Arc::get_mut(node).expect("the only one").advertised.rack = rack.map(str::to_owned);
        }
        let order: Vec<NodeId> = nodes.keys().copied().collect();
        let set = |leader_at, factor| {
            replica_set(&nodes, &order, leader_at, factor).into_iter().map(|node| node.0).collect::<Vec<_>>()
        };
        assert_eq!(set(0, 3), [0, 2, 4], "node 1 stands in the leader's rack");
        assert_eq!(set(3, 3), [3, 4, 2]);
        assert_eq!(set(4, 3), [4, 0, 2]);
        assert_eq!(set(0, 5), [0, 2, 4, 1, 3], "the rest where all racks are taken");
        let unknown = super::tests::nodes(5);
        assert_eq!(replica_set(&unknown, &order, 1, 3), [1, 2, 3].map(NodeId), "no racks: the ring");
    }

    #[test]
    fn a_place_by_hand_finds_or_makes_the_journal_of_that_set_and_leader() {
        let nodes = nodes(5);
        let mut journals = formed(&nodes);
        let place = |lane, nodes: &[u32]| Place {
            lane: LaneId(lane),
            replicas: nodes.iter().copied().map(NodeId).collect(),
        };
        let request = request(3, 2);
        let hand = [place(0, &[1, 3, 2]), place(0, &[1, 2, 3]), place(1, &[1, 2, 3]), place(0, &[2, 1, 3])];
        let placed = journals.place_by_hand(&nodes, request, &hand);
        assert_eq!(placed, [1, 1, 2, 3].map(JournalId), "set, leader and lane tell journals apart");
        assert_eq!(journals.by_id[&JournalId(1)].replicas, [1, 2, 3].map(NodeId), "as the placement has it");
        assert_eq!(journals.by_id[&JournalId(1)].voters, [2, 3, 4].map(RaftId));
        assert_eq!(journals.by_id[&JournalId(3)].replicas, [2, 1, 3].map(NodeId), "which has no such set");
        assert_eq!(journals.partitions[&JournalId(1)], 2);
        let life = Life::Infinite;
        let other = journals.place_by_hand(&nodes, Request { life, ..request }, &hand[..1]);
        assert_eq!(other, [JournalId(4)], "nor do different lives share one");
        journals.place(&nodes, request, &[], 10);
        let of_1 = journals
            .by_id
            .values()
            .filter(|journal| journal.replicas[0] == NodeId(1) && journal.life == Life::Finite);
        assert_eq!(of_1.count(), 2, "the placement uses what was made by hand");
    }

    #[test]
    fn the_meta_secret_does_not_depend_on_the_order_of_members() {
        let (a, b) = ((NodeId(1), Incarnation(5)), (NodeId(2), Incarnation(6 << 64)));
        assert_eq!(meta_journal_secret(&[a, b]), meta_journal_secret(&[b, a]));
        assert_ne!(meta_journal_secret(&[a, b]), meta_journal_secret(&[a]));
    }
}
