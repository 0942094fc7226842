//! Three real processes under `duramen-bench verify` while nodes are killed, stopped and continued,
//! and the wires between them cut both ways and one way: nothing acked is lost, doubled, reordered
//! or corrupt, and the replicas end the same.
//!
//! `DURAMEN_FAULT_SECONDS=3600 cargo test -p duramen-tests --test cluster_faults under_load` is the
//! long form: the same faults, in an order that the seed decides, for so long.

use engine::rng::Rng;
use std::time::{Duration, Instant};
use tests::process::cluster::Cluster;
use tests::process::proxy::Wires;
use tests::process::verify::{Verify, last_line, whole};
use tests::process::{Broker, Deadline};

const TOPIC: &str = "proof";
/// From a fault, or its end, until all is well: elections, catching up, and a busy machine.
const PATIENCE_SECONDS: u64 = 60;
/// Acks during a fault: far more than can have been on their way when it began.
const ACKS: usize = 500;

/// What is done to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Killed,
    Stopped,
    /// It hears nobody and nobody hears it.
    CutOff,
    /// The others do not hear it.
    Mute,
    /// It does not hear the others.
    Deaf,
    /// Only the wire to one other is cut, both ways.
    OneWire,
}

const FAULTS: [Fault; 6] =
    [Fault::Killed, Fault::Stopped, Fault::CutOff, Fault::Mute, Fault::Deaf, Fault::OneWire];

struct Scene {
    verify: Verify,
    cluster: Cluster,
    wires: Wires,
}

impl Scene {
    fn begin() -> Self {
        let (cluster, wires) = Cluster::start_wired(&[2, 1, 1]);
        let load = "--topic proof --partitions 6 --replication-factor 3 --rate 2000 --record-bytes 300 \
                    --seconds 86400 --timeout-seconds 2 --retry-seconds 120 --quiet";
        let arguments: Vec<&str> = load.split_whitespace().collect();
        let verify = Verify::start(&cluster.bootstrap(), cluster.nodes[0].folder(), &arguments);
        verify.wait_for_acks(ACKS);
        Self { cluster, wires, verify }
    }

    fn begin_fault(&mut self, fault: Fault, node: usize) {
        let wires = &self.wires;
        match fault {
            Fault::Killed => self.cluster.nodes[node].kill(),
            Fault::Stopped => self.cluster.nodes[node].signal("STOP"),
            Fault::CutOff => wires.isolate(node, true, true),
            Fault::Mute => wires.isolate(node, true, false),
            Fault::Deaf => wires.isolate(node, false, true),
            Fault::OneWire => {
                let other = (node + 1) % 3;
                wires.hold(node, other, true);
                wires.hold(other, node, true);
            }
        }
    }

    fn end_fault(&mut self, fault: Fault, node: usize) {
        match fault {
            Fault::Killed => self.cluster.nodes[node].run(),
            Fault::Stopped => self.cluster.nodes[node].signal("CONT"),
            _ => self.wires.heal(),
        }
    }

    /// The load goes on during the fault and after it, and the node comes back in sync.
    fn suffer(&mut self, fault: Fault, node: usize) {
        let since = Instant::now();
        print!("node {} {fault:?}: ", node + 1);
        self.begin_fault(fault, node);
        self.verify.wait_for_acks(ACKS);
        let went_on = since.elapsed();
        self.end_fault(fault, node);
        self.verify.wait_for_acks(ACKS);
        self.cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);
        println!("{ACKS} acks after {went_on:?}, whole after {:?}", since.elapsed());
    }

    /// Ends the load: its proof, and the replicas' equality.
    fn end(mut self) {
        self.verify.enough();
        let (code, said) = self.verify.end();
        assert_eq!(code, 0, "{said}");
        let findings = last_line(&self.cluster.nodes[0].folder().join("verify.json"), "findings");
        println!("{findings}");
        assert!(whole(&findings["acked"]) > 0 && findings["clean"] == true, "{findings}");
        self.cluster.stop();
        self.cluster.assert_identical();
        let panicked = |node: &&Broker| node.log().contains("panicked");
        assert_eq!(self.cluster.nodes.iter().filter(panicked).count(), 0, "a node panicked");
    }
}

#[test]
fn nothing_acked_is_lost_doubled_or_reordered_under_load_by_any_fault_of_a_node_or_a_wire() {
    let mut scene = Scene::begin();
    let long = std::env::var("DURAMEN_FAULT_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    // The short form: every fault once, of the node that leads the first partition.
    for fault in FAULTS {
        let deadline = Deadline::seconds(PATIENCE_SECONDS);
        let leader = deadline.wait_for("a leader", || scene.cluster.leader(0, TOPIC, 0));
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
