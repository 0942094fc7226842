//! The topics that there are, as a group sees them.

use super::plan::TopicPlan;
use crate::control::View;
use crate::control::view::{PartitionView, TopicView};
use crate::ids::TopicId;
use siphasher::sip::SipHasher13;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;
use std::sync::Arc;

/// Those of these names that there are.
pub fn known<'a>(
    view: &View,
    names: impl Iterator<Item = &'a Arc<str>>,
    with_racks: bool,
) -> BTreeMap<TopicId, TopicPlan> {
    let found = names.filter_map(|name| view.topics.get(name));
    found.map(|topic| (topic.id, plan_of(view, topic, with_racks))).collect()
}

fn plan_of(view: &View, topic: &TopicView, with_racks: bool) -> TopicPlan {
    let partitions = i32::try_from(topic.partitions.len()).expect("bounded by the metadata's rules");
    let racks = |partition: &PartitionView| racks_of(view, partition);
    let racks = if with_racks { topic.partitions.iter().map(racks).collect() } else { Vec::new() };
    TopicPlan { partitions, racks }
}

fn racks_of(view: &View, partition: &PartitionView) -> BTreeSet<Arc<str>> {
    let journal = partition.spans.last().and_then(|span| view.journals.get(&span.journal));
    let nodes = journal.into_iter().flat_map(|journal| &journal.replicas);
    let racks = nodes.filter_map(|node| view.nodes.get(node)?.advertised.rack.as_deref());
    racks.map(Arc::from).collect()
}

/// Says whether an assignment would be another one now: two of these differ when partitions came, a
/// topic was made or deleted, or replicas moved to another rack. The same on every node.
pub fn hash(topics: &BTreeMap<TopicId, TopicPlan>) -> i64 {
    let mut hasher = SipHasher13::new();
    for (id, topic) in topics {
        hasher.write(&id.0.to_be_bytes());
        hasher.write(&topic.partitions.to_be_bytes());
        for racks in &topic.racks {
            for rack in racks {
                hasher.write(rack.as_bytes());
                hasher.write(&[0xff]);
            }
            hasher.write(&[0xfe]);
        }
    }
    if topics.is_empty() { 0 } else { hasher.finish() as i64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_same_for_ever_and_another_when_anything_changes() {
        let topics = |partitions, rack: Option<&str>| {
            let racks = rack.map(|rack| BTreeSet::from([Arc::from(rack)])).into_iter().collect();
            BTreeMap::from([(TopicId(7), TopicPlan { partitions, racks })])
        };
        let all = [topics(3, None), topics(4, None), topics(3, Some("a")), topics(3, Some("b"))];
        let hashes: BTreeSet<i64> = all.iter().map(hash).collect();
        assert_eq!(hashes.len(), 4);
        // It stands in records.
        assert_eq!(hash(&all[0]), 4_398_669_496_414_274_067);
        assert_eq!(hash(&BTreeMap::new()), 0, "as where there is none yet");
    }
}
