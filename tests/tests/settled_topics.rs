//! A topic that was just created can be used at once: every shard knows its leaders, and every
//! leader answers, without one retry by the client.

use kafka_wire::create_topics_request::CreatableTopic;
use kafka_wire::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_wire::metadata_request::MetadataRequestTopic;
use kafka_wire::{CreateTopicsRequest, ListOffsetsRequest, MetadataRequest, MetadataResponse};
use net::kafka::codec::wire::StrBytes;
use tests::process::cluster::Cluster;
use tests::process::wire::Wire;
use tests::process::{Broker, BrokerOptions, Deadline};

const SHARDS: u16 = 3;
const TOPICS: usize = 12;
const PARTITIONS: i32 = 7;

fn create(wire: &mut Wire, name: &str) {
    let mut topic = CreatableTopic::default();
    (topic.name, topic.num_partitions, topic.replication_factor) = (name.into(), PARTITIONS, -1);
    let mut request = CreateTopicsRequest::default();
    (request.topics, request.timeout_ms) = (vec![topic], 20_000);
    assert_eq!(wire.ask("test", 7, &request).topics[0].error_code, 0, "{name}");
}

fn describe(wire: &mut Wire, name: &str) -> MetadataResponse {
    let mut topic = MetadataRequestTopic::default();
    topic.name = Some(StrBytes::from(name));
    let mut request = MetadataRequest::default();
    (request.topics, request.allow_auto_topic_creation) = (Some(vec![topic]), false);
    wire.ask("test", 12, &request)
}

/// Leaders of the topic's partitions, as this shard tells them.
fn leaders(wire: &mut Wire, name: &str) -> Vec<(i32, i32)> {
    let response = describe(wire, name);
    let partitions = response.topics[0].partitions.iter();
    let leaders = partitions.map(|one| {
        assert_eq!(one.error_code, 0, "{name}-{}", one.partition_index);
        (one.partition_index, one.leader_id)
    });
    leaders.collect()
}

fn end(wire: &mut Wire, name: &str, number: i32) -> i16 {
    let mut partition = ListOffsetsPartition::default();
    (partition.partition_index, partition.timestamp) = (number, -1);
    partition.current_leader_epoch = -1;
    let mut topic = ListOffsetsTopic::default();
    (topic.name, topic.partitions) = (name.into(), vec![partition]);
    let mut request = ListOffsetsRequest::default();
    (request.replica_id, request.topics) = (-1, vec![topic]);
    wire.ask("test", 5, &request).topics[0].partitions[0].error_code
}

#[test]
fn a_topic_just_created_is_known_and_served_on_every_shard() {
    let broker = Broker::start(BrokerOptions { shards: SHARDS, ..BrokerOptions::default() });
    let connect = |shard| Wire::connect(broker.ports.kafka() + shard).expect("accepted");
    let mut wires: Vec<Wire> = (0..SHARDS).map(connect).collect();
    for number in 0..TOPICS {
        let name = format!("topic-{number}");
        create(&mut wires[number % usize::from(SHARDS)], &name);
        for asked in 0..usize::from(SHARDS) {
            let leaders = leaders(&mut wires[asked], &name);
            assert_eq!(leaders.len(), PARTITIONS as usize);
            for (partition, leader) in leaders {
                assert_eq!(end(&mut wires[leader as usize], &name, partition), 0, "{name}-{partition}");
            }
        }
    }
}

/// A client that is told of a leader without an address waits until it asks again of itself: librdkafka
/// and Kafka's own for up to five minutes.
#[test]
fn in_a_new_cluster_every_leader_that_is_named_has_an_address() {
    let mut cluster = Cluster::prepare(&[1, 1, 1]);
    cluster.nodes.iter_mut().for_each(Broker::spawn);
    // As early as can be: each node tells the cluster of its address by itself.
    let port = cluster.nodes[0].ports.kafka();
    let mut wire = Deadline::seconds(60).wait_for("node 1 listens", || Wire::connect(port).ok());
    create(&mut wire, "t");
    Deadline::seconds(60).wait_for("every partition has a leader", || {
        let told = describe(&mut wire, "t");
        let brokers: Vec<i32> = told.brokers.iter().map(|broker| broker.node_id).collect();
        let leaders: Vec<i32> = told.topics[0].partitions.iter().map(|one| one.leader_id).collect();
        let named = leaders.iter().filter(|leader| **leader >= 0);
        assert!(named.clone().all(|leader| brokers.contains(leader)), "{leaders:?} of {brokers:?}");
        (named.count() == PARTITIONS as usize).then_some(())
    });
}
