//! Three real processes under `duramen-bench verify --transactions` while nodes are killed, stopped, cut off and lose
//! their disks: by Jepsen's rules nothing is lost, doubled, torn, or shown that was aborted, and what is copied from
//! topic to topic in transactions is copied once.
//!
//! `DURAMEN_TRANSACTIONS_SECONDS=3600 cargo test -p duramen-tests --test exactly_once` is the long form: the same
//! faults, in an order that the seed decides, for so long.

use engine::rng::Rng;
use std::time::{Duration, Instant};
use tests::process::cluster::Cluster;
use tests::process::proxy::Wires;
use tests::process::verify::{Verify, last_line, whole};
use tests::process::{Broker, BrokerOptions, Deadline};

const TOPIC: &str = "exactly";
/// From a fault, or its end, until all is well: elections, catching up, and a busy machine.
const PATIENCE_SECONDS: u64 = 90;
/// Transactions that are committed during a fault, and after it: more than were on their way when it came.
const COMMITS: u64 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Killed,
    Stopped,
    /// It hears nobody and nobody hears it.
    CutOff,
    /// The others do not hear it.
    Mute,
    /// Only the wire to one other is cut, both ways.
    OneWire,
    /// It comes back with an empty disk.
    Wiped,
}

const FAULTS: [Fault; 6] =
    [Fault::Killed, Fault::Stopped, Fault::CutOff, Fault::Mute, Fault::OneWire, Fault::Wiped];
/// The short form has these, each once; who loses its disk is killed first.
const SHORT: [Fault; 3] = [Fault::Stopped, Fault::CutOff, Fault::Wiped];

struct Scene {
    verify: Verify,
    cluster: Cluster,
    wires: Wires,
}

impl Scene {
    fn begin() -> Self {
        let (cluster, wires) = Cluster::start_wired(&[1, 1, 1]);
        let load = "--transactions --topic exactly --partitions 3 --replication-factor 3 --rate 60 --producers 3 \
                    --seconds 86400 --timeout-seconds 2 --retry-seconds 120 --quiet --history history";
        let arguments: Vec<&str> = load.split_whitespace().collect();
        let verify = Verify::start_with(&cluster.bootstrap(), cluster.nodes[0].folder(), &arguments);
        verify.wait_for_commits(COMMITS);
        Self { verify, cluster, wires }
    }

    fn begin_fault(&mut self, fault: Fault, node: usize) {
        let wires = &self.wires;
        match fault {
            Fault::Killed => self.cluster.nodes[node].kill(),
            Fault::Wiped => {
                self.cluster.nodes[node].kill();
                std::fs::remove_dir_all(self.cluster.nodes[node].data_dir()).expect("its folder");
            }
            Fault::Stopped => self.cluster.nodes[node].signal("STOP"),
            Fault::CutOff => wires.isolate(node, true, true),
            Fault::Mute => wires.isolate(node, true, false),
            Fault::OneWire => {
                let other = (node + 1) % 3;
                wires.hold(node, other, true);
                wires.hold(other, node, true);
            }
        }
    }

    fn end_fault(&mut self, fault: Fault, node: usize) {
        match fault {
            Fault::Killed | Fault::Wiped => self.cluster.nodes[node].run(),
            Fault::Stopped => self.cluster.nodes[node].signal("CONT"),
            Fault::CutOff | Fault::Mute | Fault::OneWire => self.wires.heal(),
        }
    }

    /// Transactions go on during the fault and after it, and the node comes back in sync.
    fn suffer(&mut self, fault: Fault, node: usize) {
        let since = Instant::now();
        print!("node {} {fault:?}: ", node + 1);
        self.begin_fault(fault, node);
        self.verify.wait_for_commits(COMMITS);
        let went_on = since.elapsed();
        self.end_fault(fault, node);
        self.verify.wait_for_commits(COMMITS);
        for topic in ["exactly-0", "exactly-1"] {
            self.cluster.wait_in_sync(topic, PATIENCE_SECONDS);
        }
        println!("{COMMITS} commits after {went_on:?}, whole after {:?}", since.elapsed());
    }

    /// Ends the load: its judgement, and the replicas' equality.
    fn end(mut self) {
        self.verify.enough();
        let (code, said) = self.verify.end();
        assert_eq!(code, 0, "{said}");
        let findings = last_line(&self.cluster.nodes[0].folder().join("verify.json"), "findings");
        println!("{findings}");
        assert!(findings["clean"] == true && findings["anomalies"] == serde_json::json!({}), "{findings}");
        for kind in ["committed", "aborted", "copied", "read", "crashed"] {
            assert!(whole(&findings[kind]) > 0, "{kind}: {findings}");
        }
        self.cluster.stop();
        self.cluster.assert_identical();
        let panicked = |node: &&Broker| node.log().contains("panicked");
        assert_eq!(self.cluster.nodes.iter().filter(panicked).count(), 0, "a node panicked");
    }
}

#[test]
fn transactions_are_exactly_once_under_any_fault_of_a_node_or_a_wire() {
    let mut scene = Scene::begin();
    let long = std::env::var("DURAMEN_TRANSACTIONS_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    for fault in SHORT {
        let deadline = Deadline::seconds(PATIENCE_SECONDS);
        let leader = deadline.wait_for("a leader", || scene.cluster.leader(0, &format!("{TOPIC}-0"), 0));
        scene.suffer(fault, leader);
    }
    if let Some(seconds) = long {
        let (until, mut rng) = (Instant::now() + Duration::from_secs(seconds), Rng::new(seconds));
        while Instant::now() < until {
            let fault = FAULTS[rng.below(FAULTS.len() as u64) as usize];
            scene.suffer(fault, rng.below(3) as usize);
        }
    }
    scene.end();
}

#[test]
fn readers_who_are_shown_what_was_aborted_are_found_out() {
    let broker = Broker::start(BrokerOptions { shards: 1, ..BrokerOptions::default() });
    let load = "--transactions --show-all --partitions 2 --rate 60 --producers 2 --seconds 86400 --quiet --history history";
    let arguments: Vec<&str> = load.split_whitespace().collect();
    let verify = Verify::start_with(&broker.bootstrap(), broker.folder(), &arguments);
    // One of five is aborted.
    verify.wait_for_commits(40);
    verify.enough();
    let (code, said) = verify.end();
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("aborted-read") && said.contains("NOT CLEAN"), "{said}");
    let findings = last_line(&broker.folder().join("verify.json"), "findings");
    assert!(whole(&findings["anomalies"]["aborted-read"]) > 0 && findings["clean"] == false, "{findings}");
    let history = std::fs::read_to_string(broker.folder().join("history")).expect("it is kept");
    assert!(history.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
}
