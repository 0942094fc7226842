//! A compacted topic on one node and on three, by a real client: of each key the last record stays at its offset, tombstones go, and a
//! crash or a stop at any time changes nothing of that.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;
use tests::process::cluster::{Cluster, PATIENT};
use tests::process::command_line::{done, json};
use tests::process::records::{Reports, client};
use tests::process::{Broker, BrokerOptions, Deadline};

const TOPIC: &str = "compacted";
const KEYS: u64 = 50;
const VALUE_BYTES: usize = 8_000;
/// Whose value was taken back before all others were written.
const GONE: &str = "gone";

fn create(
    bootstrap: &str,
    name: &str,
    factor: i32,
    configs: &[(&str, &str)],
) -> Result<(), RDKafkaErrorCode> {
    let admin: AdminClient<DefaultClientContext> = client(bootstrap, &[]).create().expect("an admin client");
    let new = NewTopic::new(name, 1, TopicReplication::Fixed(factor));
    let new = configs.iter().fold(new, |new, (key, value)| new.set(key, value));
    let created = futures_lite::future::block_on(admin.create_topics([&new], &AdminOptions::new()));
    created.expect("answered").pop().expect("one").map(drop).map_err(|(_, code)| code)
}

fn key_of(number: u64) -> String {
    format!("key-{}", number % KEYS)
}

/// Writes these numbers, each as the value of its key.
fn write(bootstrap: &str, numbers: std::ops::Range<u64>) {
    let settings = [&PATIENT[..], &[("acks", "all")]].concat();
    let producer: BaseProducer = client(bootstrap, &settings).create().expect("a producer");
    let deadline = Deadline::seconds(120);
    for number in numbers {
        let (key, mut value) = (key_of(number), vec![0; VALUE_BYTES]);
        // What packs well would not fill segments.
        value
            .iter_mut()
            .zip(0u64..)
            .for_each(|(byte, at)| *byte = (((number + at) * 2_654_435_761) >> 13) as u8);
        value[..8].copy_from_slice(&number.to_be_bytes());
        deadline.wait_for("room in the producer's queue", || {
            let record = BaseRecord::to(TOPIC).partition(0).key(&key).payload(&value);
            let sent = producer.send(record);
            producer.poll(Duration::ZERO);
            sent.is_ok().then_some(())
        });
    }
    producer.flush(Duration::from_secs(120)).expect("all were acked");
}

/// The value of [`GONE`], and then that it has none.
fn write_and_take_back(bootstrap: &str) {
    let producer: BaseProducer = client(bootstrap, &[("acks", "all")]).create().expect("a producer");
    producer.send(BaseRecord::to(TOPIC).partition(0).key(GONE).payload("value")).expect("there is room");
    producer.send(BaseRecord::<str, str>::to(TOPIC).partition(0).key(GONE)).expect("there is room");
    producer.flush(Duration::from_secs(60)).expect("both were acked");
}

/// What a reader from the beginning is given: by key, the offsets and numbers, in order.
struct Seen {
    records: Vec<(i64, String, Option<u64>)>,
    begin: i64,
    end: i64,
}

impl Seen {
    fn read(bootstrap: &str) -> Self {
        Self::read_of(bootstrap, TOPIC, Offset::Beginning)
    }

    fn read_of(bootstrap: &str, topic: &str, from: Offset) -> Self {
        let settings =
            [("group.id", "unused"), ("enable.auto.commit", "false"), ("enable.partition.eof", "true")];
        let consumer: BaseConsumer = client(bootstrap, &settings).create().expect("a consumer");
        let (begin, end) = consumer.fetch_watermarks(topic, 0, Duration::from_secs(60)).expect("watermarks");
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(topic, 0, from).expect("a partition");
        consumer.assign(&assignment).expect("assigned");
        let deadline = Deadline::seconds(60);
        let mut records = Vec::new();
        loop {
            assert!(!deadline.is_over(), "{} records of {begin} to {end} in time", records.len());
            match consumer.poll(Duration::from_millis(100)) {
                None => {}
                Some(Ok(message)) => {
                    let key = String::from_utf8(message.key().expect("a key").to_vec()).expect("as written");
                    let number = message.payload().and_then(|value| value.get(..8)?.try_into().ok());
                    records.push((message.offset(), key, number.map(u64::from_be_bytes)));
                }
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => break,
                Some(Err(error)) => panic!("{error}"),
            }
        }
        Self { records, begin, end }
    }

    /// Two records came before the numbers, and each number's offset is two above it.
    fn assert_is_right(&self, written: u64) {
        assert_eq!((self.begin, self.end), (0, written as i64 + 2), "offsets are never given again");
        assert!(self.records.is_sorted_by_key(|(offset, ..)| *offset));
        let mut last = BTreeMap::new();
        for (offset, key, number) in &self.records {
            if key == GONE {
                assert!(*offset < 2 && (*offset == 0 || number.is_none()), "{offset} is of another key");
                continue;
            }
            let number = number.expect("all others have values");
            assert_eq!((*offset, key), (number as i64 + 2, &key_of(number)), "as it was written");
            last.insert(key.clone(), number);
        }
        let expected = (written - KEYS..written).map(|number| (key_of(number), number)).collect();
        assert_eq!(last, expected, "the last record of each key");
    }

    fn has_gone(&self) -> bool {
        self.records.iter().any(|(_, key, _)| key == GONE)
    }
}

/// Waits until so many runs are read that were made since the process began.
fn wait_for_runs(broker: &Broker, count: usize) {
    let read = || broker.log().matches("the run is read in the place of its inputs").count();
    Deadline::seconds(120).wait_for("a run", || (read() >= count).then_some(()));
}

/// The run that a node reads from, as its log says.
fn last_read(broker: &Broker) -> Option<String> {
    let log = broker.log();
    let last = log.lines().rfind(|line| line.contains("the run is read in the place of its inputs"))?;
    last.split(' ').find(|part| part.starts_with("run=")).map(str::to_owned)
}

#[test]
fn of_each_key_the_last_record_stays_at_its_offset_whatever_ends_the_process() {
    let options = BrokerOptions { shards: 1, segment_bytes: 24 << 20, ..BrokerOptions::default() };
    let mut broker = Broker::start(options);
    let configs = [("cleanup.policy", "compact"), ("delete.retention.ms", "0")];
    assert_eq!(create(&broker.bootstrap(), TOPIC, 1, &configs), Ok(()));
    write_and_take_back(&broker.bootstrap());
    write(&broker.bootstrap(), 0..4_000);
    wait_for_runs(&broker, 1);
    let first = Seen::read(&broker.bootstrap());
    first.assert_is_right(4_000);
    assert!(first.records.len() < 3_000, "{} records are left of 4,000", first.records.len());
    broker.kill();
    broker.run();
    Seen::read(&broker.bootstrap()).assert_is_right(4_000);
    write(&broker.bootstrap(), 4_000..9_000);
    wait_for_runs(&broker, 2);
    let second = Seen::read(&broker.bootstrap());
    second.assert_is_right(9_000);
    assert!(!second.has_gone(), "the second pass met the tombstone's horizon");
    assert_eq!(broker.stop().code(), Some(0));
    broker.run();
    Seen::read(&broker.bootstrap()).assert_is_right(9_000);
    assert_eq!(broker.stop().code(), Some(0));
}

#[test]
fn three_nodes_have_the_same_runs_and_every_keys_last_record_though_their_leader_is_killed() {
    let mut cluster = Cluster::prepare(&[1, 1, 1]);
    cluster.nodes.iter_mut().for_each(|node| node.options.segment_bytes = 24 << 20);
    cluster.run();
    let bootstrap = cluster.bootstrap();
    let configs = [("cleanup.policy", "compact"), ("delete.retention.ms", "0")];
    assert_eq!(create(&bootstrap, TOPIC, 3, &configs), Ok(()));
    cluster.wait_in_sync(TOPIC, 60);
    write_and_take_back(&bootstrap);
    write(&bootstrap, 0..4_000);
    cluster.nodes.iter().for_each(|node| wait_for_runs(node, 1));
    let first = last_read(&cluster.nodes[0]);
    let leader = cluster.leader(0, TOPIC, 0).expect("somebody leads");
    let writes = {
        let bootstrap = bootstrap.clone();
        std::thread::spawn(move || write(&bootstrap, 4_000..12_000))
    };
    // The next segment of all is full, and what it holds is being compacted, or will be by another.
    let is_full = |node: &Broker| node.log().matches("compacted: a run was made").count() > 1;
    Deadline::seconds(120).wait_for("another run", || is_full(&cluster.nodes[leader]).then_some(()));
    cluster.nodes[leader].kill();
    cluster.nodes[leader].run();
    writes.join().expect("all were acked");
    cluster.wait_in_sync(TOPIC, 60);
    // Whoever was killed has what the others have, and that is another run than the first.
    let nodes = 0..cluster.nodes.len();
    let read_last = |node: usize| last_read(&cluster.nodes[node]);
    Deadline::seconds(120).wait_for("the same new run everywhere", || {
        let read: Vec<_> = nodes.clone().map(read_last).collect();
        read.iter().all(|run| run.is_some() && *run != first && *run == read[0]).then_some(())
    });
    let seen = Seen::read(&bootstrap);
    seen.assert_is_right(12_000);
    assert!(seen.records.len() < 8_000, "{} records are left of 12,000", seen.records.len());
    cluster.stop();
    cluster.assert_identical();
}

/// What DescribeConfigs has of a topic, by key; the policy is set first if there is one.
fn configs_with(broker: &Broker, topic: &str, policy: Option<&str>) -> BTreeMap<String, String> {
    let admin: AdminClient<DefaultClientContext> =
        client(&broker.bootstrap(), &[]).create().expect("an admin client");
    let resource = rdkafka::admin::ResourceSpecifier::Topic(topic);
    if let Some(policy) = policy {
        let changed = [rdkafka::admin::AlterConfig::new(resource).set("cleanup.policy", policy)];
        let changed = admin.alter_configs(&changed, &AdminOptions::new());
        futures_lite::future::block_on(changed).expect("answered").pop().expect("one").expect("taken");
    }
    let (topics, options) = ([resource], AdminOptions::new());
    let described = futures_lite::future::block_on(admin.describe_configs(&topics, &options));
    let described = described.expect("answered").pop().expect("one").expect("there");
    described.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect()
}

/// How a record without a key ends: its offset, or why not.
fn keyless(broker: &Broker, topic: &str) -> Result<i64, RDKafkaErrorCode> {
    let reports = Reports::default();
    let producer: BaseProducer<Reports> =
        client(&broker.bootstrap(), &[]).create_with_context(reports.clone()).expect("a producer");
    let record = BaseRecord::<(), str, Box<u64>>::with_opaque_to(topic, Box::new(1));
    producer.send(record.partition(0).payload("value")).map_err(|(error, _)| error).expect("there is room");
    producer.flush(Duration::from_secs(60)).expect("it was answered");
    let report = reports.take().pop().expect("one");
    report.offset.map_err(|error| error.rdkafka_error_code().expect("the broker's"))
}

#[test]
fn a_topic_that_was_made_without_compaction_and_gets_it_is_told_not_to_be_compacted() {
    let broker = Broker::start(BrokerOptions { shards: 1, ..BrokerOptions::default() });
    assert_eq!(create(&broker.bootstrap(), TOPIC, 1, &[("cleanup.policy", "compact,delete")]), Ok(()));
    assert_eq!(create(&broker.bootstrap(), "later", 1, &[]), Ok(()));
    assert_eq!(keyless(&broker, TOPIC), Err(RDKafkaErrorCode::InvalidRecord));
    assert_eq!(keyless(&broker, "later"), Ok(0));
    // One that was made with it has a place where all of them are in effect.
    for policy in ["compact", "delete", "compact"] {
        let configs = configs_with(&broker, TOPIC, Some(policy));
        assert_eq!(configs["cleanup.policy"], policy);
        assert!(!configs.contains_key("duramen.compaction"), "{policy}");
        let taken = keyless(&broker, TOPIC);
        assert_eq!(taken.is_ok(), policy == "delete", "{policy}: {taken:?}");
    }
    let told = |is_so: bool| {
        let line = format!("duramen_health{{what=\"not_compacted\"}} {}", u8::from(is_so));
        Deadline::seconds(30).wait_for("health", || broker.metrics().contains(&line).then_some(()));
    };
    told(false);
    let configs = configs_with(&broker, "later", Some("compact"));
    assert!(configs["duramen.compaction"].contains("made without"), "{configs:?}");
    assert_eq!(keyless(&broker, "later"), Err(RDKafkaErrorCode::InvalidRecord));
    told(true);
    Deadline::seconds(30).wait_for("the log's word", || {
        broker.log().contains("(later): not compacted, though cleanup.policy says so").then_some(())
    });
    let described = json(&broker, &["topic", "describe", "later"]);
    let why = described["partitions"][0]["compaction"]["why_not_now"].as_str().expect("a reason");
    assert!(why.contains("made without"), "{why}");
    assert!(!configs_with(&broker, "later", Some("delete")).contains_key("duramen.compaction"));
    told(false);
    assert_eq!(keyless(&broker, "later"), Ok(1));
    assert!(json(&broker, &["topic", "describe", "later"])["partitions"][0]["compaction"].is_null());
}

/// The steps of librdkafka's own test of compaction: few keys in small batches by each codec, then so much that they are
/// rewritten; a consumer gets what is left, arrives at the end, and can begin where nothing is left.
#[test]
fn by_each_codec_a_consumer_gets_over_the_gaps() {
    const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
    const ROUNDS: i64 = 9;
    let broker =
        Broker::start(BrokerOptions { shards: 1, segment_bytes: 24 << 20, ..BrokerOptions::default() });
    let configs = [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.01")];
    for codec in CODECS {
        assert_eq!(create(&broker.bootstrap(), codec, 1, &configs), Ok(()));
        let settings = [("acks", "all"), ("compression.type", codec), ("linger.ms", "1000")];
        let producer: BaseProducer = client(&broker.bootstrap(), &settings).create().expect("a producer");
        for round in 0..ROUNDS {
            // Every third round "b" is taken back; "c" has a value of no bytes, which is one.
            let values = [
                ("a", Some("long enough to be packed ".repeat(20))),
                ("b", Some("b".into())),
                ("c", Some("".into())),
            ];
            for (key, value) in values {
                let record = BaseRecord::<str, str>::to(codec).partition(0).key(key);
                let is_tombstone = key == "b" && round % 3 == 2;
                let value = value.filter(|_| !is_tombstone);
                let record = value.iter().fold(record, |record, value| record.payload(value));
                producer.send(record).map_err(|(error, _)| error).expect("there is room");
            }
            if round % 2 == 1 {
                producer.flush(Duration::from_secs(60)).expect("a batch of two rounds");
            }
        }
        producer.flush(Duration::from_secs(60)).expect("all were acked");
    }
    assert_eq!(create(&broker.bootstrap(), TOPIC, 1, &configs), Ok(()));
    write(&broker.bootstrap(), 0..3_300);
    wait_for_runs(&broker, 1);
    for codec in CODECS {
        let end = 3 * ROUNDS;
        let left = Seen::read_of(&broker.bootstrap(), codec, Offset::Beginning);
        assert_eq!((left.begin, left.end), (0, end), "{codec}");
        let offsets: Vec<(i64, &str)> =
            left.records.iter().map(|(offset, key, _)| (*offset, key.as_str())).collect();
        assert_eq!(offsets, [(end - 3, "a"), (end - 2, "b"), (end - 1, "c")], "{codec}");
        let behind = Seen::read_of(&broker.bootstrap(), codec, Offset::Offset(end - 2));
        assert_eq!(behind.records.len(), 2, "{codec}");
        let in_the_gap = Seen::read_of(&broker.bootstrap(), codec, Offset::Offset(4));
        assert_eq!(in_the_gap.records, left.records, "{codec}");
    }
    let described = json(&broker, &["topic", "describe", "zstd"]);
    let compaction = &described["partitions"][0]["compaction"];
    let number = |key: &str| compaction[key].as_u64().unwrap_or_else(|| panic!("{key} of {compaction}"));
    assert!(number("passes") >= 1 && number("freed_bytes") > 1 << 20 && number("last_pass_ms") > 0);
    let text = done(&broker, &["topic", "describe", "zstd"]);
    assert!(text.contains("no pass now, because"), "{text}");
    let page = broker.metrics();
    for name in ["journal_rewrite_freed_bytes_total", "journal_write_amplification", "journal_dirty_ratio"] {
        assert!(page.contains(&format!("duramen_{name}{{")), "{name}");
    }
    assert!(page.contains("why=\"no_full_segment\"} 1"), "nothing was written since");
}
