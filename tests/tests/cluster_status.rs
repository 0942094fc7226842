//! What a cluster says of itself while a node is away: metrics, `/readyz`, `duramen cluster status`.

use serde_json::Value;
use std::process::Command;
use tests::process::cluster::{Cluster, PATIENT};
use tests::process::records::Load;
use tests::process::{Broker, Deadline, binary, http};

const TOPIC: &str = "t";
const PATIENCE_SECONDS: u64 = 60;

/// Samples of one name, of those lines that hold all of `labels`.
fn metric(node: &Broker, name: &str, labels: &[&str]) -> Vec<f64> {
    let page = node.metrics();
    let is_meant = |line: &&str| {
        line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label))
    };
    page.lines().filter(is_meant).filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect()
}

/// `duramen cluster status`, asked of node 1: its exit code, and what it says as JSON.
fn status(cluster: &Cluster) -> (Option<i32>, Value) {
    let mut command = Command::new(binary::duramen());
    command.args(["cluster", "status", "--json", "--timeout", "2"]);
    command.args(["--brokers", &cluster.nodes[0].bootstrap()]);
    for node in &cluster.nodes {
        command.args(["--metrics", &format!("127.0.0.1:{}", node.ports.http())]);
    }
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}")))
}

fn ready(node: &Broker) -> (u16, String) {
    http::get(node.ports.http(), "/readyz").expect("an answer")
}

#[test]
fn a_stopped_follower_is_told_by_its_leader_with_entries_bytes_and_seconds() {
    let mut cluster = Cluster::prepare(&[1, 1, 1]);
    for (node, rack) in cluster.nodes.iter_mut().zip(["a", "b", "c"]) {
        node.options.arguments.extend(["--rack", rack].map(str::to_owned));
    }
    cluster.run();
    cluster.create(TOPIC, 3);
    let load = Load::new(&cluster.bootstrap(), &PATIENT);
    let mut sent = 0;
    let mut send = |records: u64| {
        for number in sent..sent + records {
            (0..3).for_each(|partition| assert!(load.send(TOPIC, partition, number, 1000)));
        }
        sent += records;
        load.flush(PATIENCE_SECONDS);
    };
    send(50);
    let deadline = Deadline::seconds(PATIENCE_SECONDS);
    deadline.wait_for("all is well", || (status(&cluster).0 == Some(0)).then_some(()));
    let (_, well) = status(&cluster);
    let racks: Vec<&str> =
        well["brokers"].as_array().expect("rows").iter().filter_map(|row| row["rack"].as_str()).collect();
    assert_eq!(racks, ["a", "b", "c"]);

    cluster.nodes[2].signal("STOP");
    send(50);
    let of_it = ["node=\"3\""];
    let lags = |least: f64, name: &str| {
        let max = cluster.nodes[..2].iter().flat_map(|node| metric(node, name, &of_it)).fold(0.0, f64::max);
        (max >= least).then_some(max)
    };
    for (name, least) in [
        ("duramen_follower_lag_entries", 1.0),
        ("duramen_follower_lag_bytes", 4096.0),
        ("duramen_follower_lag_seconds", 11.0),
    ] {
        let lag = Deadline::seconds(PATIENCE_SECONDS).wait_for(name, || lags(least, name));
        println!("{name} {lag}");
    }
    let (code, unwell) = status(&cluster);
    let problems = unwell["problems"].to_string();
    println!("{problems}");
    assert_eq!(code, Some(3), "{problems}");
    assert!(problems.contains(": node 3 is ") && problems.contains("under-replicated"), "{problems}");
    let is_out = |node: &Broker| metric(node, "duramen_follower_in_sync", &of_it).contains(&0.0);
    assert!(cluster.nodes[..2].iter().any(is_out), "it is out of sync after 10 s");
    let elected: f64 =
        cluster.nodes[..2].iter().flat_map(|node| metric(node, "duramen_journal_elections_total", &[])).sum();
    assert!(elected >= 4.0, "{elected} elections");

    cluster.nodes[2].signal("CONT");
    Deadline::seconds(PATIENCE_SECONDS)
        .wait_for("all is well again", || (status(&cluster).0 == Some(0)).then_some(()));
    cluster.stop();
    cluster.assert_identical();
}

#[test]
fn a_node_without_a_majority_is_not_ready_when_it_starts() {
    let mut cluster = Cluster::start(&[1, 1, 1]);
    cluster.create(TOPIC, 3);
    cluster.stop();
    cluster.nodes[0].spawn();
    let recovered = || cluster.nodes[0].log().matches("journal recovered").count() >= 8;
    Deadline::seconds(PATIENCE_SECONDS).wait_for("it has recovered", || recovered().then_some(()));
    let (code, text) = ready(&cluster.nodes[0]);
    assert_eq!(code, 503, "{text}");
    println!("not ready: {text}");
    cluster.nodes[1].spawn();
    cluster.nodes[0].wait_ready();
    cluster.nodes[1].wait_ready();
    cluster.nodes[2].run();
    cluster.stop();
    cluster.assert_identical();
}
