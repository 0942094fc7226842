//! Requests of one partition by Kafka's schemas, for tests that look at each answer.

use engine::batch::{BatchBuilder, NewRecord};
use kafka_wire::{FetchRequest, ProduceRequest, ProduceResponse, fetch_request, produce_request};
use net::kafka::codec::wire::{Bytes, StrBytes};

/// The version in which these requests are sent: with topic names.
pub const PRODUCE_VERSION: i16 = 9;
pub const FETCH_VERSION: i16 = 12;

/// One batch of these values.
pub fn batch(values: &[&[u8]]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(1_700_000_000_000);
    for value in values {
        builder.push(NewRecord::value(value));
    }
    builder.build()
}

/// Produces to partition 0.
pub fn produce(topic: &str, acks: i16, records: Vec<u8>) -> ProduceRequest {
    let mut partition = produce_request::PartitionProduceData::default();
    partition.records = Some(Bytes::from(records));
    let mut data = produce_request::TopicProduceData::default();
    data.name = StrBytes::from(topic);
    data.partition_data = vec![partition];
    let mut request = ProduceRequest::default();
    request.transactional_id = None;
    (request.acks, request.timeout_ms) = (acks, 10_000);
    request.topic_data = vec![data];
    request
}

/// Fetches partition 0.
pub fn fetch(topic: &str, offset: i64, max_wait_ms: i32) -> FetchRequest {
    let mut partition = fetch_request::FetchPartition::default();
    (partition.fetch_offset, partition.partition_max_bytes) = (offset, 1 << 20);
    let mut wanted = fetch_request::FetchTopic::default();
    wanted.topic = StrBytes::from(topic);
    wanted.partitions = vec![partition];
    let mut request = FetchRequest::default();
    (request.max_wait_ms, request.min_bytes, request.max_bytes) = (max_wait_ms, 1, 1 << 20);
    request.topics = vec![wanted];
    request
}

/// The error code of a produce of one partition.
pub fn error_of(response: &ProduceResponse) -> i16 {
    response.responses[0].partition_responses[0].error_code
}
