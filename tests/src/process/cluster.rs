//! Several broker processes that are one cluster, on loopback.

use super::{Broker, BrokerOptions, binary};
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
        for (id, node) in (1..).zip(&mut nodes) {
            let arguments = ["--peers", &peers, "--node-id", &id.to_string()];
            node.options.arguments = arguments.map(str::to_owned).to_vec();
        }
        Self { nodes }
    }

    /// All nodes answer clients.
    pub fn start(shards: &[u16]) -> Self {
        let mut cluster = Self::prepare(shards);
        cluster.nodes.iter_mut().for_each(Broker::spawn);
        cluster.nodes.iter_mut().for_each(Broker::wait_ready);
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
