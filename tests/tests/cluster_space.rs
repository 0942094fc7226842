//! A cluster of which one node has no room: on its disk, or in the wire that leads to it. The others
//! go on without it, say so, pin no memory for it, and take it back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tests::process::cluster::{Cluster, PATIENT};
use tests::process::records::{Load, read_all};
use tests::process::small_disk::SmallDisk;
use tests::process::{Broker, Deadline};

const TOPIC: &str = "t";
const PARTITIONS: u64 = 3;
const PATIENCE_SECONDS: u64 = 90;
const RECORD_BYTES: usize = 100_000;
/// The reserve, and of four journals (the metadata's, and one for each node that leads) this
/// segment and the next; then no more, but for what indexes and checkpoints take.
const ROOM_MIB: u64 = 64 + 8 * 24 + 20;
const BALLAST_MIB: u64 = 150;

/// A load in steps, and what became of it.
struct Sender {
    load: Load,
    sent: u64,
}

impl Sender {
    fn new(cluster: &Cluster) -> Self {
        Self { load: Load::new(&cluster.bootstrap(), &PATIENT), sent: 0 }
    }

    /// One more record to each partition, and no more on their way than a few.
    fn step(&mut self) {
        for partition in 0..PARTITIONS as i32 {
            assert!(self.load.send(TOPIC, partition, self.sent, RECORD_BYTES));
        }
        self.sent += 1;
        let in_flight = || self.sent * PARTITIONS - self.load.reports.len() as u64;
        let deadline = Deadline::seconds(PATIENCE_SECONDS);
        deadline.wait_for("the load goes on", || (in_flight() < 60).then_some(()));
    }

    /// Every record was acked at its place, and is there.
    fn check(self, cluster: &Cluster) {
        self.load.flush(PATIENCE_SECONDS);
        assert_eq!(self.load.fatal_error(), None);
        let mut acked: BTreeMap<i32, u64> = BTreeMap::new();
        for report in self.load.reports.take() {
            assert_eq!(report.offset, Ok(report.number as i64), "partition {}", report.partition);
            *acked.entry(report.partition).or_default() += 1;
        }
        for partition in 0..PARTITIONS as i32 {
            let read = read_all(&cluster.bootstrap(), TOPIC, partition, PATIENCE_SECONDS);
            assert_eq!((read.len() as u64, acked[&partition]), (self.sent, self.sent), "{partition}");
        }
    }
}

/// The nodes in sync of each partition, as node 1 knows.
fn in_sync(cluster: &Cluster) -> Option<Vec<Vec<i64>>> {
    let described = cluster.described(0, TOPIC)?;
    let nodes = |partition: &serde_json::Value| -> Option<Vec<i64>> {
        partition["in_sync"].as_array()?.iter().map(|broker| Some(broker.as_i64()? / 1000)).collect()
    };
    described["partitions"].as_array()?.iter().map(nodes).collect()
}

fn metric_max(node: &Broker, name: &str) -> f64 {
    let page = node.metrics();
    let lines = page.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).fold(0.0, f64::max)
}

#[test]
fn a_node_with_a_full_disk_is_left_out_hands_over_and_comes_back() {
    let test = "a_node_with_a_full_disk_is_left_out_hands_over_and_comes_back";
    let Some(disk) = SmallDisk::mount(test, ROOM_MIB + BALLAST_MIB) else { return };
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; (BALLAST_MIB as usize) << 20]).expect("written");
    let mut cluster = Cluster::prepare(&[1, 1, 1]);
    cluster.nodes[2].options.data_dir = Some(disk.path().join("data"));
    cluster.nodes.iter_mut().for_each(|node| node.options.segment_bytes = 24 << 20);
    cluster.run();
    cluster.create(TOPIC, PARTITIONS);
    let mut sender = Sender::new(&cluster);
    let says = |node: &Broker, text: &str| node.log().contains(text);
    let deadline = Deadline::seconds(PATIENCE_SECONDS);
    let left_out = |cluster: &Cluster| {
        let full =
            cluster.nodes[..2].iter().filter(|node| says(node, "has no room for the next segment")).count();
        full > 0 && says(&cluster.nodes[2], "hands over: its disk is full")
    };
    while !left_out(&cluster) {
        assert!(!deadline.is_over(), "{} records and no disk is full", sender.sent);
        sender.step();
    }
    let full = metric_max(&cluster.nodes[0], "duramen_follower_full")
        .max(metric_max(&cluster.nodes[1], "duramen_follower_full"));
    println!("full after {} records of 100 KB to each partition; told: {full}", sender.sent);
    (0..100).for_each(|_| sender.step());
    Deadline::seconds(PATIENCE_SECONDS).wait_for("the full node leads nothing and is not in sync", || {
        let out = in_sync(&cluster)?.iter().all(|nodes| !nodes.contains(&3));
        let leads = (0..PARTITIONS as usize).all(|at| cluster.leader(0, TOPIC, at).is_some_and(|at| at != 2));
        (out && leads).then_some(())
    });
    std::fs::remove_file(&ballast).expect("removed");
    cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);
    Deadline::seconds(PATIENCE_SECONDS).wait_for("it leads again what it is meant to", || {
        (0..PARTITIONS as usize).any(|at| cluster.leader(0, TOPIC, at) == Some(2)).then_some(())
    });
    sender.check(&cluster);
    cluster.stop();
    cluster.assert_identical();
}

#[test]
fn a_follower_that_takes_nothing_pins_no_more_than_its_share_and_catches_up_from_disk() {
    let (mut cluster, wires) = Cluster::start_wired(&[1, 1, 1]);
    cluster.create(TOPIC, PARTITIONS);
    let mut sender = Sender::new(&cluster);
    (0..50).for_each(|_| sender.step());
    for from in [0, 1] {
        wires.hold(from, 2, true);
    }
    // 300 MB: twice a node's whole memory, and fifteen times what may wait for one other node.
    let (until, mut queued_bytes, mut resident_bytes) = (sender.sent + 1000, 0.0f64, 0);
    let mut looked = Instant::now();
    while sender.sent < until {
        sender.step();
        if looked.elapsed() > Duration::from_millis(200) {
            looked = Instant::now();
            for node in &cluster.nodes[..2] {
                queued_bytes = queued_bytes.max(metric_max(node, "duramen_peer_queued_bytes"));
                resident_bytes = node.resident_bytes().max(resident_bytes);
            }
        }
    }
    println!("at most {queued_bytes} bytes waited, {} MiB resident", resident_bytes >> 20);
    // Two links of 20 MiB each: an entry of the largest size, and what is said around it.
    assert!(queued_bytes <= f64::from(40 << 20), "{queued_bytes} bytes wait");
    assert!(resident_bytes < 400 << 20, "{resident_bytes} bytes resident with --memory 160MiB");
    // A third of it in each journal, one that each node led.
    Deadline::seconds(PATIENCE_SECONDS).wait_for("its lag is told", || {
        let lags = |node: &Broker| metric_max(node, "duramen_follower_lag_bytes") > f64::from(80 << 20);
        cluster.nodes[..2].iter().any(lags).then_some(())
    });
    let since = Instant::now();
    wires.heal();
    Deadline::seconds(PATIENCE_SECONDS).wait_for("it has all", || {
        let lag = |node: &Broker| metric_max(node, "duramen_follower_lag_entries");
        cluster.nodes.iter().all(|node| lag(node) == 0.0).then_some(())
    });
    println!("caught up in {:?}", since.elapsed());
    sender.check(&cluster);
    cluster.stop();
    cluster.assert_identical();
}
