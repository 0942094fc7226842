//! Kafka Connect and a Kafka Streams application against three nodes, everything killed with -9 in turns, where Java and
//! Maven are there; `.ci/nightly` carries ten times as much.

use std::process::Command;
use tests::process::ports::Ports;
use tests::process::{binary::duramen, foreign, workspace_folder};

/// Most of it is the jars' first download.
const SECONDS_MAX: &str = "900";
/// Of those that a range has: three for each node, and one for each of two workers.
const PORTS: u16 = 11;
/// Lines, or records.
const COUNT: &str = "5000";

fn run(test: &str, case: &str) {
    let ports = Ports::take();
    let list: Vec<String> = (ports.first..ports.first + PORTS).map(|port| port.to_string()).collect();
    let mut command = Command::new("timeout");
    command.arg(SECONDS_MAX).arg(workspace_folder().join("tests/ecosystem").join(case)).arg(COUNT);
    command.env("DURAMEN", duramen()).env("PORTS", list.join(" "));
    if let Some(said) = foreign::run_case(test, &mut command) {
        println!("{said}");
    }
}

#[test]
fn connect_carries_each_line_once_through_a_topic_into_a_file() {
    run("connect_carries_each_line_once_through_a_topic_into_a_file", "connect");
}

#[test]
fn streams_counts_each_record_once_and_restores_its_store_from_the_changelog() {
    run("streams_counts_each_record_once_and_restores_its_store_from_the_changelog", "streams");
}
