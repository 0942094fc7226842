//! Several broker processes that are one cluster, on loopback.

use super::proxy::Wires;
use super::{Broker, BrokerOptions, Deadline, binary};
use serde_json::Value;
use std::process::{Command, Output};

/// Nodes 1, 2, 3, …; dropping it kills them.
#[derive(Debug)]
pub struct Cluster {
    pub nodes: Vec<Broker>,
}

/// What a client waits for while leaders change: rdkafka's settings of a producer that gives up
/// nothing it was given.
pub const PATIENT: [(&str, &str); 6] = [
    ("enable.idempotence", "true"),
    ("message.timeout.ms", "300000"),
    ("linger.ms", "1"),
    ("retry.backoff.ms", "20"),
    // A stopped process keeps its connections: without this librdkafka waits 60 s for its answers.
    ("socket.timeout.ms", "3000"),
    ("topic.metadata.refresh.fast.interval.ms", "50"),
];

impl Cluster {
    /// Nodes with so many shards each, in the order of their ids; none runs yet.
    pub fn prepare(shards: &[u16]) -> Self {
        let options = |shards: &u16| BrokerOptions { shards: *shards, ..BrokerOptions::default() };
        let mut nodes: Vec<Broker> = shards.iter().map(|shards| Broker::prepare(options(shards))).collect();
        let address = |(id, node): (usize, &Broker)| format!("{id}=127.0.0.1:{}", node.ports.peer());
        let peers = (1..).zip(&nodes).map(address).collect::<Vec<_>>().join(",");
        (1..).zip(&mut nodes).for_each(|(id, node)| list(node, id, &peers));
        Self { nodes }
    }

    /// The same with each link in the test's hands; none runs yet.
    pub fn prepare_wired(shards: &[u16]) -> (Self, Wires) {
        let mut cluster = Self::prepare(shards);
        let (wires, lists) = Wires::between(&cluster.nodes);
        for ((id, node), peers) in (1..).zip(&mut cluster.nodes).zip(lists) {
            let peer_listen = ["--peer-listen".to_owned(), format!("127.0.0.1:{}", node.ports.peer())];
            list(node, id, &peers);
            node.options.arguments.extend(peer_listen);
        }
        (cluster, wires)
    }

    pub fn start_wired(shards: &[u16]) -> (Self, Wires) {
        let (mut cluster, wires) = Self::prepare_wired(shards);
        cluster.run();
        (cluster, wires)
    }

    /// Starts all, and waits until they answer clients.
    pub fn run(&mut self) {
        self.nodes.iter_mut().for_each(Broker::spawn);
        self.nodes.iter_mut().for_each(Broker::wait_ready);
    }

    /// All nodes answer clients.
    pub fn start(shards: &[u16]) -> Self {
        let mut cluster = Self::prepare(shards);
        cluster.run();
        cluster
    }

    pub fn bootstrap(&self) -> String {
        self.nodes.iter().map(Broker::bootstrap).collect::<Vec<_>>().join(",")
    }

    /// `duramen topic …`, asked of one node.
    pub fn topic(&self, node: usize, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary::duramen());
        command.arg("topic").args(arguments).args(["--brokers", &self.nodes[node].bootstrap()]);
        command.output().expect("it runs")
    }

    /// Makes a topic with a copy on each of three nodes.
    pub fn create(&self, topic: &str, partitions: u64) {
        let partitions = partitions.to_string();
        let made =
            self.topic(0, &["create", topic, "--partitions", &partitions, "--replication-factor", "3"]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// `duramen topic describe … --json`, asked of one node, unless it cannot say.
    pub fn described(&self, node: usize, topic: &str) -> Option<Value> {
        serde_json::from_slice(&self.topic(node, &["describe", topic, "--json"]).stdout).ok()
    }

    /// The place of the node that leads a partition, as one node says.
    pub fn leader(&self, asked: usize, topic: &str, partition: usize) -> Option<usize> {
        let broker = self.described(asked, topic)?["partitions"][partition]["leader"].as_u64()?;
        usize::try_from(broker / 1000).ok()?.checked_sub(1)
    }

    /// Waits until all three replicas of every partition are in sync, as its leader sees it.
    pub fn wait_in_sync(&self, topic: &str, seconds: u64) {
        Deadline::seconds(seconds).wait_for("every replica is in sync", || {
            let described = self.described(0, topic)?;
            let all = |partition: &Value| {
                partition["in_sync"].as_array().is_some_and(|nodes| nodes.len() == 3)
                    && partition["leader"].as_i64().is_some_and(|leader| leader >= 0)
            };
            described["partitions"].as_array()?.iter().all(all).then_some(())
        });
    }

    /// Checks that the data folders of all nodes hold the same; they are stopped.
    pub fn assert_identical(&self) {
        for other in 1..self.nodes.len() {
            let diff = self.diff(0, other);
            let said = String::from_utf8_lossy(&diff.stdout).into_owned();
            let is_same = diff.status.success() && said.contains("identical");
            assert!(is_same, "nodes 1 and {}: {said}", other + 1);
        }
    }

    /// Compares the data folders of two nodes, as far as both know it to be committed.
    pub fn diff(&self, one: usize, other: usize) -> Output {
        let (one, other) = (self.nodes[one].data_dir(), self.nodes[other].data_dir());
        Command::new(binary::dump()).arg("diff").arg(one).arg(other).output().expect("it runs")
    }

    /// Stops all nodes at once, and checks that they end as asked.
    pub fn stop(&mut self) {
        self.nodes.iter().for_each(|node| node.signal("TERM"));
        for node in &mut self.nodes {
            assert_eq!(node.wait_end(12).code(), Some(0), "{}", node.log());
        }
    }
}

/// A node's part of the command line that makes it one of a cluster.
fn list(node: &mut Broker, id: u32, peers: &str) {
    let arguments = ["--peers", peers, "--node-id", &id.to_string()];
    node.options.arguments = arguments.map(str::to_owned).to_vec();
}
