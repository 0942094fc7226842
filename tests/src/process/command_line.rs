//! The native commands, run against a broker.

use super::{Broker, binary};
use serde_json::Value;
use std::process::Command;

/// Exit code, stdout and stderr of a command, its noun and verb first.
pub fn command(broker: &Broker, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new("timeout")
        .arg("60")
        .arg(binary::duramen())
        .args(arguments)
        .args(["--brokers", &broker.bootstrap()])
        .output()
        .expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("an exit code"), text(output.stdout), text(output.stderr))
}

/// The command's success, and what it said.
pub fn done(broker: &Broker, arguments: &[&str]) -> String {
    let (code, said, error) = command(broker, arguments);
    assert_eq!(code, 0, "{arguments:?}: {said}{error}");
    said
}

pub fn json(broker: &Broker, arguments: &[&str]) -> Value {
    let said = done(broker, &[arguments, &["--json"]].concat());
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{arguments:?}: {error} in {said}"))
}

/// The command's failure with this code, the text, and a remedy.
pub fn refused(broker: &Broker, arguments: &[&str], code: i32, text: &str) {
    let (ended, said, error) = command(broker, arguments);
    assert_eq!(ended, code, "{arguments:?}: {said}{error}");
    assert!(error.contains(text) && error.contains("remedy"), "{arguments:?}: no '{text}' in: {error}");
    assert!(said.is_empty(), "{said}");
}
