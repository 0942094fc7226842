//! Whether nodes may be stopped, and how they are: `duramen may-stop`, `/maystop`, `duramen node stop`.

use std::process::{Command, Output};
use tests::process::cluster::{Cluster, PATIENT};
use tests::process::records::Load;
use tests::process::{Broker, BrokerOptions, Deadline, binary, http};

const TOPIC: &str = "t";
const PATIENCE_SECONDS: u64 = 60;

fn duramen(bootstrap: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary::duramen());
    command.args(arguments).args(["--brokers", bootstrap]).output().expect("it runs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn may_stop(cluster: &Cluster, nodes: &[&str]) -> (Option<i32>, String) {
    let output = duramen(&cluster.bootstrap(), &[&["may-stop"], nodes].concat());
    (output.status.code(), text(&output))
}

fn wait_until(cluster: &Cluster, nodes: &[&str], code: i32) -> String {
    Deadline::seconds(PATIENCE_SECONDS).wait_for("may-stop says so", || {
        let (said, text) = may_stop(cluster, nodes);
        (said == Some(code)).then_some(text)
    })
}

fn page(node: &Broker) -> (u16, String) {
    http::get(node.ports.http(), "/maystop").expect("an answer")
}

#[test]
fn one_of_three_may_stop_and_stops_without_a_producer_noticing() {
    let mut cluster = Cluster::start(&[1, 1, 1]);
    cluster.create(TOPIC, 3);
    cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);
    wait_until(&cluster, &["2"], 0);
    assert_eq!(may_stop(&cluster, &["2", "3"]).0, Some(5));
    let (code, said) = may_stop(&cluster, &["9"]);
    assert!(code == Some(5) && said.contains("no node 9"), "{said}");
    Deadline::seconds(PATIENCE_SECONDS)
        .wait_for("the page says so", || (page(&cluster.nodes[1]).0 == 200).then_some(()));

    let load = Load::new(&cluster.bootstrap(), &PATIENT);
    (0..200)
        .for_each(|number| (0..3).for_each(|partition| assert!(load.send(TOPIC, partition, number, 100))));
    let stopped = duramen(&cluster.nodes[0].bootstrap(), &["node", "stop", "2"]);
    assert!(stopped.status.success() && text(&stopped).contains("node 2 stopped"), "{}", text(&stopped));
    assert_eq!(cluster.nodes[1].wait_end(12).code(), Some(0), "{}", cluster.nodes[1].log());
    (200..400)
        .for_each(|number| (0..3).for_each(|partition| assert!(load.send(TOPIC, partition, number, 100))));
    load.flush(PATIENCE_SECONDS);

    let said = wait_until(&cluster, &["3"], 5);
    assert!(said.contains("journal 0 (the cluster's metadata): ") && said.contains("(t): "), "{said}");
    let (code, said) = page(&cluster.nodes[2]);
    assert!(code == 503 && said.contains("of 3"), "{said}");
    let refused = duramen(&cluster.nodes[0].bootstrap(), &["node", "stop", "3"]);
    assert!(refused.status.code() == Some(5) && text(&refused).contains("--force"), "{}", text(&refused));

    cluster.nodes[1].run();
    wait_until(&cluster, &["3"], 0);
    cluster.stop();
}

#[test]
fn a_lone_node_says_that_it_has_the_only_copy() {
    let mut node = Broker::start(BrokerOptions::default());
    let bootstrap = node.bootstrap();
    let said = duramen(&bootstrap, &["may-stop", "0", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&said.stdout).expect("JSON");
    assert_eq!((said.status.code(), &report["may_stop"]), (Some(5), &serde_json::json!(false)));
    assert!(text(&said).contains("node 0 has its only copy"), "{}", text(&said));
    assert_eq!(duramen(&bootstrap, &["node", "stop", "0"]).status.code(), Some(5));
    let stopped = duramen(&bootstrap, &["node", "stop", "0", "--force"]);
    assert!(stopped.status.success(), "{}", text(&stopped));
    assert_eq!(node.wait_end(12).code(), Some(0), "{}", node.log());
}
