//! librdkafka's transactional producer: what is committed is read, what is aborted is not; offsets within
//! transactions; zombies; a broker that is killed in the middle.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::Duration;
use tests::process::records::client;
use tests::process::{Broker, BrokerOptions, Deadline};

const TOPIC: &str = "t";
const PARTITIONS: i32 = 3;
const WAIT: Duration = Duration::from_secs(30);

fn producer(broker: &Broker, id: &str) -> BaseProducer {
    let settings = [("transactional.id", id), ("transaction.timeout.ms", "60000")];
    let producer: BaseProducer = client(&broker.bootstrap(), &settings).create().expect("a producer");
    producer.init_transactions(WAIT).expect("initialised");
    producer
}

/// A record in each partition.
fn send(producer: &BaseProducer, text: &str) {
    for partition in 0..PARTITIONS {
        let record = BaseRecord::<str, str>::to(TOPIC).partition(partition).payload(text).key("");
        producer.send(record).map_err(|(error, _)| error).expect("queued");
    }
    producer.flush(WAIT).expect("sent");
}

fn transact(producer: &BaseProducer, text: &str, commits: bool) {
    producer.begin_transaction().expect("begun");
    send(producer, text);
    match commits {
        true => producer.commit_transaction(WAIT).expect("committed"),
        false => producer.abort_transaction(WAIT).expect("aborted"),
    }
}

fn create_topic(broker: &Broker) {
    let admin: AdminClient<DefaultClientContext> =
        client(&broker.bootstrap(), &[]).create().expect("an admin client");
    let new = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(1));
    let created =
        futures_lite::future::block_on(admin.create_topics([&new], &AdminOptions::new())).expect("answered");
    assert_eq!(created, [Ok(TOPIC.to_owned())]);
}

/// Texts of one partition that a reader of this isolation gets, until it got the last one.
fn read(broker: &Broker, isolation: &str, partition: i32, last: &str) -> Vec<String> {
    let settings = [("isolation.level", isolation), ("group.id", "reader"), ("enable.auto.commit", "false")];
    let consumer: BaseConsumer = client(&broker.bootstrap(), &settings).create().expect("a consumer");
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(TOPIC, partition, Offset::Beginning).expect("assignable");
    consumer.assign(&from).expect("assigned");
    let mut texts = Vec::new();
    let deadline = Deadline::seconds(60);
    deadline.wait_for("the last record", || {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            texts.push(String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned());
        }
        (texts.last().map(String::as_str) == Some(last)).then_some(())
    });
    texts
}

fn committed(broker: &Broker, group: &str) -> Offset {
    let consumer: BaseConsumer =
        client(&broker.bootstrap(), &[("group.id", group)]).create().expect("a consumer");
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition(TOPIC, 0);
    let committed = consumer.committed_offsets(wanted, WAIT).expect("answered");
    committed.find_partition(TOPIC, 0).expect("it was asked for").offset()
}

#[test]
fn what_is_committed_is_read_and_what_is_aborted_is_not() {
    let broker = Broker::start(BrokerOptions::default());
    create_topic(&broker);
    let producer = producer(&broker, "tx");
    for round in 0..10 {
        transact(&producer, &format!("yes-{round}"), true);
        transact(&producer, &format!("no-{round}"), false);
    }
    transact(&producer, "end", true);
    let yes: Vec<String> = (0..10).map(|round| format!("yes-{round}")).chain(["end".to_owned()]).collect();
    for partition in 0..PARTITIONS {
        assert_eq!(read(&broker, "read_committed", partition, "end"), yes, "partition {partition}");
        assert_eq!(read(&broker, "read_uncommitted", partition, "end").len(), 21, "partition {partition}");
    }
}

#[test]
fn offsets_count_when_their_transaction_is_committed() {
    let broker = Broker::start(BrokerOptions::default());
    create_topic(&broker);
    let producer = producer(&broker, "tx");
    let consumer: BaseConsumer =
        client(&broker.bootstrap(), &[("group.id", "g")]).create().expect("a consumer");
    let group = consumer.group_metadata().expect("it has a group");
    for (offset, commits, expected) in [(5, true, 5), (7, false, 5), (9, true, 9)] {
        producer.begin_transaction().expect("begun");
        send(&producer, "out");
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(TOPIC, 0, Offset::Offset(offset)).expect("an offset");
        producer.send_offsets_to_transaction(&offsets, &group, WAIT).expect("sent");
        match commits {
            true => producer.commit_transaction(WAIT).expect("committed"),
            false => producer.abort_transaction(WAIT).expect("aborted"),
        }
        assert_eq!(committed(&broker, "g"), Offset::Offset(expected), "after {offset}");
    }
}

#[test]
fn a_producer_that_was_replaced_commits_nothing() {
    let broker = Broker::start(BrokerOptions::default());
    create_topic(&broker);
    let zombie = producer(&broker, "tx");
    zombie.begin_transaction().expect("begun");
    send(&zombie, "zombie");
    let next = producer(&broker, "tx");
    let error = zombie.commit_transaction(WAIT).expect_err("another took over");
    assert!(matches!(&error, KafkaError::Transaction(why) if why.is_fatal()), "{error}");
    assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::Fenced), "{error}");
    transact(&next, "next", true);
    assert_eq!(read(&broker, "read_committed", 0, "next"), ["next"]);
}

#[test]
fn a_transaction_goes_on_over_a_broker_that_was_killed() {
    let mut broker = Broker::start(BrokerOptions::default());
    create_topic(&broker);
    let producer = producer(&broker, "tx");
    let mut expected = Vec::new();
    for round in 0..4 {
        producer.begin_transaction().expect("begun");
        send(&producer, &format!("{round}-before"));
        broker.kill();
        broker.run();
        send(&producer, &format!("{round}-after"));
        producer.commit_transaction(WAIT).expect("committed");
        expected.extend([format!("{round}-before"), format!("{round}-after")]);
        // Killed right behind the end: markers are on their way, or not yet.
        broker.kill();
        broker.run();
    }
    transact(&producer, "end", true);
    expected.push("end".to_owned());
    for partition in 0..PARTITIONS {
        assert_eq!(read(&broker, "read_committed", partition, "end"), expected, "partition {partition}");
    }
}
