//! A disk that fills up: produce is refused early, reads and deletion go on, room is used again.

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;
use tests::process::records::{Load, client, read_all};
use tests::process::small_disk::SmallDisk;
use tests::process::{Broker, BrokerOptions, Deadline};

/// The reserve, two segments each for the meta journal and one of data, and three more to fill.
const DISK_MIB: u64 = 64 + 7 * 24 + 24;

/// No retries: a refusal is seen at once instead of being tried again for minutes.
const ONCE: [(&str, &str); 4] =
    [("acks", "all"), ("retries", "0"), ("linger.ms", "0"), ("message.timeout.ms", "30000")];

/// Sends records of 100 KB one by one from `number` on until one is refused; how many were taken.
fn fill(load: &Load, topic: &str) -> (u64, RDKafkaErrorCode) {
    for number in 0..5_000 {
        assert!(load.send(topic, 0, number, 100_000));
        load.flush(40);
        let report = load.reports.take().pop().expect("a report");
        match report.offset {
            Ok(offset) => assert_eq!(offset, number as i64),
            Err(error) => return (number, error.rdkafka_error_code().expect("a code")),
        }
    }
    panic!("500 MB on a disk of {DISK_MIB} MiB");
}

#[test]
fn a_full_disk_refuses_produce_serves_the_rest_and_takes_up_again() {
    let Some(disk) =
        SmallDisk::mount("a_full_disk_refuses_produce_serves_the_rest_and_takes_up_again", DISK_MIB)
    else {
        return;
    };
    let mut broker = Broker::start(BrokerOptions {
        shards: 1,
        segment_bytes: 24 << 20,
        data_dir: Some(disk.path().join("data")),
        ..BrokerOptions::default()
    });
    let load = Load::new(&broker.bootstrap(), &ONCE);
    let (taken, error) = fill(&load, "full");
    println!("{taken} records of 100 KB taken, then {error:?}");
    assert_eq!(error, RDKafkaErrorCode::KafkaStorageError);
    assert!(taken > 400, "{taken} records");
    Deadline::seconds(10).wait_for("the metric of a full journal", || {
        let is_full = |line: &str| line.starts_with("duramen_journal_full") && line.ends_with(" 1");
        broker.metrics().lines().any(is_full).then_some(())
    });
    assert_eq!(read_all(&broker.bootstrap(), "full", 0, 60).len() as u64, taken);

    let admin: AdminClient<DefaultClientContext> =
        client(&broker.bootstrap(), &[]).create().expect("an admin client");
    let deleted = futures_lite::future::block_on(admin.delete_topics(&["full"], &AdminOptions::new()))
        .expect("answered");
    assert_eq!(deleted, [Ok("full".to_owned())]);
    let again = Load::new(&broker.bootstrap(), &ONCE);
    Deadline::seconds(60).wait_for("room after the deletion", || {
        assert!(again.send("again", 0, 0, 100_000));
        again.flush(40);
        let report = again.reports.take().pop().expect("a report");
        report.offset.ok()
    });
    assert_eq!(broker.stop().code(), Some(0), "{}", broker.log());
    broker.run();
    assert_eq!(read_all(&broker.bootstrap(), "again", 0, 60), [(0, 0)]);
    drop(broker);
    drop(disk);
}
