//! Three real processes that are one cluster: formed, used from any node, killed, stopped,
//! continued.

use std::process::Command;
use std::time::Duration;
use tests::process::cluster::{Cluster, PATIENT};
use tests::process::records::Load;
use tests::process::stream::Stream;
use tests::process::{Broker, BrokerOptions, Deadline, binary};

const TOPIC: &str = "t";
const PARTITIONS: u64 = 6;
/// A load that leaves the machine to three brokers and a client.
const STREAM: Stream =
    Stream { topic: TOPIC, partitions: PARTITIONS, bytes: 3000, rest: Some((10, Duration::from_millis(4))) };
/// From a fault until the load goes on: an election and, on a busy machine, much else.
const GOES_ON_SECONDS: u64 = 120;

/// Under a load with acks=all and idempotence: a fault, more acks, the remedy, more acks, for each
/// node in turn. Nothing is lost, and the replicas end the same.
fn under_faults(shards: &[u16], fault: impl Fn(&mut Broker), remedy: impl Fn(&mut Broker)) {
    let mut cluster = Cluster::start(shards);
    cluster.create(TOPIC, PARTITIONS);
    let load = Load::new(&cluster.bootstrap(), &PATIENT);
    let goes_on = |what: &str| {
        let before = load.reports.len();
        let deadline = Deadline::seconds(GOES_ON_SECONDS);
        deadline.wait_for(what, || (load.reports.len() >= before + 500).then_some(()));
        assert_eq!(load.fatal_error(), None, "{what}");
    };
    let sent = STREAM.during(&load, || {
        goes_on("the load begins");
        for node in [0, 1, 2, 0] {
            fault(&mut cluster.nodes[node]);
            goes_on("the load goes on without the node");
            remedy(&mut cluster.nodes[node]);
            goes_on("the load goes on with the node");
            cluster.wait_in_sync(TOPIC, GOES_ON_SECONDS);
            wait_joined(&cluster);
        }
    });
    load.flush(120);
    println!("{} records acked", load.reports.len());
    STREAM.check(&cluster.bootstrap(), sent, load.reports.take());
    cluster.stop();
    cluster.assert_identical();
}

/// Waits until every replica counts, as the README tells an operator to whose next disk goes.
fn wait_joined(cluster: &Cluster) {
    let has_joined = |node: &Broker| {
        let metrics = node.metrics();
        let gauge = metrics.lines().filter(|line| line.starts_with("duramen_replicas_joining{"));
        let mut values = gauge.filter_map(|line| line.rsplit(' ').next()).peekable();
        values.peek().is_some() && values.all(|value| value == "0")
    };
    let deadline = Deadline::seconds(GOES_ON_SECONDS);
    deadline.wait_for("every replica counts", || cluster.nodes.iter().all(has_joined).then_some(()));
}

#[test]
fn a_cluster_forms_when_its_last_node_comes_and_serves_from_any() {
    let mut cluster = Cluster::prepare(&[1, 1, 1]);
    cluster.nodes[2].spawn();
    cluster.nodes[0].spawn();
    let deadline = Deadline::seconds(GOES_ON_SECONDS);
    deadline.wait_for("the log names the node that is missing", || {
        cluster.nodes[0].log().contains("waits for node 2").then_some(())
    });
    let ready = tests::process::http::get(cluster.nodes[0].ports.http(), "/readyz").expect("an answer");
    assert_eq!(ready.0, 503, "{}", ready.1);
    cluster.nodes[1].spawn();
    cluster.nodes.iter_mut().for_each(Broker::wait_ready);
    cluster.create(TOPIC, PARTITIONS);
    let load = Load::new(&cluster.nodes[1].bootstrap(), &PATIENT);
    for partition in 0..PARTITIONS as i32 {
        assert!((0..100).all(|number| load.send(TOPIC, partition, number, 1000)));
    }
    load.flush(60);
    let reports = load.reports.take();
    for node in &cluster.nodes {
        STREAM.check(&node.bootstrap(), 100, reports.clone());
    }
    cluster.stop();
}

#[test]
fn nothing_acked_is_lost_when_leaders_are_killed_under_load() {
    under_faults(&[1, 1, 1], Broker::kill, Broker::run);
}

#[test]
fn nothing_acked_is_lost_when_nodes_of_different_size_are_stopped_and_continued() {
    under_faults(&[2, 1, 1], |node| node.signal("STOP"), |node| node.signal("CONT"));
}

#[test]
fn nothing_acked_is_lost_when_nodes_are_restarted_cleanly() {
    let stop = |node: &mut Broker| assert_eq!(node.stop().code(), Some(0), "{}", node.log());
    under_faults(&[1, 1, 1], stop, Broker::run);
}

#[test]
fn nothing_acked_is_lost_when_every_node_loses_its_disk_in_turn() {
    let lose_disk = |node: &mut Broker| {
        node.kill();
        std::fs::remove_dir_all(node.data_dir()).expect("the folder is there");
    };
    under_faults(&[1, 1, 1], lose_disk, Broker::run);
}

#[test]
fn a_lone_nodes_folder_does_not_become_a_clusters() {
    let mut lone = Broker::start(BrokerOptions { shards: 1, ..BrokerOptions::default() });
    assert_eq!(lone.stop().code(), Some(0));
    let peers = "--peers 0=127.0.0.1:1001,1=127.0.0.1:1002,2=127.0.0.1:1003 --node-id 0";
    let peer_listen = format!("--peer-listen 127.0.0.1:{}", lone.ports.peer());
    let mut command = Command::new(binary::duramen());
    command.arg("--data-dir").arg(lone.data_dir()).args(peers.split(' ')).args(peer_listen.split(' '));
    command.args(["--listen", &format!("127.0.0.1:{}", lone.ports.kafka()), "--shards", "1"]);
    command.args(["--http-listen", &format!("127.0.0.1:{}", lone.ports.http())]);
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("one-node cluster") && said.contains("copy each topic"), "{said}");
}

#[test]
fn two_nodes_are_refused_with_the_reason() {
    let peers = "--peers 1=127.0.0.1:1001,2=127.0.0.1:1002 --node-id 1";
    let output = Command::new(binary::duramen()).args(peers.split(' ')).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("a majority of 2 is 2"), "{said}");
}
