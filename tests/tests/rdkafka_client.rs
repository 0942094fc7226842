//! rust-rdkafka against one broker: produce, fetch, retry, idempotence, partitions over shards.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};
use tests::process::records::{Load, client, read_all};
use tests::process::{Broker, BrokerOptions, Deadline, binary};

/// Records 0..count in order at offsets 0..count.
fn assert_dense(records: &[(i64, u64)], count: u64) {
    let expected: Vec<(i64, u64)> = (0..count).map(|number| (number as i64, number)).collect();
    assert!(
        records == expected,
        "{} records of {count}: {:?}…",
        records.len(),
        &records[..records.len().min(5)]
    );
}

fn send(load: &Load, topic: &str, partitions: i32, numbers: std::ops::Range<u64>, bytes: usize) {
    let deadline = Deadline::seconds(60);
    for number in numbers {
        for partition in 0..partitions {
            deadline.wait_for("room in the producer's queue", || {
                load.send(topic, partition, number, bytes).then_some(())
            });
        }
    }
}

fn create_topic(broker: &Broker, topic: &str, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> =
        client(&broker.bootstrap(), &[]).create().expect("an admin client");
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let created =
        futures_lite::future::block_on(admin.create_topics([&new], &AdminOptions::new())).expect("answered");
    assert_eq!(created, [Ok(topic.to_owned())]);
}

#[test]
fn every_compression_comes_back_in_order() {
    let broker = Broker::start(BrokerOptions::default());
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let load = Load::new(&broker.bootstrap(), &[("compression.type", codec), ("acks", "all")]);
        send(&load, codec, 1, 0..2000, 300);
        load.flush(60);
        assert!(
            load.reports.take().iter().all(|report| report.offset == Ok(report.number as i64)),
            "{codec}"
        );
        assert_dense(&read_all(&broker.bootstrap(), codec, 0, 60), 2000);
    }
}

/// Each client's codec to a topic of each `compression.type`, and what the disk has then.
#[test]
fn a_topics_compression_is_what_is_stored_whatever_its_producers_send() {
    let mut broker = Broker::start(BrokerOptions::default());
    let stored = [
        ("producer", None),
        ("uncompressed", Some("none")),
        ("gzip", Some("gzip")),
        ("snappy", Some("snappy")),
        ("lz4", Some("lz4")),
        ("zstd", Some("zstd")),
    ];
    for (compression, _) in stored {
        create_compressed(&broker, compression);
        for (turn, codec) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
            let settings = [("compression.type", codec), ("acks", "all"), ("enable.idempotence", "true")];
            let load = Load::new(&broker.bootstrap(), &settings);
            let first = turn as u64 * 300;
            send(&load, compression, 1, first..first + 300, 500);
            load.flush(60);
            let failed =
                load.reports.take().into_iter().find(|report| report.offset != Ok(report.number as i64));
            assert!(failed.is_none(), "{codec} to {compression}: {failed:?}");
        }
        assert_dense(&read_all(&broker.bootstrap(), compression, 0, 60), 1500);
    }
    assert_eq!(broker.stop().code(), Some(0), "{}", broker.log());
    for (topic, expected) in stored {
        let output = Command::new(binary::dump())
            .args(["batches", "--json", "--topic", topic])
            .arg(broker.data_dir())
            .output()
            .expect("it runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let codec = |line: &str| {
            let behind = line.split_once("\"compression\":\"").expect("a codec").1;
            behind.split_once('"').expect("its end").0.to_owned()
        };
        let found: BTreeSet<String> =
            text.lines().filter(|line| line.contains("compression")).map(codec).collect();
        match expected {
            Some(codec) => assert_eq!(found, BTreeSet::from([codec.to_owned()]), "{topic}"),
            None => assert_eq!(found.len(), 5, "{found:?}"),
        }
    }
}

fn create_compressed(broker: &Broker, compression: &str) {
    let admin: AdminClient<DefaultClientContext> =
        client(&broker.bootstrap(), &[]).create().expect("an admin client");
    let new = NewTopic::new(compression, 1, TopicReplication::Fixed(1)).set("compression.type", compression);
    let created =
        futures_lite::future::block_on(admin.create_topics([&new], &AdminOptions::new())).expect("answered");
    assert_eq!(created, [Ok(compression.to_owned())]);
}

#[test]
fn partitions_are_spread_over_shards_and_each_is_in_order() {
    let broker = Broker::start(BrokerOptions { shards: 3, ..BrokerOptions::default() });
    let partitions = 24;
    create_topic(&broker, "spread", partitions);
    let load = Load::new(&broker.bootstrap(), &[("enable.idempotence", "true")]);
    send(&load, "spread", partitions, 0..500, 100);
    load.flush(60);
    assert!(load.reports.take().iter().all(|report| report.offset == Ok(report.number as i64)));
    let consumer: BaseConsumer = client(&broker.bootstrap(), &[]).create().expect("a consumer");
    let metadata = consumer.fetch_metadata(Some("spread"), Duration::from_secs(30)).expect("metadata");
    let leaders: BTreeSet<i32> =
        metadata.topics()[0].partitions().iter().map(|partition| partition.leader()).collect();
    assert_eq!(leaders, BTreeSet::from([0, 1, 2]));
    for partition in 0..partitions {
        assert_dense(&read_all(&broker.bootstrap(), "spread", partition, 60), 500);
    }
}

#[test]
fn records_up_to_the_limit_pass_and_larger_ones_are_refused_alone() {
    let broker = Broker::start(BrokerOptions::default());
    let settings = [
        ("message.max.bytes", "4000000"),
        ("linger.ms", "0"),
        ("batch.num.messages", "1"),
        ("message.timeout.ms", "20000"),
    ];
    let load = Load::new(&broker.bootstrap(), &settings);
    for (number, bytes) in [(0, 1_000_000), (1, 2_000_000), (2, 100)] {
        assert!(load.send("large", 0, number, bytes));
        load.flush(60);
    }
    let reports = load.reports.take();
    assert!(reports[0].offset.is_ok() && reports[2].offset.is_ok(), "{reports:?}");
    let error = reports[1].offset.as_ref().expect_err("above max.message.bytes").rdkafka_error_code();
    assert_eq!(error, Some(rdkafka::types::RDKafkaErrorCode::MessageSizeTooLarge));
}

#[test]
fn a_restart_is_ridden_out_by_retries() {
    let mut broker = Broker::start(BrokerOptions::default());
    let load =
        Load::new(&broker.bootstrap(), &[("enable.idempotence", "true"), ("message.timeout.ms", "120000")]);
    send(&load, "retry", 1, 0..1000, 100);
    assert_eq!(broker.stop().code(), Some(0), "{}", broker.log());
    send(&load, "retry", 1, 1000..2000, 100);
    broker.run();
    load.flush(100);
    let failed = load.reports.take().into_iter().find(|report| report.offset.is_err());
    assert!(failed.is_none(), "{failed:?}");
    assert_dense(&read_all(&broker.bootstrap(), "retry", 0, 60), 2000);
}

#[test]
fn a_parked_fetch_is_woken_by_a_produce() {
    let broker = Broker::start(BrokerOptions::default());
    let load = Load::new(&broker.bootstrap(), &[("linger.ms", "0")]);
    assert!(load.send("parked", 0, 0, 100));
    load.flush(60);
    // Without being woken it would wait for 20 s.
    let consumer: BaseConsumer = client(
        &broker.bootstrap(),
        &[("group.id", "unused"), ("fetch.wait.max.ms", "20000"), ("socket.timeout.ms", "60000")],
    )
    .create()
    .expect("a consumer");
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset("parked", 0, Offset::Offset(1)).expect("a partition");
    consumer.assign(&assignment).expect("assigned");
    let parked = || {
        broker
            .metrics()
            .lines()
            .any(|line| line.starts_with("duramen_parked_fetches") && line.ends_with(" 1"))
    };
    Deadline::seconds(30).wait_for("a parked fetch", || {
        assert!(consumer.poll(Duration::from_millis(20)).is_none(), "nothing is there yet");
        parked().then_some(())
    });
    let begin = Instant::now();
    assert!(load.send("parked", 0, 1, 100));
    let message = consumer.poll(Duration::from_secs(30)).expect("woken").expect("a record");
    assert_eq!(rdkafka::Message::offset(&message), 1);
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}
