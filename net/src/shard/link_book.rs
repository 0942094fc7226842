//! Since when other nodes are linked, and which topics a journal has: what the first shard keeps between two looks at
//! whether nodes may stop.

use engine::control::View;
use engine::health::Topics;
use engine::ids::{Index, JournalId, NodeId};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A leader counts a follower as in sync for so long after it had all; one that is linked for as long is so still.
const STANDS_FOR: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct LinkBook {
    since: BTreeMap<NodeId, Instant>,
    /// Names of each journal's topics, as of a view.
    topics: (Index, BTreeMap<JournalId, Vec<String>>),
}

impl LinkBook {
    pub fn lives(&mut self, node: NodeId, up: bool, now: Instant) {
        if up {
            self.since.insert(node, now)
        } else {
            self.since.remove(&node)
        };
    }

    /// Whether what a leader says of a node's replicas is so.
    pub fn stands(&self, node: NodeId, now: Instant) -> bool {
        self.since.get(&node).is_some_and(|since| now.saturating_duration_since(*since) >= STANDS_FOR)
    }

    /// Looks through all partitions, once for each view.
    pub fn learn_topics(&mut self, view: &View) {
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

    /// Some topics of a journal.
    pub fn topics_of(&self, journal: JournalId) -> Vec<String> {
        self.topics.1.get(&journal).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::apis::admin::fixture::Cluster;

    #[test]
    fn a_node_counts_once_it_is_linked_for_long_enough() {
        let (node, begun) = (NodeId(2), Instant::now());
        let mut book = LinkBook::default();
        assert!(!book.stands(node, begun));
        book.lives(node, true, begun);
        assert!(!book.stands(node, begun + STANDS_FOR / 2) && book.stands(node, begun + STANDS_FOR));
        book.lives(node, false, begun + STANDS_FOR);
        assert!(!book.stands(node, begun + 2 * STANDS_FOR));
    }

    #[test]
    fn topics_are_learned_with_a_new_view() {
        let mut book = LinkBook::default();
        let mut cluster = Cluster::new(1).with_topic("a", 1, 2);
        book.learn_topics(&cluster.view());
        assert_eq!(book.topics_of(JournalId(1)), ["a"]);
        assert!(book.topics_of(JournalId(0)).is_empty());
        book.learn_topics(&cluster.with_topic("b", 2, 1).view());
        assert_eq!(book.topics_of(JournalId(1)), ["a", "b"]);
    }
}
