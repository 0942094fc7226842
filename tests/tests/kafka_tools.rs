//! Kafka's own command-line tools, all of them, where Java and Maven are there.

use std::process::Command;
use tests::process::{Broker, BrokerOptions, foreign, workspace_folder};

/// 40 tools, each with a Java machine of its own, on a busy machine; or the jars' first download.
const SECONDS_MAX: &str = "900";

#[test]
fn kafkas_own_tools_work() {
    let broker = Broker::start(BrokerOptions::default());
    let script = workspace_folder().join("tests/kafka-tools/run");
    let mut command = Command::new("timeout");
    command.arg(SECONDS_MAX).arg(script).arg(broker.bootstrap());
    foreign::run_case("kafkas_own_tools_work", &mut command);
}
