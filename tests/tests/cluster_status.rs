//! What a cluster says of itself while a node is away: metrics, `/readyz`, `duramen cluster status`.

use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};
use tests::process::cluster::{Cluster, PATIENT};
use tests::process::records::Load;
use tests::process::{Broker, Deadline, binary, http};

const TOPIC: &str = "t";
const PATIENCE_SECONDS: u64 = 60;
/// It is two seconds; the rest is for a debug build on a busy machine. The simulator holds it to the two.
const SOON: Duration = Duration::from_secs(8);

/// Samples of one name, of those lines that hold all of `labels`.
fn metric(node: &Broker, name: &str, labels: &[&str]) -> Vec<f64> {
    let page = node.metrics();
    let is_meant = |line: &&str| {
        line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label))
    };
    page.lines().filter(is_meant).filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect()
}

/// `duramen cluster status`, asked of whichever node answers: its exit code, and what it says as JSON.
fn status(cluster: &Cluster) -> (Option<i32>, Value) {
    let mut command = Command::new(binary::duramen());
    command.args(["cluster", "status", "--json", "--brokers", &cluster.bootstrap()]);
    for node in &cluster.nodes {
        command.args(["--metrics", &format!("127.0.0.1:{}", node.ports.http())]);
    }
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}")))
}

/// What is wrong, of which node, as the status has it.
fn findings(status: &Value) -> Vec<(String, Option<u64>)> {
    let rows = status["findings"].as_array().expect("findings");
    rows.iter().map(|row| (row["what"].as_str().expect("text").to_owned(), row["node"].as_u64())).collect()
}

/// Until what is told holds, and how long that took.
fn told_after(cluster: &Cluster, holds: impl Fn(&[(String, Option<u64>)]) -> bool) -> Duration {
    let begun = Instant::now();
    Deadline::seconds(PATIENCE_SECONDS).wait_for("it is told", || {
        let (code, said) = status(cluster);
        (holds(&findings(&said)) && code == Some(3)).then_some(())
    });
    begun.elapsed()
}

fn well(cluster: &Cluster) {
    Deadline::seconds(PATIENCE_SECONDS)
        .wait_for("all is well", || (status(cluster).0 == Some(0)).then_some(()));
}

fn is_down(node: u64) -> impl Fn(&[(String, Option<u64>)]) -> bool {
    move |findings| findings.contains(&("node_down".to_owned(), Some(node)))
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
    well(&cluster);
    let (_, whole) = status(&cluster);
    let racks: Vec<&str> =
        whole["brokers"].as_array().expect("rows").iter().filter_map(|row| row["rack"].as_str()).collect();
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
    let begun = Instant::now();
    let (code, unwell) = status(&cluster);
    let took = begun.elapsed();
    let found = findings(&unwell);
    println!("{found:?} after {took:?}");
    assert_eq!(code, Some(3), "{found:?}");
    assert!(is_down(3)(&found) && found.contains(&("under_replicated".to_owned(), None)), "{found:?}");
    assert!(took < Duration::from_secs(6), "a node that says nothing holds up nobody: {took:?}");
    let answers = |row: &Value| (row["node"].as_u64(), row["answers"].as_bool());
    let rows: Vec<_> = unwell["brokers"].as_array().expect("rows").iter().map(answers).collect();
    assert_eq!(rows, [(Some(1), Some(true)), (Some(2), Some(true)), (Some(3), Some(false))]);
    let is_out = |node: &Broker| metric(node, "duramen_follower_in_sync", &of_it).contains(&0.0);
    assert!(cluster.nodes[..2].iter().any(is_out), "it is out of sync after 10 s");
    let elected: f64 =
        cluster.nodes[..2].iter().flat_map(|node| metric(node, "duramen_journal_elections_total", &[])).sum();
    assert!(elected >= 4.0, "{elected} elections");

    cluster.nodes[2].signal("CONT");
    well(&cluster);
    cluster.stop();
    cluster.assert_identical();
}

#[test]
fn a_node_that_stops_or_is_killed_is_told_soon_and_once_and_without_two_there_is_no_quorum() {
    let mut cluster = Cluster::start(&[1, 1, 1]);
    cluster.create(TOPIC, 3);
    well(&cluster);

    cluster.nodes[2].stop();
    let took = told_after(&cluster, is_down(3));
    println!("a clean stop is told after {took:?}");
    assert!(took < SOON, "a second, a look, and a command or two: {took:?}");
    let verbose = http::get(cluster.nodes[0].ports.http(), "/readyz?verbose").expect("an answer");
    assert!(verbose.0 == 200 && verbose.1.contains("node 3 is down"), "{verbose:?}");
    assert_eq!(metric(&cluster.nodes[0], "duramen_health", &["what=\"node_down\""]), [1.0]);
    cluster.nodes[2].run();
    well(&cluster);

    cluster.nodes[1].kill();
    let took = told_after(&cluster, is_down(2));
    println!("kill -9 is told after {took:?}");
    assert!(took < SOON, "{took:?}");

    cluster.nodes[2].kill();
    let no_quorum = |findings: &[(String, Option<u64>)]| findings.iter().any(|(what, _)| what == "no_quorum");
    let took = told_after(&cluster, |found| is_down(2)(found) && is_down(3)(found) && no_quorum(found));
    println!("the loss of two is told after {took:?}");
    // A journal that others were to lead may be told first: that alone does not make this node unready.
    Deadline::seconds(10)
        .wait_for("no quorum", || (ready(&cluster.nodes[0]) == (503, "no quorum\n".into())).then_some(()));
    let verbose = http::get(cluster.nodes[0].ports.http(), "/readyz?verbose").expect("an answer").1;
    println!("{verbose}");
    assert!(verbose.contains("no quorum: nobody leads, 1 of 3 replicas"), "{verbose}");
    let (_, said) = status(&cluster);
    let leads: Vec<_> =
        said["brokers"].as_array().expect("rows").iter().map(|row| row["leads"].as_u64()).collect();
    assert_eq!(leads, [Some(0); 3], "nobody is said to lead without a majority");
    assert_eq!(said["controller"], Value::Null);

    cluster.nodes[1].run();
    cluster.nodes[2].run();
    well(&cluster);
    let log = cluster.nodes[0].log();
    let lines = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    for node in ["node 2 is down", "node 3 is down"] {
        assert!((1..=4).contains(&lines(node)), "told when it begins, not again and again: {log}");
    }
    assert!(lines("quorum regained") >= 1 && lines("ready: every shard") == 1, "{log}");
    assert!(
        log.contains(&format!("127.0.0.1:{}", cluster.nodes[2].ports.peer())),
        "the address is named: {log}"
    );
    let created = "client=\"duramen-admin\" principal=\"User:ANONYMOUS\" from=127.0.0.1";
    assert!(log.lines().any(|line| line.contains("create topic \"t\"") && line.contains(created)), "{log}");
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
