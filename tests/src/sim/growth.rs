//! Journals that get more replicas while a run goes on: what must have come of it.

use super::node::Node;
use super::run::Run;
use super::world::World;
use engine::ids::{NodeId, RaftId};
use engine::port::Event;
use engine::raft::{Change, Membership};

impl Run {
    /// A replica that becomes a voter has what the others had: a check of its node's disk, where it runs.
    pub(super) fn judge_growth(&self, leader: usize, event: &Event) {
        let Event::MembersChanged { journal, change: Change::Grow { one, other }, .. } = event else {
            return;
        };
        let view = self.world.nodes[leader].view();
        let Some(of_journal) = view.journals.get(journal) else { return };
        for id in [one, other] {
            let has_it = |node: &&NodeId| of_journal.raft_id_of(&view.nodes[*node]) == *id;
            let Some(node) = of_journal.replicas.iter().find(has_it) else { continue };
            let here = &self.world.nodes[node.0 as usize];
            if !here.is_ready() {
                continue;
            }
            let mut replicas = here.shards.iter().filter_map(|slot| slot.shard.journal(*journal));
            let last = replicas.next().map_or(0, |replica| replica.metrics().last);
            assert!(
                last > 0,
                "replica {id} of journal {journal} becomes a voter on node {node} and has nothing"
            );
        }
    }

    /// Every change of members comes to its end once faults cease.
    pub(super) fn end_growth(&mut self) {
        self.until("every journal has the members that it is to have", |run| {
            members_are_as_wanted(&run.world)
        });
        self.world.counts.add("run with more copies");
    }
}

/// Each replica knows the members that the metadata has, and no others.
fn members_are_as_wanted(world: &World) -> bool {
    let newest = world.nodes.iter().map(Node::view).max_by_key(|view| view.version);
    let Some(view) = newest else { return false };
    view.journals.values().all(|journal| {
        let mut wanted: Vec<RaftId> =
            journal.replicas.iter().map(|node| journal.raft_id_of(&view.nodes[node])).collect();
        wanted.sort_unstable();
        journal.replicas.iter().all(|node| {
            let mut shards = world.nodes[node.0 as usize].shards.iter();
            let replica = shards.find_map(|slot| slot.shard.journal(journal.id));
            replica.is_some_and(|replica| *replica.membership() == Membership::first(&wanted))
        })
    })
}
