//! `duramen-bench` from outside: load on a real broker, its figures, and its proof of what was
//! acked, through crashes and when something is missing.

use serde_json::Value;
use std::process::{Command, Stdio};
use tests::process::verify::{self, Verify, last_line, whole};
use tests::process::{Broker, BrokerOptions, binary};

/// A command of the tool, with a time-out, against a broker.
fn bench(broker: &Broker, command: &str, arguments: &[&str]) -> Command {
    verify::bench(&broker.bootstrap(), broker.folder(), command, arguments)
}

/// Runs it to its end: exit code and both streams.
fn ended(mut command: Command) -> (i32, String) {
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().expect("an exit code"), String::from_utf8_lossy(&said).into_owned())
}

/// Runs it with `--json` and gives the last line of that type.
fn figures(broker: &Broker, command: &str, arguments: &[&str]) -> Value {
    let mut bench = bench(broker, command, arguments);
    bench.args(["--json", "result.json"]);
    let (code, said) = ended(bench);
    assert_eq!(code, 0, "{arguments:?}: {said}");
    last_line(&broker.folder().join("result.json"), "result")
}

#[test]
fn what_is_produced_is_consumed_with_every_way_to_choose_partitions() {
    let broker = Broker::start(BrokerOptions::default());
    let ways: [&[&str]; 5] = [
        &["--key", "none"],
        &["--key", "round-robin", "--compression", "lz4", "--topics", "3"],
        &["--key", "random", "--batch-bytes", "2KiB", "--producers", "3"],
        &["--key", "zipf", "--acks", "1"],
        &["--record-bytes", "10", "--idempotence", "false", "--compression", "zstd"],
    ];
    for (number, way) in ways.iter().enumerate() {
        let topic = format!("way-{number}");
        let common = [&["--topic", &topic, "--partitions", "4"][..], way].concat();
        let produced = figures(&broker, "produce", &[&common[..], &["--records", "5003"]].concat());
        assert_eq!(whole(&produced["produced"]["records"]), 5_003, "{way:?}");
        assert_eq!(whole(&produced["latency_us"]["count"]), 5_003, "{way:?}");
        assert_eq!(produced["fsync"], "fdatasync before every ack");
        let consumed = figures(&broker, "consume", &[&common[..], &["--drain", "--consumers", "2"]].concat());
        assert_eq!(whole(&consumed["consumed"]["records"]), 5_003, "{way:?}");
        assert_eq!(consumed["errors"], serde_json::json!({}), "{way:?}");
    }
}

#[test]
fn an_open_loop_keeps_its_rate_and_a_run_measures_end_to_end() {
    let broker = Broker::start(BrokerOptions::default());
    let load = ["--partitions", "3", "--rate", "2000", "--seconds", "2", "--hdr", "run.hdr"];
    let result = figures(&broker, "run", &load);
    let produced = whole(&result["produced"]["records"]);
    assert!((3_900..=4_100).contains(&produced), "{produced} records in 2 s at 2,000/s");
    assert_eq!(whole(&result["consumed"]["records"]), produced);
    assert_eq!(whole(&result["end_to_end_us"]["count"]), produced);
    let hdr = std::fs::read_to_string(broker.folder().join("run.hdr")).expect("an HDR log");
    for tag in ["latency", "service", "end-to-end"] {
        assert!(hdr.contains(&format!("Tag={tag},")), "{tag}");
    }
    let output = Command::new(binary::bench())
        .args(["report", "result.json", "-o", "page.html"])
        .current_dir(broker.folder())
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(broker.folder().join("page.html")).expect("a page");
    assert!(page.matches("<svg").count() >= 4, "its plots");
    assert!(!page.contains("src=") && !page.contains("href="), "it needs nothing from elsewhere");
}

#[test]
fn verify_proves_what_was_acked_through_kill_9_and_finds_what_is_missing() {
    let mut broker = Broker::start(BrokerOptions::default());
    let load = ["--topic", "proof", "--records", "30000", "--rate", "6000", "--partitions", "4"];
    let verify = Verify::start(&broker.bootstrap(), broker.folder(), &load);
    for more in [300, 500, 200] {
        verify.wait_for_acks(more);
        broker.kill();
        broker.run();
    }
    let (code, said) = verify.end();
    assert_eq!(code, 0, "{said}");
    let findings = last_line(&broker.folder().join("verify.json"), "findings");
    assert_eq!(whole(&findings["acked"]), 30_000, "{said}");
    assert_eq!(whole(&findings["present"]), 30_000, "{said}");
    let result = last_line(&broker.folder().join("verify.json"), "result");
    assert!(!result["errors"].as_object().expect("an object").is_empty(), "the kills were met");

    // An ack of what was never sent, and one that names another offset.
    let acked = broker.folder().join("acked");
    let text = std::fs::read_to_string(&acked).expect("the acks");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut words: Vec<&str> = text.lines().nth(1).expect("an ack").split(' ').collect();
    words[4] = "999999";
    lines[1] = words.join(" ");
    lines.push("0 1 1000000 7 5".into());
    // The tool was killed while it wrote the last line.
    std::fs::write(&acked, lines.join("\n") + "\n0 1 10").expect("written");
    let mut again = bench(&broker, "verify", &["--resume", "--acked", "acked"]);
    again.args(["--json", "again.json"]);
    let (code, said) = ended(again);
    assert_eq!(code, 4, "{said}");
    let findings = last_line(&broker.folder().join("again.json"), "findings");
    assert_eq!(whole(&findings["lost"]), 7, "{said}");
    assert!(whole(&findings["moved"]) > 0 && said.contains("records 1000000 to 1000006"), "{said}");
}

/// Ends with the code, and says the text.
fn refused(broker: &Broker, command: &str, arguments: &[&str], code: i32, text: &str) {
    let (ended, said) = ended(bench(broker, command, arguments));
    assert_eq!(ended, code, "{command} {arguments:?}: {said}");
    assert!(said.contains(text), "{command} {arguments:?}: no '{text}' in: {said}");
}

#[test]
fn failures_say_why_and_have_their_exit_codes() {
    let mut broker = Broker::start(BrokerOptions::default());
    refused(&broker, "produce", &["--partitons", "3"], 1, "--partitions");
    refused(&broker, "produce", &["--idempotence", "true", "--acks", "1"], 1, "--acks all");
    refused(&broker, "produce", &["--workload", "/nonexistent.toml"], 1, "/nonexistent.toml");
    refused(&broker, "produce", &["--json", "/nonexistent/x"], 1, "/nonexistent/x");
    refused(&broker, "consume", &["--topic", "missing"], 2, "missing");
    refused(&broker, "produce", &["--replication-factor", "9"], 2, "INVALID_REPLICATION_FACTOR");
    refused(&broker, "produce", &["--record-bytes", "2MiB", "--records", "3"], 3, "MESSAGE_TOO_LARGE");
    let search = ["--p99-ms", "0.001", "--seconds", "0.2", "--first-rate", "100"];
    refused(&broker, "search", &search, 6, "no rate");
    let exists = broker.folder().join("acked");
    std::fs::write(&exists, "").expect("written");
    refused(&broker, "verify", &["--acked", "acked"], 1, "--resume");
    broker.kill();
    refused(&broker, "produce", &[], 2, "127.0.0.1");
}
