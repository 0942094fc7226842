//! The audit log of a node as an auditor reads it: who came, what was denied, what was changed from what to what, and
//! no secret.

use serde_json::Value;
use std::process::Command;
use tests::process::sasl::{self, PASSWORD};
use tests::process::wire::Wire;
use tests::process::{Broker, Deadline, binary};

const PATIENCE_SECONDS: u64 = 30;

fn lines(broker: &Broker) -> Vec<Value> {
    let path = broker.data_dir().join("audit/audit.log");
    let text = std::fs::read_to_string(path).expect("there is one");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// A line in which each of these is so.
fn told(broker: &Broker, wanted: &[(&str, &str)]) -> Value {
    let is_so = |line: &Value| {
        wanted.iter().all(|(key, value)| {
            line.get(key)
                .is_some_and(|found| found.as_str().map_or(found.to_string(), str::to_owned) == *value)
        })
    };
    Deadline::seconds(PATIENCE_SECONDS)
        .wait_for(&format!("a line with {wanted:?}"), || lines(broker).into_iter().find(is_so))
}

fn command(broker: &Broker, arguments: &[&str]) {
    let mut command = Command::new(binary::duramen());
    let output = command.args(arguments).args(["--brokers", &broker.bootstrap()]).output().expect("it runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn changes_log_ins_and_denials_are_told_and_secrets_are_not() {
    let mut broker = sasl::start(&[
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "sasl.enabled.mechanisms=SCRAM-SHA-256",
    ]);
    told(&broker, &[("event", "node started")]);
    let user = told(&broker, &[("event", "change"), ("change", "alter")]);
    assert!(user["what"].as_str().expect("a text").contains("credential of user \"anna\""), "{user}");
    assert_eq!(
        (&user["old"], &user["new"]["SCRAM-SHA-256"]["iterations"]),
        (&Value::Null, &Value::from(8192))
    );
    assert_eq!((&user["principal"], &user["address"]), (&"User:ANONYMOUS".into(), &"127.0.0.1".into()));

    command(&broker, &["topic", "create", "orders", "--partitions", "3"]);
    let created = told(&broker, &[("change", "create"), ("what", "topic \"orders\"")]);
    assert_eq!((&created["old"], &created["new"]["partitions"]), (&Value::Null, &Value::from(3)));
    command(&broker, &["topic", "alter", "orders", "--config", "retention.ms=7000"]);
    command(&broker, &["topic", "alter", "orders", "--config", "retention.ms=9000"]);
    let altered = told(&broker, &[("what", "topic \"orders\" (retention.ms=9000)")]);
    assert_eq!(altered["old"]["retention.ms"], "7000");
    assert_eq!(altered["new"]["retention.ms"], "9000");
    let rule = ["acl", "create", "--allow", "User:zoe", "--operation", "read", "--topic", "orders"];
    command(&broker, &rule);
    let rule = told(&broker, &[("new", "Allow User:zoe Read Topic orders (Literal) from *")]);
    assert_eq!((&rule["change"], &rule["error"]), (&"create".into(), &Value::Null));
    command(&broker, &["acl", "delete", "--allow", "User:zoe", "--operation", "read", "--topic", "orders"]);
    let deleted = told(&broker, &[("change", "delete")]);
    assert_eq!(deleted["old"][0], "Allow User:zoe Read Topic orders (Literal) from *");

    let mut wire = Wire::connect(sasl::sasl_port(&broker)).expect("accepted");
    assert_eq!(sasl::scram(&mut wire, "anna", PASSWORD, 1).error_code, 0);
    let came = told(&broker, &[("event", "authentication"), ("result", "success")]);
    assert_eq!((&came["principal"], &came["mechanism"]), (&"User:anna".into(), &"SCRAM-SHA-256".into()));
    assert_eq!(came["listener"], "ASKS");
    let mut request = kafka_wire::MetadataRequest::default();
    let mut topic = kafka_wire::metadata_request::MetadataRequestTopic::default();
    topic.name = Some("orders".into());
    request.topics = Some(vec![topic]);
    assert_eq!(wire.ask("a-client", 4, &request).topics[0].error_code, 29, "she may not");
    let denied = told(&broker, &[("event", "denied"), ("principal", "User:anna")]);
    assert_eq!((&denied["api"], &denied["client"]), (&"Metadata".into(), &"a-client".into()));
    assert_eq!(denied["denied"][0], "Describe Topic \"orders\"");
    let mut wire = Wire::connect(sasl::sasl_port(&broker)).expect("accepted");
    assert_ne!(sasl::scram(&mut wire, "anna", "wrong-password", 1).error_code, 0);
    let refused = told(&broker, &[("event", "authentication"), ("result", "failure")]);
    assert_eq!(refused["reason"], "no such user, or a wrong password");
    told(&broker, &[("event", "election"), ("what", "leads"), ("journal", "0")]);
    assert!(broker.metrics().contains("duramen_audit_lines_dropped_total 0\n"), "{}", broker.metrics());

    assert!(broker.stop().success());
    told(&broker, &[("event", "node stopped")]);
    let all = lines(&broker);
    let numbers: Vec<u64> = all.iter().map(|line| line["number"].as_u64().expect("a number")).collect();
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..numbers.len() as u64).collect::<Vec<_>>(), "none is missing");
    let text: String = all.iter().map(Value::to_string).collect();
    for secret in [PASSWORD, "wrong-password", "salt", "stored_key"] {
        assert!(!text.contains(secret), "{secret} is in it");
    }
}

#[test]
fn a_log_that_cannot_be_written_refuses_the_start_and_off_is_none() {
    let mut broker = Broker::prepare(tests::process::BrokerOptions::default());
    broker.options.arguments = ["--audit-log", "/proc/nothing/audit.log"].map(str::to_owned).to_vec();
    let output = broker.command().output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("audit log /proc/nothing/audit.log") && said.contains("--audit-log"), "{said}");
    broker.options.arguments = ["--audit-log", "off"].map(str::to_owned).to_vec();
    broker.run();
    assert!(!broker.data_dir().join("audit").exists());
    assert!(!broker.metrics().contains("duramen_audit"));
}
