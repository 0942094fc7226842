//! Clients that nobody here wrote: kcat, Python's three and kafkajs.

use std::fmt::Write;
use std::fs::File;
use std::process::{Command, Stdio};
use tests::process::{Broker, BrokerOptions, foreign};

/// The issue's own acceptance: a real text in, the same text out.
#[test]
fn kcat_gets_back_the_file_it_gave() {
    let Some(kcat) = foreign::kcat("kcat_gets_back_the_file_it_gave") else { return };
    let broker = Broker::start(BrokerOptions::default());
    let given = broker.folder().join("given.txt");
    let text = (0..120_000).fold(String::new(), |mut text, line| {
        writeln!(text, "{line} {} wood {}", line * 7919 % 1013, "x".repeat(line % 90))
            .expect("a string takes all");
        text
    });
    std::fs::write(&given, &text).expect("written");
    // Debian builds kcat without zstd; rdkafka and the Python clients have it.
    for codec in ["none", "gzip", "snappy", "lz4"] {
        let run = |arguments: &[&str], stdin: Stdio| {
            let mut command = Command::new("timeout");
            command
                .arg("120")
                .arg(&kcat)
                .args(["-b", &broker.bootstrap(), "-t", codec, "-p", "0"])
                .args(arguments)
                .stdin(stdin);
            foreign::run(&mut command).stdout
        };
        run(&["-P", "-z", codec], File::open(&given).expect("the file").into());
        let got = run(&["-C", "-o", "beginning", "-e", "-q"], Stdio::null());
        assert!(got == text.as_bytes(), "{codec}: {} bytes of {} came back", got.len(), text.len());
    }
}

#[test]
fn kafka_python() {
    let broker = Broker::start(BrokerOptions::default());
    foreign::run_script("kafka_python", "kafka_python_client.py", &broker.bootstrap());
}

#[test]
fn aiokafka() {
    let broker = Broker::start(BrokerOptions::default());
    foreign::run_script("aiokafka", "aiokafka_client.py", &broker.bootstrap());
}

/// Groups of three with rebalances, an idempotent producer, pause and resume, seek by time.
#[test]
fn aiokafka_suite() {
    let broker = Broker::start(BrokerOptions::default());
    foreign::run_script("aiokafka_suite", "aiokafka_suite.py", &broker.bootstrap());
}

#[test]
fn kafkajs_suite() {
    let broker = Broker::start(BrokerOptions::default());
    foreign::run_node_script("kafkajs_suite", "kafkajs/groups.js", &broker.bootstrap());
}

#[test]
fn confluent_kafka() {
    let broker = Broker::start(BrokerOptions { shards: 3, ..BrokerOptions::default() });
    foreign::run_script("confluent_kafka", "confluent_client.py", &broker.bootstrap());
}
