//! `duramen-dump` on the data folder of a real broker: while it writes, stopped, and killed.

use std::path::Path;
use std::process::Command;
use tests::process::records::Load;
use tests::process::stream::Stream;
use tests::process::{Broker, BrokerOptions, Deadline, binary};

const TOPIC: &str = "looked-at";
const PARTITIONS: u64 = 6;
const STREAM: Stream = Stream { topic: TOPIC, partitions: PARTITIONS, bytes: 6000, rest: None };

/// Exit code and what was printed.
fn dump(arguments: &[&str], folder: &Path) -> (i32, String) {
    let output = Command::new(binary::dump()).args(arguments).arg(folder).output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().expect("it ended by itself"), String::from_utf8_lossy(&text).into_owned())
}

/// Waits until so many more records were acked.
fn wait_for_acks(load: &Load, more: usize) {
    let before = load.reports.len();
    Deadline::seconds(60).wait_for("acks under load", || (load.reports.len() >= before + more).then_some(()));
}

#[test]
fn a_live_folder_is_clean_and_a_killed_one_at_most_torn() {
    // Little segments: some are sealed, cut and deleted in every look.
    let set = vec![format!("num.partitions={PARTITIONS}"), "log.retention.bytes=8000000".to_owned()];
    let options = BrokerOptions { set, segment_bytes: 24 << 20, ..BrokerOptions::default() };
    let mut broker = Broker::start(options);
    let folder = broker.data_dir();
    let load = Load::new(&broker.bootstrap(), &[("linger.ms", "1"), ("message.timeout.ms", "300000")]);
    STREAM.during(&load, || {
        for _ in 0..40 {
            wait_for_acks(&load, 500);
            let (code, text) = dump(&["verify", "--strict"], &folder);
            assert_eq!(code, 0, "{text}");
        }
        for command in
            ["segments", "entries", "batches", "records", "index", "hard-state", "checkpoint", "stats"]
        {
            let (code, text) = dump(&[command, "--json"], &folder);
            assert_eq!(code, 0, "{command}: {text}");
        }
        let (_, text) = dump(&["verify", "--json"], &folder);
        assert!(text.contains("\"live\":true"), "{text}");
        broker.kill();
        let (code, text) = dump(&["verify"], &folder);
        assert!(code == 0 || code == 2, "exit code {code}: {text}");
        broker.run();
        wait_for_acks(&load, 500);
    });
    load.flush(120);
    assert_eq!(broker.stop().code(), Some(0));
    let (code, text) = dump(&["verify", "--strict", "--json"], &folder);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("\"live\":false"), "{text}");
}
