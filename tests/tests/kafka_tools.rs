//! Kafka's own command-line tools, all of them, where Java and Maven are there.

use std::io::Write;
use std::process::Command;
use tests::process::{Broker, BrokerOptions, workspace_folder};

/// What the script ends with when it cannot run here.
const SKIPPED: i32 = 77;
/// 40 tools, each with a Java machine of its own, on a busy machine; or the jars' first download.
const SECONDS_MAX: &str = "900";

#[test]
fn kafkas_own_tools_work() {
    let broker = Broker::start(BrokerOptions::default());
    let script = workspace_folder().join("tests/kafka-tools/run");
    let mut command = Command::new("timeout");
    command.arg(SECONDS_MAX).arg(script).arg(broker.bootstrap());
    let output = command.output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(0) => {}
        Some(SKIPPED) => {
            // Java is not asked of a machine that tests this: it says so on the real stderr.
            let _ = writeln!(std::io::stderr(), "kafkas_own_tools_work: {said}");
        }
        _ => panic!("{}:\n{said}{}", output.status, String::from_utf8_lossy(&output.stderr)),
    }
}
