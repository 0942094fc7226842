//! Records through librdkafka: produce with delivery reports, and read a partition back whole.

use super::Deadline;
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One delivery report.
#[derive(Clone, Debug)]
pub struct Delivered {
    pub partition: i32,
    /// What [`Load::send`] was given.
    pub number: u64,
    pub offset: Result<i64, KafkaError>,
}

/// Collects the reports.
#[derive(Clone, Default)]
pub struct Reports(Arc<Mutex<Vec<Delivered>>>);

impl Reports {
    pub fn take(&self) -> Vec<Delivered> {
        std::mem::take(&mut *self.0.lock().expect("no report panicked"))
    }

    pub fn len(&self) -> usize {
        self.0.lock().expect("no report panicked").len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Box<u64>) {
        let (partition, offset) = match result {
            Ok(message) => (message.partition(), Ok(message.offset())),
            Err((error, message)) => (message.partition(), Err(error.clone())),
        };
        self.0.lock().expect("no report panicked").push(Delivered { partition, number: *number, offset });
    }
}

/// A client's settings: a test's own, over those that tests want.
pub fn client(bootstrap: &str, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("reconnect.backoff.max.ms", "200")
        .set("reconnect.backoff.ms", "20");
    settings.iter().for_each(|(key, value)| {
        config.set(*key, *value);
    });
    config
}

/// A producer of numbered records.
pub struct Load {
    pub reports: Reports,
    producer: ThreadedProducer<Reports>,
}

impl Load {
    pub fn new(bootstrap: &str, settings: &[(&str, &str)]) -> Self {
        let reports = Reports::default();
        let producer = client(bootstrap, settings).create_with_context(reports.clone()).expect("a producer");
        Self { reports, producer }
    }

    /// The client may refuse it at once: what it knows of the topic is enough to say no.
    pub fn try_send(&self, topic: &str, partition: i32, number: u64, bytes: usize) -> KafkaResult<()> {
        let payload = payload(partition, number, bytes);
        let record = BaseRecord::with_opaque_to(topic, Box::new(number))
            .partition(partition)
            .payload(&payload)
            .key("");
        self.producer.send(record).map_err(|(error, _)| error)
    }

    /// False when librdkafka's queue is full.
    pub fn send(&self, topic: &str, partition: i32, number: u64, bytes: usize) -> bool {
        match self.try_send(topic, partition, number, bytes) {
            Ok(()) => true,
            Err(error) => {
                let full = error.rdkafka_error_code() == Some(rdkafka::types::RDKafkaErrorCode::QueueFull);
                assert!(full, "partition {partition}, record {number}: {error}");
                false
            }
        }
    }

    /// Waits until every record has its report.
    pub fn flush(&self, seconds: u64) {
        // Not librdkafka's own: beside the thread that polls it waits in steps of 100 ms.
        Deadline::seconds(seconds)
            .wait_for("every record's report", || (self.producer.in_flight_count() == 0).then_some(()));
    }

    pub fn fatal_error(&self) -> Option<String> {
        self.producer.client().fatal_error().map(|(code, text)| format!("{code}: {text}"))
    }
}

/// What a record holds: its partition and number, then bytes that follow from both.
pub fn payload(partition: i32, number: u64, bytes: usize) -> String {
    let mut text = format!("{partition} {number} ");
    let fill = char::from(b'a' + (number % 26) as u8);
    text.extend(std::iter::repeat_n(fill, bytes.saturating_sub(text.len())));
    text
}

/// The number in a payload, after a look that it belongs to this partition and is whole.
pub fn number_of(partition: i32, found: &[u8]) -> u64 {
    let text = std::str::from_utf8(found).expect("a payload is text");
    let number =
        text.split(' ').nth(1).and_then(|number| number.parse().ok()).expect("a payload has its number");
    assert_eq!(text, payload(partition, number, text.len()), "partition {partition}");
    number
}

/// Every record of a partition: offset and number, in the order read.
pub fn read_all(bootstrap: &str, topic: &str, partition: i32, seconds: u64) -> Vec<(i64, u64)> {
    let consumer: BaseConsumer = client(
        bootstrap,
        &[("group.id", "unused"), ("enable.auto.commit", "false"), ("isolation.level", "read_uncommitted")],
    )
    .create()
    .expect("a consumer");
    let timeout = Duration::from_secs(seconds);
    let (_, end) = consumer.fetch_watermarks(topic, partition, timeout).expect("watermarks");
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Beginning).expect("a partition");
    consumer.assign(&assignment).expect("assigned");
    let deadline = Deadline::seconds(seconds);
    let mut records = Vec::new();
    while records.last().map_or(0, |(offset, _)| offset + 1) < end {
        assert!(!deadline.is_over(), "{topic}-{partition}: {} records of {end} in time", records.len());
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) => {
                records.push((message.offset(), number_of(partition, message.payload().expect("a payload"))));
            }
            Some(Err(error)) => assert!(is_passing(&error), "{topic}-{partition}: {error}"),
        }
    }
    records
}

/// What librdkafka reports and gets over by itself.
fn is_passing(error: &KafkaError) -> bool {
    use rdkafka::types::RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
        )
    )
}
