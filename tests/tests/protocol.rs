//! What naive brokers get wrong, asked of the real process by frames made by hand.

use kafka_wire::{
    CreateTopicsRequest, DeleteTopicsRequest, DescribeClusterRequest, DescribeGroupsRequest,
    DescribeTopicPartitionsRequest, FetchRequest, FetchResponse, FindCoordinatorRequest,
    InitProducerIdRequest, MetadataRequest, RequestResponsePair, create_topics_request, metadata_request,
};
use net::kafka::codec::wire::StrBytes;
use std::time::{Duration, Instant};
use tests::process::requests::{self, batch, error_of, produce};
use tests::process::wire::{API_VERSIONS, Wire, request};
use tests::process::{Broker, BrokerOptions, Deadline};

const TOPIC: &str = "traps";

fn one_shard() -> Broker {
    let broker = Broker::start(BrokerOptions { shards: 1, ..BrokerOptions::default() });
    let mut wire = Wire::connect(broker.ports.kafka()).expect("accepted");
    let response = ask(&mut wire, 1, 12, &metadata(TOPIC));
    assert_eq!(response.topics[0].partitions[0].leader_id, 0);
    broker
}

/// As a client asks that would have the topic made.
fn metadata(name: &str) -> MetadataRequest {
    let mut topic = metadata_request::MetadataRequestTopic::default();
    topic.name = Some(StrBytes::from(name));
    let mut metadata = MetadataRequest::default();
    metadata.topics = Some(vec![topic]);
    metadata
}

fn ask<R: RequestResponsePair>(wire: &mut Wire, correlation: i32, version: i16, request: &R) -> R::Response {
    wire.begin(correlation, version, request);
    let (answered, response) = wire.answer::<R>(version);
    assert_eq!(answered, correlation);
    response
}

fn fetch(offset: i64, max_wait_ms: i32, session: (i32, i32)) -> FetchRequest {
    let mut request = requests::fetch(TOPIC, offset, max_wait_ms);
    (request.session_id, request.session_epoch) = session;
    request
}

#[test]
fn answers_keep_the_order_of_requests_past_a_parked_fetch_that_a_produce_wakes() {
    let broker = one_shard();
    let (mut one, mut other) = (
        Wire::connect(broker.ports.kafka()).expect("accepted"),
        Wire::connect(broker.ports.kafka()).expect("accepted"),
    );
    let since = Instant::now();
    one.begin(10, 12, &fetch(0, 20_000, (0, -1)));
    one.begin(11, 4, &InitProducerIdRequest::default().tap());
    one.0.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
    let early = one.receive();
    assert!(early.is_err(), "the second answer does not overtake the parked first: {early:?}");
    one.0.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
    assert_eq!(error_of(&ask(&mut other, 1, 9, &produce(TOPIC, -1, batch(&[b"wakes"])))), 0);
    let (correlation, woken) = one.answer::<FetchRequest>(12);
    assert_eq!(correlation, 10);
    assert_eq!(woken.responses[0].partitions[0].high_watermark, 1);
    assert_eq!(one.answer::<InitProducerIdRequest>(4).0, 11);
    assert!(since.elapsed() < Duration::from_secs(10), "woken, not timed out");
}

trait Tap {
    fn tap(self) -> Self;
}

impl Tap for InitProducerIdRequest {
    /// Without a transactional id, which the schema's default has.
    fn tap(mut self) -> Self {
        self.transactional_id = None;
        self
    }
}

#[test]
fn a_version_of_api_versions_that_nobody_knows_is_answered_in_version_0() {
    let broker = one_shard();
    let mut wire = Wire::connect(broker.ports.kafka()).expect("accepted");
    wire.send(&request(API_VERSIONS, 77, 5, &[1, 2, 3])).expect("sent");
    let answer = wire.receive().expect("answered");
    assert_eq!(answer[..6], [0, 0, 0, 5, 0, 35]);
    wire.asks_versions(6).expect("the connection goes on");
}

#[test]
fn acks_0_is_not_answered_and_an_error_ends_the_connection() {
    let broker = one_shard();
    let mut wire = Wire::connect(broker.ports.kafka()).expect("accepted");
    wire.begin(1, 9, &produce(TOPIC, 0, batch(&[b"silent"])));
    wire.asks_versions(2).expect("the next answer is the next request's");
    wire.begin(3, 9, &produce("no-such-topic", 0, batch(&[b"lost"])));
    assert!(wire.receive().is_err(), "closed");
}

#[test]
fn bad_produce_requests_get_kafkas_errors() {
    let broker = one_shard();
    let mut wire = Wire::connect(broker.ports.kafka()).expect("accepted");
    assert_eq!(error_of(&ask(&mut wire, 1, 9, &produce(TOPIC, 2, batch(&[b"x"])))), 21, "acks");
    assert_eq!(error_of(&ask(&mut wire, 2, 9, &produce("nowhere", -1, batch(&[b"x"])))), 3);
    let mut corrupt = batch(&[b"corrupt"]);
    *corrupt.last_mut().expect("bytes") ^= 1;
    assert_eq!(error_of(&ask(&mut wire, 3, 9, &produce(TOPIC, -1, corrupt))), 2, "CRC");
    let two = [batch(&[b"one"]), batch(&[b"two"])].concat();
    assert_ne!(error_of(&ask(&mut wire, 4, 9, &produce(TOPIC, -1, two))), 0, "two batches");
    assert_ne!(error_of(&ask(&mut wire, 5, 9, &produce(TOPIC, -1, Vec::new()))), 0, "no batch");
    let mut transactional = produce(TOPIC, 1, batch(&[b"t"]));
    transactional.transactional_id = Some(StrBytes::from("t"));
    assert_eq!(
        error_of(&ask(&mut wire, 6, 9, &transactional)),
        21,
        "a transaction's batches are acked by all"
    );
    assert_eq!(error_of(&ask(&mut wire, 7, 9, &produce(TOPIC, 1, batch(&[b"good"])))), 0);
}

#[test]
fn produce_below_version_3_is_unsupported_and_said_so() {
    let broker = one_shard();
    let mut wire = Wire::connect(broker.ports.kafka()).expect("accepted");
    // acks, timeout, one topic "t" with partition 0 and three bytes.
    let body =
        [&[0, 1, 0, 0, 0, 9, 0, 0, 0, 1, 0, 1, b't'][..], &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3]];
    wire.send(&request(0, 2, 8, &body.concat())).expect("sent");
    let answer = wire.receive().expect("answered");
    // Correlation, one topic "t", one partition 0, error 35.
    assert_eq!(answer[..4], [0, 0, 0, 8]);
    assert_eq!(answer[4..21], [0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 0, 0, 35]);
}

#[test]
fn out_of_range_carries_the_bounds() {
    let broker = one_shard();
    let mut wire = Wire::connect(broker.ports.kafka()).expect("accepted");
    assert_eq!(error_of(&ask(&mut wire, 1, 9, &produce(TOPIC, -1, batch(&[b"a", b"b"])))), 0);
    for offset in [3, -1] {
        let partition =
            ask(&mut wire, 2, 12, &fetch(offset, 5000, (0, -1))).responses[0].partitions[0].clone();
        assert_eq!((partition.error_code, partition.high_watermark, partition.log_start_offset), (1, 2, 0));
    }
}

#[test]
fn a_session_tells_only_what_changed() {
    let broker = one_shard();
    let mut wire = Wire::connect(broker.ports.kafka()).expect("accepted");
    let full: FetchResponse = ask(&mut wire, 1, 12, &fetch(0, 0, (0, 0)));
    assert!(full.session_id > 0 && full.responses.len() == 1);
    let mut more = fetch(0, 0, (full.session_id, 1));
    more.topics.clear();
    assert_eq!(ask(&mut wire, 2, 12, &more).responses, [], "nothing changed");
    assert_eq!(error_of(&ask(&mut wire, 3, 9, &produce(TOPIC, -1, batch(&[b"new"])))), 0);
    more.session_epoch = 2;
    let changed = ask(&mut wire, 4, 12, &more);
    assert_eq!(changed.responses[0].partitions[0].high_watermark, 1);
    assert!(changed.responses[0].partitions[0].records.as_ref().is_some_and(|records| records.len() > 61));
    assert_eq!(ask(&mut wire, 5, 12, &more).error_code, 71, "an epoch is used once");
    more.session_id += 1;
    assert_eq!(ask(&mut wire, 6, 12, &more).error_code, 70);
}

#[test]
fn the_first_batch_comes_whole_however_small_the_limits() {
    let broker = one_shard();
    let mut wire = Wire::connect(broker.ports.kafka()).expect("accepted");
    let long = vec![7; 50_000];
    assert_eq!(error_of(&ask(&mut wire, 1, 9, &produce(TOPIC, -1, batch(&[&long])))), 0);
    let mut small = fetch(0, 100, (0, -1));
    small.max_bytes = 10;
    small.topics[0].partitions[0].partition_max_bytes = 10;
    let answer = ask(&mut wire, 2, 12, &small);
    let records = answer.responses[0].partitions[0].records.clone().expect("records");
    assert!(records.len() > 50_000, "{} bytes", records.len());
}

#[test]
fn producers_get_ids_of_their_own() {
    let broker = one_shard();
    let mut wire = Wire::connect(broker.ports.kafka()).expect("accepted");
    let mut ids: Vec<i64> =
        (2..6).map(|at| ask(&mut wire, at, 4, &InitProducerIdRequest::default().tap()).producer_id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 4, "{ids:?}");
}

#[test]
fn operations_are_told_where_they_are_asked_for() {
    const NOT_ASKED: i32 = i32::MIN;
    let broker = one_shard();
    let mut wire = Wire::connect(broker.ports.kafka()).expect("accepted");
    for (version, asked) in (8..=13).flat_map(|version| [(version, false), (version, true)]) {
        let mut request = metadata(TOPIC);
        request.include_topic_authorized_operations = asked;
        // From version 11 on DescribeCluster tells them.
        request.include_cluster_authorized_operations = asked && version <= 10;
        let response = ask(&mut wire, 1, version, &request);
        let of_topic = response.topics[0].topic_authorized_operations;
        assert_eq!(of_topic, if asked { 3576 } else { NOT_ASKED }, "version {version}");
        let of_cluster = if asked && version <= 10 { 8096 } else { NOT_ASKED };
        assert_eq!(response.cluster_authorized_operations, of_cluster, "version {version}");
    }
    for asked in [false, true] {
        let mut request = DescribeClusterRequest::default();
        request.include_cluster_authorized_operations = asked;
        let told = ask(&mut wire, 2, 1, &request).cluster_authorized_operations;
        assert_eq!(told, if asked { 8096 } else { NOT_ASKED });
        let mut request = DescribeGroupsRequest::default();
        (request.groups, request.include_authorized_operations) = (vec!["g".into()], asked);
        let told = Deadline::seconds(30).wait_for("the group has a coordinator", || {
            let mut coordinator = FindCoordinatorRequest::default();
            (coordinator.key, coordinator.key_type) = ("g".into(), 0);
            ask(&mut wire, 3, 2, &coordinator);
            let group = ask(&mut wire, 4, 5, &request).groups.pop()?;
            (group.error_code == 0).then_some(group.authorized_operations)
        });
        assert_eq!(told, if asked { 3400 } else { NOT_ASKED });
    }
    let mut request = DescribeTopicPartitionsRequest::default();
    request.cursor = None;
    let response = ask(&mut wire, 4, 0, &request);
    assert_eq!(response.topics[0].topic_authorized_operations, 3576);
}

#[test]
fn a_deleted_topic_is_not_made_again_by_those_that_still_ask_for_it() {
    const UNKNOWN_TOPIC: i16 = 3;
    let broker = one_shard();
    let mut wire = Wire::connect(broker.ports.kafka()).expect("accepted");
    let delete = |wire: &mut Wire| {
        let mut request = DeleteTopicsRequest::default();
        (request.topic_names, request.timeout_ms) = (vec![TOPIC.into()], 30_000);
        assert_eq!(ask(wire, 1, 5, &request).responses[0].error_code, 0);
    };
    let known = |wire: &mut Wire| ask(wire, 2, 12, &metadata(TOPIC)).topics[0].error_code;
    delete(&mut wire);
    assert_eq!(known(&mut wire), UNKNOWN_TOPIC);
    assert_eq!(known(&mut wire), UNKNOWN_TOPIC, "asking makes it no more with the second time");
    assert_eq!(ask(&mut wire, 3, 12, &metadata("another")).topics[0].error_code, 0);
    let mut create = CreateTopicsRequest::default();
    let mut topic = create_topics_request::CreatableTopic::default();
    (topic.name, topic.num_partitions, topic.replication_factor) = (TOPIC.into(), 1, 1);
    (create.topics, create.timeout_ms) = (vec![topic], 30_000);
    assert_eq!(ask(&mut wire, 4, 5, &create).topics[0].error_code, 0, "whoever says so makes it at once");
    assert_eq!(known(&mut wire), 0);
    delete(&mut wire);
    let since = Instant::now();
    Deadline::seconds(30).wait_for("it may be made again", || (known(&mut wire) == 0).then_some(()));
    assert!(since.elapsed() >= Duration::from_secs(4), "after {:?}", since.elapsed());
}

#[test]
fn the_coordinator_of_a_transactional_id_is_found() {
    let broker = one_shard();
    let mut wire = Wire::connect(broker.ports.kafka()).expect("accepted");
    let mut request = FindCoordinatorRequest::default();
    (request.key, request.key_type) = ("t".into(), 1);
    let old = ask(&mut wire, 1, 2, &request);
    assert_eq!((old.error_code, old.node_id), (0, 0));
    let mut request = FindCoordinatorRequest::default();
    (request.coordinator_keys, request.key_type) = (vec!["t".into()], 1);
    let new = ask(&mut wire, 2, 6, &request);
    assert_eq!((new.coordinators[0].error_code, new.coordinators[0].node_id), (0, 0));
}
