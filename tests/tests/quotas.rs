//! Byte rates of clients: set, shown, kept over a kill, and enforced: the answer first, with the
//! time, and then nothing is read for that time.

use engine::batch::{BatchBuilder, NewRecord};
use kafka_wire::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_wire::{
    AlterClientQuotasRequest, ApiVersionsRequest, DescribeClientQuotasRequest, FetchRequest, ProduceRequest,
    fetch_request, produce_request,
};
use net::kafka::codec::wire::{Bytes, StrBytes};
use std::time::{Duration, Instant};
use tests::process::wire::Wire;
use tests::process::{Broker, BrokerOptions, Deadline};

const TOPIC: &str = "quotas";
/// Bytes per second; a batch is two seconds of it, of which one may pass at once.
const RATE: usize = 50_000;

fn connect(broker: &Broker) -> Wire {
    Wire::connect(broker.ports.kafka()).expect("accepted")
}

fn alter(broker: &Broker, client: &str, key: &str, rate: Option<f64>) -> i16 {
    let (mut part, mut op, mut entry) = (EntityData::default(), OpData::default(), EntryData::default());
    (part.entity_type, part.entity_name) = ("client-id".into(), Some(client.into()));
    (op.key, op.value, op.remove) = (key.into(), rate.unwrap_or(0.0), rate.is_none());
    (entry.entity, entry.ops) = (vec![part], vec![op]);
    let mut request = AlterClientQuotasRequest::default();
    request.entries = vec![entry];
    connect(broker).ask("admin", 1, &request).entries[0].error_code
}

/// All quotas: client id and the sum of its rates.
fn described(broker: &Broker) -> Vec<(String, f64)> {
    let response = connect(broker).ask("admin", 1, &DescribeClientQuotasRequest::default());
    assert_eq!(response.error_code, 0);
    let entries = response.entries.expect("entries").into_iter();
    let shown = entries.map(|entry| {
        let name = entry.entity[0].entity_name.as_deref().unwrap_or_default().to_owned();
        (name, entry.values.iter().map(|value| value.value).sum())
    });
    shown.collect()
}

/// Produces two seconds' worth; gives the throttle time.
fn produce(wire: &mut Wire, client: &str) -> i32 {
    let mut batch = BatchBuilder::new(1_700_000_000_000);
    batch.push(NewRecord::value(&vec![b'x'; 2 * RATE]));
    let mut partition = produce_request::PartitionProduceData::default();
    partition.records = Some(Bytes::from(batch.build()));
    let mut data = produce_request::TopicProduceData::default();
    (data.name, data.partition_data) = (StrBytes::from(TOPIC), vec![partition]);
    let mut request = ProduceRequest::default();
    (request.transactional_id, request.acks, request.timeout_ms) = (None, -1, 10_000);
    request.topic_data = vec![data];
    let response = wire.ask(client, 9, &request);
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    response.throttle_time_ms
}

fn fetch(wire: &mut Wire, client: &str) -> i32 {
    let mut partition = fetch_request::FetchPartition::default();
    partition.partition_max_bytes = 1 << 20;
    let mut topic = fetch_request::FetchTopic::default();
    (topic.topic, topic.partitions) = (StrBytes::from(TOPIC), vec![partition]);
    let mut request = FetchRequest::default();
    (request.max_wait_ms, request.min_bytes, request.max_bytes) = (1_000, 1, 1 << 20);
    (request.session_epoch, request.topics) = (-1, vec![topic]);
    wire.ask(client, 12, &request).throttle_time_ms
}

/// The next request on this connection is answered when the mute is over, and not before.
fn is_muted(wire: &mut Wire, throttle_ms: i32, since: Instant) {
    assert!((500..=2_000).contains(&throttle_ms), "{throttle_ms} ms");
    let response = wire.ask("any", 0, &ApiVersionsRequest::default());
    assert_eq!(response.error_code, 0);
    // The mute began when the request was read or its answer given, at the latest now.
    let waited = since.elapsed();
    assert!(waited >= Duration::from_millis(throttle_ms as u64 - 50), "{waited:?} of {throttle_ms} ms");
    assert!(waited < Duration::from_secs(15), "{waited:?} of {throttle_ms} ms");
}

#[test]
fn rates_are_kept_over_a_kill_and_exceeding_them_mutes_only_that_client() {
    let mut broker = Broker::start(BrokerOptions { shards: 1, ..BrokerOptions::default() });
    let mut topic = kafka_wire::create_topics_request::CreatableTopic::default();
    (topic.name, topic.num_partitions, topic.replication_factor) = (TOPIC.into(), 1, 1);
    let mut create = kafka_wire::CreateTopicsRequest::default();
    create.topics = vec![topic];
    assert_eq!(connect(&broker).ask("admin", 7, &create).topics[0].error_code, 0);
    assert_eq!(alter(&broker, "slow", "producer_byte_rate", Some(RATE as f64)), 0);
    assert_eq!(alter(&broker, "slow", "consumer_byte_rate", Some(RATE as f64)), 0);
    assert_eq!(alter(&broker, "slow", "producer_byte_rate", Some(-1.0)), 42);
    broker.kill();
    broker.run();
    assert_eq!(described(&broker), [("slow".to_owned(), 2.0 * RATE as f64)]);

    let (mut slow, since) = (connect(&broker), Instant::now());
    let throttle_ms = produce(&mut slow, "slow");
    is_muted(&mut slow, throttle_ms, since);
    let (mut reader, since) = (connect(&broker), Instant::now());
    let throttle_ms = fetch(&mut reader, "slow");
    is_muted(&mut reader, throttle_ms, since);
    let mut other = connect(&broker);
    assert_eq!([produce(&mut other, "other"), fetch(&mut other, "other")], [0, 0]);
    for key in ["producer_byte_rate", "consumer_byte_rate"] {
        assert_eq!(alter(&broker, "slow", key, None), 0);
    }
    assert!(described(&broker).is_empty());
    assert_eq!([produce(&mut other, "slow"), fetch(&mut other, "slow")], [0, 0]);
}

/// Sets how many connections a second an address may open, or takes the quota away.
fn alter_address(wire: &mut Wire, rate: Option<f64>) -> i16 {
    let (mut part, mut op, mut entry) = (EntityData::default(), OpData::default(), EntryData::default());
    (part.entity_type, part.entity_name) = ("ip".into(), Some("127.0.0.1".into()));
    (op.key, op.value, op.remove) = ("connection_creation_rate".into(), rate.unwrap_or(0.0), rate.is_none());
    (entry.entity, entry.ops) = (vec![part], vec![op]);
    let mut request = AlterClientQuotasRequest::default();
    request.entries = vec![entry];
    wire.ask("admin", 1, &request).entries[0].error_code
}

#[test]
fn an_address_opens_as_many_connections_a_second_as_its_quota_says() {
    const RATE: f64 = 3.0;
    let mut broker = Broker::start(BrokerOptions { shards: 1, ..BrokerOptions::default() });
    assert_eq!(alter_address(&mut connect(&broker), Some(RATE)), 0);
    broker.kill();
    broker.run();
    let is_served =
        || Wire::connect(broker.ports.kafka()).is_ok_and(|mut wire| wire.asks_versions(1).is_ok());
    let begun = Instant::now();
    let mut admin = connect(&broker);
    let served = (0..40).filter(|_| is_served()).count();
    let most = RATE * (begun.elapsed().as_secs_f64() + 1.0);
    assert!((1..40).contains(&served) && served as f64 <= most, "{served} of 40, {most} at most");
    Deadline::seconds(30).wait_for("it may come again", || is_served().then_some(()));
    // Who is there is not disturbed, and takes it away.
    assert_eq!(alter_address(&mut admin, None), 0);
    assert!((0..40).all(|_| is_served()));
}
