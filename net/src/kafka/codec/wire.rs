//! The only way to the generated messages of all APIs off the hot path.
//!
//! Every decode is bounded: a count is checked against the bytes that remain before anything is
//! allocated, and by the limits below. Messages are `#[non_exhaustive]`: begin with
//! `T::default()` and set the fields.

pub use kafka_wire::{
    KafkaMessage, KafkaRequest, RequestResponsePair, add_partitions_to_txn_request,
    add_partitions_to_txn_response, create_partitions_response, create_topics_request,
    create_topics_response, delete_groups_response, delete_records_response, delete_topics_response,
    describe_cluster_response, describe_configs_response, describe_groups_response,
    describe_log_dirs_response, describe_producers_response, describe_topic_partitions_response,
    describe_transactions_response, find_coordinator_response, incremental_alter_configs_response,
    join_group_response, leave_group_response, list_groups_response, list_offsets_response,
    list_transactions_response, metadata_response, offset_commit_request, offset_commit_response,
    offset_delete_response, offset_fetch_response, offset_for_leader_epoch_response,
    txn_offset_commit_request, txn_offset_commit_response, write_txn_markers_request,
    write_txn_markers_response,
};
pub use kafka_wire_core::{
    ApiVersion, Bytes, BytesMut, DecodeError, DecodeLimits, Decoder, EncodeError, KafkaDecode, KafkaEncode,
    StrBytes, Uuid,
};

use engine::ids::TopicId;

/// A request off the hot path that is longer closes its connection, and a shard with little memory
/// takes even less. A group's assignments, or the names of 100,000 topics, fit.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// What decoding may take, in times of the body: a structure of up to a hundred bytes for each four
/// or five received is the worst there is (see the test `harm`). It is reserved before.
pub const DECODED_TIMES: usize = 32;

/// What its handler goes on holding, in the same measure.
pub const DECODED_TIMES_HELD: usize = 4;

/// Bounds on one request off the hot path.
fn limits() -> DecodeLimits {
    let mut limits = DecodeLimits::default();
    limits.max_frame_bytes = BODY_BYTES_MAX;
    limits.max_string_bytes = 32 << 10;
    limits.max_bytes_bytes = BODY_BYTES_MAX;
    limits.max_array_elements = 2 * NAMED_MAX;
    // Each takes 40 bytes for the two that a client sends. None is known that is sent.
    limits.max_tagged_fields = 4;
    limits.max_tag_bytes = 4 << 10;
    limits.max_total_tag_bytes = 4 << 10;
    limits
}

/// Decodes a message body. Bytes left over are passed over, as Kafka does: librdkafka 2.12 sends
/// three behind its Metadata v13.
pub fn decode<T: KafkaDecode>(body: &[u8], version: i16) -> Result<T, DecodeError> {
    decode_owned(Bytes::copy_from_slice(body), version)
}

/// Decodes the body of an answer to a command of ours, which may hold what a broker of this kind alone
/// tells.
pub fn decode_answer<T: KafkaDecode>(body: &[u8], version: i16) -> Result<T, DecodeError> {
    let mut limits = limits();
    (limits.max_tag_bytes, limits.max_total_tag_bytes) = (4 << 20, 4 << 20);
    let mut decoder = Decoder::new(Bytes::copy_from_slice(body), limits)?;
    T::decode(&mut decoder, ApiVersion::new(version))
}

/// The same, of bytes that texts and byte fields go on sharing.
pub fn decode_owned<T: KafkaDecode>(body: Bytes, version: i16) -> Result<T, DecodeError> {
    let mut decoder = Decoder::new(body, limits())?;
    T::decode(&mut decoder, ApiVersion::new(version))
}

/// Appends a message body. An error is a bug of ours (a field that this version cannot carry),
/// but one that clients bring about: it must cost them their connection and not all of us the
/// process.
pub fn encode<T: KafkaEncode>(to: &mut BytesMut, message: &T, version: i16) -> Result<(), EncodeError> {
    message.encode_into(to, ApiVersion::new(version)).map(|_| ())
}

/// Why a request off the hot path has no answer; its connection is closed.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("its body cannot be decoded: {0}")]
    Request(#[from] DecodeError),
    #[error("it names {0} things; {NAMED_MAX} is the most")]
    Named(usize),
    #[error("the answer cannot be encoded: {0}")]
    Answer(#[from] EncodeError),
}

/// A text that outlives the request.
pub fn owned(text: Option<&StrBytes>) -> Option<String> {
    text.map(|text| text.as_str().to_owned())
}

pub fn uuid(topic: TopicId) -> Uuid {
    Uuid::from_bytes(topic.0.to_be_bytes())
}

pub fn topic_id(uuid: Uuid) -> TopicId {
    TopicId(u128::from_be_bytes(uuid.to_bytes()))
}

/// Things that one request may name, partitions of all its topics together: each costs up to a few
/// microseconds and a few hundred bytes of answer. Kafka's clients name what one broker leads.
pub const NAMED_MAX: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_behind_a_request_are_passed_over() {
        // Metadata v13 for all topics, with the three bytes that librdkafka 2.12 adds.
        let body = [0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00];
        let request = decode::<kafka_wire::MetadataRequest>(&body, 13).expect("Kafka takes it, too");
        assert!(request.topics.is_none() && request.allow_auto_topic_creation);
    }
}
