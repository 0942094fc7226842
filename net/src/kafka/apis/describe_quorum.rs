//! DescribeQuorum: the meta journal, by the name that Kafka's metadata log has.

use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::repeats;
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::control::View;
use engine::ids::{JournalId, NodeId, ShardId};
use engine::shard::Advertised;
use kafka_wire::describe_quorum_request::TopicData as Altering;
use kafka_wire::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use kafka_wire::{DescribeQuorumRequest, DescribeQuorumResponse};

pub struct DescribeQuorum;

const METADATA_TOPIC: &str = "__cluster_metadata";
const META: JournalId = JournalId(0);
/// Kafka's value of "not known" for offsets and times.
const UNKNOWN: i64 = -1;

impl Handler for DescribeQuorum {
    type Request = DescribeQuorumRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;

    fn named(request: &Self::Request) -> usize {
        request.topics.iter().map(|topic| 1 + topic.partitions.len()).sum()
    }

    fn merge(request: &mut Self::Request) {
        repeats::keep_first_partitions(
            &mut request.topics,
            |topic| (topic.topic_name.clone(), &mut topic.partitions),
            |one| one.partition_index,
        );
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: DescribeQuorumRequest,
    ) -> DescribeQuorumResponse {
        let view = context.view();
        let term = context.shard.leaders.borrow().get(META).map(|leadership| leadership.epoch(0).0);
        let leader = term.map(|term| (context.controller_id(), term)).filter(|(leader, _)| *leader >= 0);
        let mut response = DescribeQuorumResponse::default();
        response.error_message = None;
        response.topics = request.topics.iter().map(|asked| topic(&view, leader, asked)).collect();
        response.nodes = nodes(&view);
        response
    }
}

fn topic(view: &View, leader: Option<(i32, i32)>, asked: &Altering) -> TopicData {
    let mut topic = TopicData::default();
    topic.topic_name = asked.topic_name.clone();
    let is_metadata = asked.topic_name.as_str() == METADATA_TOPIC;
    topic.partitions = asked
        .partitions
        .iter()
        .map(|one| match is_metadata && one.partition_index == 0 {
            true => quorum(view, leader),
            false => failed(one.partition_index, code::UNKNOWN_TOPIC_OR_PARTITION),
        })
        .collect();
    topic
}

fn failed(number: i32, error_code: i16) -> PartitionData {
    let mut partition = PartitionData::default();
    (partition.partition_index, partition.error_code, partition.error_message) = (number, error_code, None);
    (partition.leader_id, partition.leader_epoch, partition.high_watermark) = (-1, -1, UNKNOWN);
    partition
}

/// Offsets are the journal's indexes, as far as this shard's view has come.
fn quorum(view: &View, leader: Option<(i32, i32)>) -> PartitionData {
    let Some((leader_id, leader_epoch)) = leader else { return failed(0, code::LEADER_NOT_AVAILABLE) };
    let mut partition = failed(0, code::NONE);
    let applied = i64::try_from(view.version.0).unwrap_or(i64::MAX);
    (partition.leader_id, partition.leader_epoch, partition.high_watermark) =
        (leader_id, leader_epoch, applied);
    let Some(meta) = view.journals.get(&META) else { return partition };
    let voters = meta.replicas.iter().map(|&node| {
        let mut voter = ReplicaState::default();
        let shards = view.nodes.get(&node).map_or(1, |node| node.shards.max(1));
        voter.replica_id = view
            .broker_ids
            .of(node, meta.lane.shard(shards))
            .expect("there are no more lanes than ids a node");
        voter.log_end_offset = if voter.replica_id == leader_id { applied } else { UNKNOWN };
        (voter.last_fetch_timestamp, voter.last_caught_up_timestamp) = (UNKNOWN, UNKNOWN);
        voter
    });
    partition.current_voters = voters.collect();
    partition
}

/// All members, and those that may become one: with where other nodes find them, as far as they told.
fn nodes(view: &View) -> Vec<Node> {
    let members = view.nodes.values().map(|node| (node.node, &node.advertised));
    let invited = view.invited.iter().map(|(node, invited)| (*node, &invited.advertised));
    let described = |(node, advertised): (NodeId, &Advertised)| {
        let mut described = Node::default();
        described.node_id = view.broker_ids.of(node, ShardId(0)).expect("a node has a broker id");
        described.listeners = advertised
            .peer()
            .map(|peer| {
                let mut listener = Listener::default();
                listener.name = peer.name.as_str().into();
                (listener.host, listener.port) = (peer.host.as_str().into(), peer.first_port);
                listener
            })
            .into_iter()
            .collect();
        described
    };
    members.chain(invited).map(described).collect()
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;
    use kafka_wire::describe_quorum_request::PartitionData as AskedPartition;

    fn asked(name: &str, number: i32) -> Altering {
        let (mut asked, mut partition) = (Altering::default(), AskedPartition::default());
        partition.partition_index = number;
        (asked.topic_name, asked.partitions) = (name.into(), vec![partition]);
        asked
    }

    #[test]
    fn the_metadata_log_has_its_leader_and_voters_and_nothing_else_is_there() {
        let view = Cluster::new(2).view();
        let nodes = nodes(&view);
        assert_eq!((nodes.len(), nodes[0].node_id, nodes[0].listeners.len()), (1, 0, 0));
        let found = topic(&view, Some((0, 7)), &asked(METADATA_TOPIC, 0));
        let quorum = &found.partitions[0];
        assert_eq!((quorum.error_code, quorum.leader_id, quorum.leader_epoch), (0, 0, 7));
        assert_eq!((quorum.high_watermark, quorum.current_voters.len()), (2, 1));
        assert_eq!(quorum.current_voters[0].log_end_offset, 2);
        let code = |leader, asked| topic(&view, leader, &asked).partitions[0].error_code;
        assert_eq!(code(Some((0, 7)), asked("a", 0)), code::UNKNOWN_TOPIC_OR_PARTITION);
        assert_eq!(code(Some((0, 7)), asked(METADATA_TOPIC, 1)), code::UNKNOWN_TOPIC_OR_PARTITION);
        assert_eq!(code(None, asked(METADATA_TOPIC, 0)), code::LEADER_NOT_AVAILABLE);
    }
}
