//! The process from outside: what it refuses and how it exits, start, stop and its streams.

use std::io::Write;

use std::process::{Command, Stdio};
use tests::process::broker::test_folder;
use tests::process::ports::Ports;
use tests::process::{Broker, BrokerOptions, Deadline, binary, foreign, http};

/// Runs `duramen` to its end: exit code and both streams.
fn duramen(arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new("timeout");
    let output = command.arg("30").arg(binary::duramen()).args(arguments).output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().expect("an exit code"), String::from_utf8_lossy(&text).into_owned())
}

/// Ends with the code, and says each of the texts.
fn refused(arguments: &[&str], code: i32, texts: &[&str]) {
    let (ended, said) = duramen(arguments);
    assert_eq!(ended, code, "{arguments:?}: {said}");
    for text in texts {
        assert!(said.contains(text), "{arguments:?}: no '{text}' in: {said}");
    }
}

#[test]
fn help_and_version_are_complete_and_succeed() {
    let (code, help) = duramen(&["--help"]);
    assert_eq!(code, 0);
    for option in [
        "--config",
        "--data-dir",
        "--node-id",
        "--listen",
        "--listener",
        "--advertise",
        "--shards",
        "--memory",
        "--segment-bytes",
        "--peers",
        "--peer-listen",
        "--insecure-peers",
        "--rack",
        "--accept-loss",
        "--http-listen",
        "--log-format",
        "--set",
        "check-config",
        "Exit codes",
    ] {
        assert!(help.contains(option), "{option}: {help}");
    }
    let (code, version) = duramen(&["--version"]);
    assert_eq!((code, version.trim()), (0, concat!("duramen ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn usage_and_configuration_are_refused_with_1_and_a_remedy() {
    refused(&["--listne", "x"], 1, &["--listen"]);
    refused(&["check-config", "--set", "num.partition=3"], 1, &["num.partition", "num.partitions", "remedy"]);
    refused(&["check-config", "--set", "num.partitions=none"], 1, &["num.partitions"]);
    refused(&["check-config", "--listen", "0.0.0.0:9092"], 1, &["--advertise HOST:9092"]);
    refused(&["check-config", "--shards", "2", "--memory", "255MiB"], 1, &["128 MiB", "256MiB"]);
    refused(&["check-config", "--node-id", "2147483"], 1, &["2147482"]);
    refused(&["check-config", "--config", "/nonexistent.toml"], 1, &["/nonexistent.toml"]);
    refused(&["check-config", "--log", "net=loud"], 1, &["--log"]);
}

#[test]
fn check_config_reads_the_file_and_names_the_nearest_key() {
    let folder = test_folder();
    let file = folder.path().join("duramen.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).expect("written");
        duramen(&["check-config", "--config", file.to_str().expect("utf-8")])
    };
    let (code, said) =
        check("listen = '127.0.0.1:9192'\nmemory = '1GiB'\nshards = 2\n[kafka]\nnum.partitions = 8\n");
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("listen = \"127.0.0.1:9192\"") && said.contains("num.partitions"), "{said}");
    let (code, said) = check("data_dir = '/tmp'\n");
    assert!(code == 1 && said.contains("'data-dir'"), "{said}");
    let (code, said) = check("[kafka]\nlog.retention.hour = 3\n");
    assert!(code == 1 && said.contains("log.retention.hours"), "{said}");
    let (code, said) = check("shards = 'many'\n");
    assert!(code == 1 && said.contains("line 1"), "{said}");
}

#[test]
fn a_port_that_is_taken_is_refused_with_2() {
    let broker = Broker::prepare(BrokerOptions::default());
    let taken = Ports::listen(broker.ports.kafka() + 1);
    let output = broker.command().output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("shard 1") && said.contains("remedy"), "{said}");
    drop(taken);
}

#[test]
fn a_folder_in_use_is_refused_with_2_and_another_nodes_with_3() {
    let mut broker = Broker::start(BrokerOptions::default());
    let other =
        Broker::prepare(BrokerOptions { data_dir: Some(broker.data_dir()), ..BrokerOptions::default() });
    let output = other.command().output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("in use") && said.contains(&broker.process().to_string()), "{said}");
    assert_eq!(broker.stop().code(), Some(0), "{}", broker.log());
    let output = other.command().args(["--node-id", "5"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("--node-id 0"), "{said}");
}

#[test]
fn a_memory_file_system_is_refused_with_2() {
    let Ok(folder) = tempfile::tempdir_in("/dev/shm") else { return };
    let broker =
        Broker::prepare(BrokerOptions { data_dir: Some(folder.path().into()), ..BrokerOptions::default() });
    let output = broker.command().output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("O_DIRECT") && said.contains("ext4"), "{said}");
}

#[test]
fn little_locked_memory_is_refused_with_2() {
    let broker = Broker::prepare(BrokerOptions::default());
    let command = broker.command();
    let arguments = command.get_args().map(|argument| argument.to_str().expect("utf-8"));
    let line =
        arguments.fold("ulimit -l 64; exec \"$0\"".to_owned(), |line, argument| line + " '" + argument + "'");
    let output = Command::new("sh").arg("-c").arg(line).arg(binary::duramen()).output().expect("sh runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("locked memory") && said.contains("LimitMEMLOCK"), "{said}");
}

#[test]
fn a_start_announces_itself_answers_its_pages_and_stops_within_10_s() {
    let mut broker = Broker::start(BrokerOptions { shards: 3, ..BrokerOptions::default() });
    let said = broker.log();
    for shard in 0..3 {
        let address = format!("127.0.0.1:{}", broker.ports.kafka() + shard);
        assert!(said.contains(&format!("listens on {address}, advertised as {address}")), "{said}");
    }
    let data = broker.data_dir().canonicalize().expect("the data folder").display().to_string();
    assert!(said.contains(&data) && said.contains("fdatasync"), "{said}");
    for path in ["/livez", "/readyz", "/startupz"] {
        assert_eq!(http::get(broker.ports.http(), path).expect("answered").0, 200, "{path}");
    }
    assert!(broker.metrics().contains("duramen_ready 1"));
    assert_eq!(broker.stop().code(), Some(0), "{}", broker.log());
    broker.run();
    broker.signal("INT");
    assert_eq!(broker.wait_end(12).code(), Some(0), "{}", broker.log());
}

#[test]
fn a_full_stderr_pipe_stops_nothing() {
    let mut broker =
        Broker::prepare(BrokerOptions { arguments: vec!["--log=trace".into()], ..BrokerOptions::default() });
    let mut child = broker.command().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let unread = child.stderr.take().expect("a pipe");
    broker.adopt(child);
    broker.wait_ready();
    if let Some(kcat) = foreign::kcat("a_full_stderr_pipe_stops_nothing") {
        for _ in 0..20 {
            produce_lines(&kcat, &broker.bootstrap(), 500);
        }
    }
    assert_eq!(http::get(broker.ports.http(), "/livez").expect("answered").0, 200);
    assert_eq!(broker.stop().code(), Some(0));
    drop(unread);
}

fn produce_lines(kcat: &std::path::Path, bootstrap: &str, lines: usize) {
    let mut child = Command::new(kcat)
        .args(["-P", "-b", bootstrap, "-t", "stderr", "-p", "0"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("kcat starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    (0..lines).for_each(|line| writeln!(stdin, "line {line}").expect("kcat reads"));
    drop(stdin);
    assert!(child.wait().expect("kcat ends").success());
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let mut broker = Broker::start(BrokerOptions::default());
    // Stopped meanwhile, so that both signals are there when it goes on.
    broker.signal("STOP");
    broker.signal("TERM");
    broker.signal("INT");
    broker.signal("CONT");
    let begin = Deadline::seconds(5);
    let status = broker.wait_end(5);
    assert!(
        !begin.is_over()
            && (status.code() == Some(130) || status.code() == Some(143) || status.code() == Some(0)),
        "{status}"
    );
}
