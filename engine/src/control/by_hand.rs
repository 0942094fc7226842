//! A placement by hand: from the broker ids that a client names to lanes and nodes, with Kafka's
//! rules and those of lanes. What cannot be is told with what can.

use super::command::Place;
use super::command_error::CommandError;
use super::nodes::NodeView;
use super::rules::TOPIC_PARTITIONS_MAX;
use super::view::View;
use crate::ids::{LaneId, ShardId};
use std::collections::BTreeSet;

/// Brokers that an error names, so that it stays a line or two.
const NAMED_MAX: usize = 20;

/// A place for each list of brokers, the preferred leader first. `copies` is how many each has,
/// where a topic is there already. Where several lanes would do, partitions spread over them.
pub fn places(view: &View, lists: &[&[i32]], copies: Option<u16>) -> Result<Vec<Place>, CommandError> {
    if lists.len() > TOPIC_PARTITIONS_MAX as usize {
        return Err(CommandError::LimitReached(format!(
            "{} partitions: a topic may have {TOPIC_PARTITIONS_MAX}.",
            lists.len()
        )));
    }
    let mut copies = copies.map(usize::from);
    let mut places = Vec::with_capacity(lists.len());
    for (at, list) in lists.iter().enumerate() {
        let brokers = brokers(view, list)?;
        let expected = *copies.get_or_insert(list.len());
        if list.len() != expected {
            return invalid(format!(
                "The manual partition assignment includes a partition with {} replica(s), but this is not \
                 consistent with previous partitions, which have {expected} replica(s).",
                list.len()
            ));
        }
        let lanes = lanes(view, &brokers);
        let nodes: BTreeSet<_> = brokers.iter().map(|(node, _)| node.node).collect();
        if nodes.len() < brokers.len() || lanes.is_empty() {
            return invalid(apart(view, list, &brokers, nodes.len() < brokers.len()));
        }
        let replicas = brokers.iter().map(|(node, _)| node.node).collect();
        places.push(Place { lane: lanes[at % lanes.len()], replicas });
    }
    Ok(places)
}

fn invalid<T>(reason: String) -> Result<T, CommandError> {
    Err(CommandError::InvalidPlace(reason))
}

type Broker<'a> = (&'a NodeView, ShardId);

/// A shard without a lane is no broker.
fn broker(view: &View, id: i32) -> Option<Broker<'_>> {
    view.broker(id).filter(|(_, shard)| shard.0 < view.lanes)
}

/// The brokers of a list, each there and once.
fn brokers<'a>(view: &'a View, list: &[i32]) -> Result<Vec<Broker<'a>>, CommandError> {
    if list.is_empty() {
        return invalid("The manual partition assignment includes an empty replica list.".to_owned());
    }
    let mut seen = BTreeSet::new();
    let mut brokers = Vec::new();
    for id in list {
        let Some(broker) = broker(view, *id) else {
            return invalid(format!(
                "The manual partition assignment includes broker {id}, but no such broker is registered. \
                 There are {}.",
                named(all(view))
            ));
        };
        if !seen.insert(id) {
            return invalid(format!(
                "The manual partition assignment includes the broker {id} more than once."
            ));
        }
        brokers.push(broker);
    }
    Ok(brokers)
}

/// The lanes that all of these brokers work.
fn lanes(view: &View, brokers: &[Broker<'_>]) -> Vec<LaneId> {
    let (first, step) = brokers.first().map_or((0, 1), |(node, shard)| (shard.0, node.shards));
    let of_first = (first..view.lanes).step_by(usize::from(step)).map(LaneId);
    let of_all = |lane: &LaneId| brokers.iter().all(|(node, shard)| lane.shard(node.shards) == *shard);
    of_first.filter(of_all).collect()
}

/// Why brokers that are there cannot share a partition, and which can.
fn apart(view: &View, list: &[i32], brokers: &[Broker<'_>], share_a_node: bool) -> String {
    let why = if share_a_node {
        "two of them are shards of one node, whose copies would be lost together"
    } else {
        "no lane runs on all of them, and a partition's replicas are in one lane"
    };
    let leader = brokers[0];
    let can = all(view).filter(|id| {
        let other = broker(view, *id).expect("listed");
        other.0.node != leader.0.node && !lanes(view, &[leader, other]).is_empty()
    });
    let together = match named(can) {
        can if can.is_empty() => format!("Broker {} can be in none with another.", list[0]),
        can => format!("Together with broker {} can be {can}.", list[0]),
    };
    format!("A partition cannot be on the brokers {}: {why}. {together}", named(list.iter().copied()))
}

/// The ids of all brokers.
fn all(view: &View) -> impl Iterator<Item = i32> {
    let of_node = |node: &NodeView| {
        let (node, ids) = (node.node, view.broker_ids);
        (0..view.nodes[&node].shards.min(view.lanes)).filter_map(move |shard| ids.of(node, ShardId(shard)))
    };
    view.nodes.values().flat_map(move |node| of_node(node))
}

fn named(ids: impl Iterator<Item = i32>) -> String {
    let mut ids = ids.map(|id| id.to_string());
    let mut text = ids.by_ref().take(NAMED_MAX).collect::<Vec<_>>().join(", ");
    let more = ids.count();
    if more > 0 {
        text += &format!(" and {more} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::nodes::Advertised;
    use crate::ids::{BrokerIds, Incarnation, NodeId, RaftId};
    use std::sync::Arc;

    /// Nodes 1, 2, … with so many shards each, in a cluster of so many lanes.
    fn view(stride: u16, lanes: u16, shards: &[u16]) -> View {
        let node = |(number, shards): (u32, &u16)| {
            let view = NodeView {
                node: NodeId(number),
                incarnation: Incarnation(number.into()),
                raft_id: RaftId(number.into()),
                former: Vec::new(),
                shards: *shards,
                advertised: Advertised::default(),
            };
            (NodeId(number), Arc::new(view))
        };
        let broker_ids = BrokerIds::new(stride).expect("valid");
        View { lanes, broker_ids, nodes: (1..).zip(shards).map(node).collect(), ..View::default() }
    }

    fn refused(view: &View, lists: &[&[i32]]) -> String {
        match places(view, lists, None) {
            Err(CommandError::InvalidPlace(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn brokers_become_a_lane_and_nodes_with_the_leader_first() {
        let place = |lane, nodes: &[u32]| Place {
            lane: LaneId(lane),
            replicas: nodes.iter().copied().map(NodeId).collect(),
        };
        let one = places(&view(1, 1, &[1, 1, 1]), &[&[2, 1, 3], &[3, 2, 1]], None);
        assert_eq!(one, Ok(vec![place(0, &[2, 1, 3]), place(0, &[3, 2, 1])]));
        let two = places(&view(1000, 2, &[2, 2, 2]), &[&[2001, 1001, 3001], &[1000, 2000, 3000]], None);
        assert_eq!(two, Ok(vec![place(1, &[2, 1, 3]), place(0, &[1, 2, 3])]));
        let spread =
            places(&view(1000, 4, &[1, 2, 4]), &[&[1000], &[1000], &[2001], &[2001, 1000][..1]], None);
        assert_eq!(spread, Ok(vec![place(0, &[1]), place(1, &[1]), place(1, &[2]), place(3, &[2])]));
    }

    #[test]
    fn what_kafka_refuses_is_refused_in_its_words() {
        let view = view(1, 1, &[1, 1, 1]);
        assert!(refused(&view, &[&[]]).contains("an empty replica list"));
        let unknown = refused(&view, &[&[1, 2, 7]]);
        assert!(unknown.contains("includes broker 7, but no such broker is registered. There are 1, 2, 3."));
        assert!(refused(&view, &[&[1, 2, 1]]).contains("includes the broker 1 more than once"));
        let unequal = refused(&view, &[&[1, 2, 3], &[1]]);
        assert!(unequal.contains("a partition with 1 replica(s)") && unequal.contains("have 3 replica(s)"));
        let of_topic = places(&view, &[&[1]], Some(3));
        assert!(matches!(of_topic, Err(CommandError::InvalidPlace(_))), "{of_topic:?}");
        let lists = vec![&[1][..]; TOPIC_PARTITIONS_MAX as usize + 1];
        assert!(matches!(places(&view, &lists, None), Err(CommandError::LimitReached(_))));
    }

    #[test]
    fn what_lanes_do_not_allow_is_told_with_what_they_do() {
        let same = view(1000, 2, &[2, 2, 2]);
        let lanes = refused(&same, &[&[1000, 2001, 3000]]);
        assert!(lanes.contains("cannot be on the brokers 1000, 2001, 3000: no lane runs on all"), "{lanes}");
        assert!(lanes.ends_with("Together with broker 1000 can be 2000, 3000."), "{lanes}");
        let node = refused(&same, &[&[1001, 1000, 3001]]);
        assert!(node.contains("two of them are shards of one node"), "{node}");
        assert!(node.ends_with("Together with broker 1001 can be 2001, 3001."), "{node}");
        let alone = refused(&view(1000, 2, &[2]), &[&[1000, 1001]]);
        assert!(alone.ends_with("Broker 1000 can be in none with another."), "{alone}");
        let beyond = refused(&view(1000, 1, &[2, 1, 1]), &[&[1001]]);
        assert!(beyond.contains("There are 1000, 2000, 3000."), "a shard without a lane: {beyond}");
    }
}
