//! Listeners with names: clients of each are told its addresses and no others.

use kafka_wire::{DescribeClusterRequest, FindCoordinatorRequest, MetadataRequest, metadata_request};
use std::collections::BTreeSet;
use tests::process::cluster::Cluster;
use tests::process::wire::Wire;
use tests::process::{Broker, Deadline, binary};

const TOPIC: &str = "t";
const LISTENER_NOT_FOUND: i16 = 72;
const PATIENCE_SECONDS: u64 = 60;

/// Of the named listener: ports of the node's own range, behind those of the plaintext one.
fn inside(node: &Broker) -> u16 {
    node.ports.kafka() + 3
}

fn brokers(port: u16) -> BTreeSet<(i32, u16)> {
    let mut request = MetadataRequest::default();
    request.topics = Some(Vec::new());
    let answer = Wire::connect(port).expect("accepted").ask("me", 9, &request);
    answer.brokers.iter().map(|broker| (broker.node_id, broker.port as u16)).collect()
}

/// Error and leader of each partition, as clients of a port are told.
fn leaders(port: u16) -> Vec<(i16, i32)> {
    let mut topic = metadata_request::MetadataRequestTopic::default();
    topic.name = Some(TOPIC.into());
    let mut request = MetadataRequest::default();
    request.topics = Some(vec![topic]);
    let answer = Wire::connect(port).expect("accepted").ask("me", 9, &request);
    answer.topics[0].partitions.iter().map(|one| (one.error_code, one.leader_id)).collect()
}

#[test]
fn clients_are_told_the_addresses_of_the_listener_that_they_ask() {
    let mut cluster = Cluster::prepare(&[1, 1, 1]);
    for node in &mut cluster.nodes[..2] {
        let listener = format!("INSIDE=PLAINTEXT://127.0.0.1:{}", inside(node));
        node.options.arguments.extend(["--listener".to_owned(), listener]);
    }
    cluster.run();
    cluster.create(TOPIC, 12);
    cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);
    let nodes = &cluster.nodes;
    let ports = |port: fn(&Broker) -> u16, count: usize| -> BTreeSet<(i32, u16)> {
        (1..).zip(&nodes[..count]).map(|(id, node)| (id * 1000, port(node))).collect()
    };
    let (plain, named) = (ports(|node| node.ports.kafka(), 3), ports(inside, 2));
    Deadline::seconds(PATIENCE_SECONDS).wait_for("every node knows all addresses", || {
        let knows = |node: &Broker| brokers(node.ports.kafka()) == plain;
        nodes.iter().all(knows).then_some(())
    });
    for node in &nodes[..2] {
        assert_eq!(brokers(inside(node)), named);
        let mut wire = Wire::connect(inside(node)).expect("accepted");
        let described = wire.ask("me", 1, &DescribeClusterRequest::default());
        let told: BTreeSet<_> =
            described.brokers.iter().map(|broker| (broker.broker_id, broker.port as u16)).collect();
        assert_eq!(told, named);
        let mut request = FindCoordinatorRequest::default();
        request.coordinator_keys = (0..40).map(|group| format!("g{group}").as_str().into()).collect();
        Deadline::seconds(PATIENCE_SECONDS).wait_for("coordinators by the listener's addresses", || {
            let found = wire.ask("me", 4, &request).coordinators;
            let found = found.iter().filter(|one| one.error_code == 0);
            let told: BTreeSet<_> = found.map(|one| (one.node_id, one.port as u16)).collect();
            assert!(told.is_subset(&named), "{told:?}");
            (!told.is_empty()).then_some(())
        });
    }
    // The same leaders by both; who leads on the third node cannot be told by name.
    Deadline::seconds(PATIENCE_SECONDS).wait_for("leaders with an address, an error for the others", || {
        let (all, told) = (leaders(nodes[2].ports.kafka()), leaders(inside(&nodes[0])));
        let expected = all.iter().map(|&(error, leader)| match leader {
            3000 => (LISTENER_NOT_FOUND, -1),
            _ => (error, leader),
        });
        let is_spread = all.iter().map(|(_, leader)| leader).collect::<BTreeSet<_>>().len() == 3;
        (is_spread && expected.eq(told.iter().copied())).then_some(())
    });
    let configured = std::process::Command::new(binary::duramen())
        .args(["topic", "list", "--brokers", &format!("127.0.0.1:{}", inside(&nodes[1]))])
        .output()
        .expect("it runs");
    assert!(configured.status.success(), "{}", String::from_utf8_lossy(&configured.stderr));
    for node in &mut cluster.nodes {
        assert_eq!(node.stop().code(), Some(0), "{}", node.log());
    }
}
