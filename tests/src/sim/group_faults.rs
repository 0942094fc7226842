//! A run's second part, where there are groups: the other clients rest, time goes on, and nodes
//! fail at times; half of them lead a journal of the offsets topic, so that coordinators fail over.

use super::faults::Fault;
use super::node::Node;
use super::run::Run;
use engine::groups::OFFSETS_TOPIC;

const MS: u64 = 1_000_000;
/// Between two faults: a failover takes about half a second, a session as long.
const CALM_NS_MAX: u64 = 1_200 * MS;
const FAULTS: [Fault; 9] = [
    Fault::Kill,
    Fault::Kill,
    Fault::PowerCut,
    Fault::PowerCut,
    Fault::CleanStop,
    Fault::Pause,
    Fault::Isolated,
    Fault::Mute,
    Fault::LinksBroken,
];
/// A lone node has nobody to be parted from.
const FAULTS_ALONE: usize = 6;

impl Run {
    pub(super) fn work_of_groups(&mut self) {
        if self.model.groups.is_empty() && !self.world.transacts {
            return;
        }
        let nodes = self.world.nodes.len();
        self.idle_until_ns = u64::MAX;
        for _ in 0..2 + self.rng.below(3) {
            let until_ns = self.world.now_ns + self.rng.below(CALM_NS_MAX);
            while self.world.now_ns < until_ns {
                self.step();
                self.faults_due();
            }
            let some = self.rng.below(nodes as u64) as usize;
            let node = if self.rng.one_in(2) { self.coordinator().unwrap_or(some) } else { some };
            let kinds = if nodes == 1 { FAULTS_ALONE } else { FAULTS.len() };
            let fault = FAULTS[self.rng.below(kinds as u64) as usize];
            if self.world.nodes[node].is_ready() {
                self.strike(node, fault);
            }
            if nodes > 1 && self.rng.one_in(2) {
                self.strike_a_voter();
            }
        }
        self.rest(CALM_NS_MAX);
    }

    /// The power fails of a node that writes its vote down.
    fn strike_a_voter(&mut self) {
        let until_ns = self.world.now_ns + CALM_NS_MAX;
        while self.world.now_ns < until_ns {
            self.step();
            self.faults_due();
            if let Some(node) = self.world.nodes.iter().position(votes) {
                for _ in 0..self.rng.below(12) {
                    self.step();
                }
                self.world.counts.add("power fails of a node that votes");
                return self.strike(node, Fault::PowerCut);
            }
        }
    }

    /// A node that leads a journal of the offsets topic.
    fn coordinator(&self) -> Option<usize> {
        let newest = self.world.nodes.iter().map(|node| node.view()).max_by_key(|view| view.version)?;
        let partition = newest.topics.get(OFFSETS_TOPIC)?.partitions.first()?;
        let journal = partition.spans.last()?.journal;
        let leads = |node: &Node| {
            let mut journals = node.shards.iter().filter_map(|slot| slot.shard.journal(journal));
            journals.any(|journal| journal.is_settled())
        };
        self.world.nodes.iter().position(leads)
    }
}

/// Whether it serves, and a hard state is on its way to its disk.
fn votes(node: &Node) -> bool {
    let is_vote = |(owner, request)| node.disk.subject(owner, request).ends_with("hard-state");
    node.is_ready() && node.disk.in_flight().any(is_vote)
}
