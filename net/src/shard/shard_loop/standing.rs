//! What the first shard tells about every journal, for those who ask whether a node may stop.

use super::ShardLoop;
use crate::observe::may_stop::{JournalStanding, Standing};
use engine::control::View;
use engine::health::Topics;
use engine::ids::{Index, JournalId, NodeId, ShardId};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A leader counts a follower as in sync for so long after it had all; one that is linked for as long is so
/// still.
const STANDS_FOR: Duration = Duration::from_secs(10);

/// What is kept between two looks.
#[derive(Default)]
pub(super) struct StandingBook {
    /// Since when each other node is linked.
    since: BTreeMap<NodeId, Instant>,
    /// Names of each journal's topics, as of a view.
    topics: (Index, BTreeMap<JournalId, Vec<String>>),
}

impl StandingBook {
    pub(super) fn lives(&mut self, node: NodeId, up: bool) {
        if up {
            self.since.insert(node, Instant::now())
        } else {
            self.since.remove(&node)
        };
    }

    fn learn_topics(&mut self, view: &View) {
        if self.topics.0 == view.version {
            return;
        }
        let mut topics: BTreeMap<JournalId, Vec<String>> = BTreeMap::new();
        for topic in view.topics.values() {
            for span in topic.partitions.iter().filter_map(|partition| partition.spans.last()) {
                let names = topics.entry(span.journal).or_default();
                if names.len() < Topics::NAMED_MAX && names.last().is_none_or(|last| **last != *topic.name) {
                    names.push(topic.name.to_string());
                }
            }
        }
        self.topics = (view.version, topics);
    }

    fn stands(&self, node: NodeId) -> bool {
        self.since.get(&node).is_some_and(|since| since.elapsed() >= STANDS_FOR)
    }
}

impl ShardLoop {
    /// On the first shard, about once a second.
    pub(super) fn publish_standing(&self) {
        if self.shard() != ShardId(0) {
            return;
        }
        let (view, own) = (self.view(), self.config.node);
        let (mut book, leaders) = (self.standing.borrow_mut(), self.leaders.borrow());
        book.learn_topics(&view);
        let stands = |node: &&NodeId| **node == own || book.stands(**node);
        let numbers = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect();
        let journals = view.journals.values().map(|journal| {
            let known = leaders.get(journal.id);
            let in_sync = known.map_or(&[][..], |known| &known.in_sync);
            JournalStanding {
                journal: journal.id.0,
                topics: book.topics.1.get(&journal.id).cloned().unwrap_or_default(),
                replicas: numbers(&journal.replicas),
                leader: known.and_then(|known| known.leader).map(|leader| leader.0),
                whole: in_sync.iter().filter(stands).map(|node| node.0).collect(),
            }
        });
        let nodes = view.nodes.keys().map(|node| node.0).collect();
        self.status.publish_standing(Standing { node: own.0, nodes, journals: journals.collect() });
    }
}
