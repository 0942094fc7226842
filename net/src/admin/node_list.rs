//! `duramen node list`: the members, those that may come, and where each is.

use super::kafka_error::check;
use super::out::{Out, list, or_dash, table};
use super::reach::Reach;
use super::{broker_ids, topic_report};
use crate::process::address::Address;
use crate::process::refusal::Refusal;
use engine::ids::BrokerIds;
use kafka_wire::describe_quorum_request::{PartitionData, TopicData};
use kafka_wire::{DescribeQuorumRequest, DescribeQuorumResponse, MetadataResponse};
use serde::Serialize;
use std::collections::BTreeSet;
use std::process::ExitCode;

/// The first version that tells nodes and their addresses.
const WITH_NODES: i16 = 2;
/// Kafka's name of the metadata's log.
const METADATA_TOPIC: &str = "__cluster_metadata";

#[derive(Serialize, Debug, PartialEq, Eq)]
struct NodeRow {
    id: u32,
    /// `member`, `away` (a member that does not answer) or `invited`.
    state: &'static str,
    /// Where other nodes find it; none of one that did not tell.
    peer_address: Option<String>,
    /// Those that clients are sent to now.
    brokers: Vec<i32>,
    rack: Option<String>,
}

pub fn run(reach: &Reach, out: Out) -> Result<ExitCode, Refusal> {
    let mut connection = reach.connect()?;
    let metadata = topic_report::metadata(&mut connection, Some(&[]))?;
    let ids = broker_ids::ask(&mut connection, &metadata)?;
    let (mut topic, mut request) = (TopicData::default(), DescribeQuorumRequest::default());
    (topic.topic_name, topic.partitions) = (METADATA_TOPIC.into(), vec![PartitionData::default()]);
    request.topics = vec![topic];
    let quorum = connection.call(WITH_NODES, &request)?;
    let partition = quorum.topics.first().and_then(|topic| topic.partitions.first());
    if let Some(partition) = partition {
        check("the metadata", partition.error_code, partition.error_message.as_deref())?;
    }
    out.show(&rows(&quorum, &metadata, ids), |rows| text(rows))?;
    Ok(ExitCode::SUCCESS)
}

fn rows(quorum: &DescribeQuorumResponse, metadata: &MetadataResponse, ids: BrokerIds) -> Vec<NodeRow> {
    let node_of = |broker: i32| ids.place(broker).map(|(node, _)| node.0);
    let partitions = quorum.topics.iter().flat_map(|topic| &topic.partitions);
    let replicas =
        partitions.flat_map(|partition| partition.current_voters.iter().chain(&partition.observers));
    let members: BTreeSet<u32> = replicas.filter_map(|replica| node_of(replica.replica_id)).collect();
    let row = |node: &kafka_wire::describe_quorum_response::Node| {
        let id = node_of(node.node_id)?;
        let its = metadata.brokers.iter().filter(|broker| node_of(broker.node_id) == Some(id));
        let brokers: Vec<i32> = its.clone().map(|broker| broker.node_id).collect();
        let state = match (members.contains(&id), brokers.is_empty()) {
            (false, _) => "invited",
            (true, true) => "away",
            (true, false) => "member",
        };
        let rack = its.clone().find_map(|broker| broker.rack.as_deref().map(str::to_owned));
        let at = node.listeners.first().map(|at| Address { host: at.host.to_string(), port: at.port });
        Some(NodeRow { id, state, peer_address: at.map(|at| at.to_string()), brokers, rack })
    };
    let mut rows: Vec<NodeRow> = quorum.nodes.iter().filter_map(row).collect();
    rows.sort_by_key(|row| row.id);
    rows
}

fn text(rows: &[NodeRow]) -> String {
    let cells = |row: &NodeRow| {
        let (peer, rack) = (or_dash(row.peer_address.clone()), or_dash(row.rack.clone()));
        [row.id.to_string(), row.state.to_owned(), peer, list(&row.brokers), rack]
    };
    table(["NODE", "STATE", "PEER ADDRESS", "BROKERS", "RACK"], rows.iter().map(cells))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_wire::describe_quorum_response::{self, Listener, Node, ReplicaState};
    use kafka_wire::metadata_response::MetadataResponseBroker;

    #[test]
    fn members_those_away_and_those_invited_are_told_apart() {
        let node = |broker: i32| {
            let (mut node, mut at) = (Node::default(), Listener::default());
            (at.host, at.port) = ("h".into(), 9);
            (node.node_id, node.listeners) = (broker, vec![at]);
            node
        };
        let mut partition = describe_quorum_response::PartitionData::default();
        let voter = |broker: i32| {
            let mut voter = ReplicaState::default();
            voter.replica_id = broker;
            voter
        };
        partition.current_voters = vec![voter(0), voter(1000)];
        let mut topic = describe_quorum_response::TopicData::default();
        topic.partitions = vec![partition];
        let mut quorum = DescribeQuorumResponse::default();
        (quorum.topics, quorum.nodes) = (vec![topic], vec![node(2000), node(0), node(1000)]);
        let mut metadata = MetadataResponse::default();
        let broker = |id: i32| {
            let mut broker = MetadataResponseBroker::default();
            broker.node_id = id;
            broker
        };
        metadata.brokers = vec![broker(0), broker(1)];
        let rows = rows(&quorum, &metadata, BrokerIds::default());
        let told: Vec<_> = rows.iter().map(|row| (row.id, row.state, row.brokers.len())).collect();
        assert_eq!(told, [(0, "member", 2), (1, "away", 0), (2, "invited", 0)]);
        assert!(text(&rows).contains("h:9"), "{}", text(&rows));
    }
}
