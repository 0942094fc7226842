//! What the records of `__consumer_offsets` say: whose offset, and which groups there were.

use engine::groups::record::{GroupValue, Key, MemberValue, OffsetValue};
use engine::groups::subscription;
use serde_json::{Map, Value, json};

/// As topics' partitions are named in rows: `topic-number`.
pub fn is_of(partition: Option<&str>) -> bool {
    partition
        .and_then(|name| name.rsplit_once('-'))
        .is_some_and(|(topic, _)| topic == engine::groups::OFFSETS_TOPIC)
}

/// Key and value in fields; `None` where the key is none of these, or the value is not what its key says.
pub fn decode(key: &[u8], value: Option<&[u8]>) -> Option<(Value, Value)> {
    let key = Key::decode(key).ok()?;
    let value = match (&key, value) {
        (_, None) => Value::Null,
        (Key::Offset { .. }, Some(bytes)) => offset(&OffsetValue::decode(bytes).ok()?),
        (Key::Group { .. }, Some(bytes)) => group(&GroupValue::decode(bytes).ok()?),
    };
    let key = match key {
        Key::Offset { group, topic, partition } => {
            json!({ "group": group, "topic": topic, "partition": partition })
        }
        Key::Group { group } => json!({ "group": group }),
    };
    Some((key, value))
}

fn offset(value: &OffsetValue) -> Value {
    json!({
        "offset": value.offset,
        "leader_epoch": value.leader_epoch,
        "metadata": &*value.metadata,
        "commit_time": value.commit_ms,
        "expire_time": value.expire_ms,
    })
}

fn group(value: &GroupValue) -> Value {
    json!({
        "protocol_type": value.protocol_type,
        "generation": value.generation,
        "protocol": value.protocol,
        "leader": value.leader,
        "state_since": value.state_since_ms,
        "members": value.members.iter().map(member).collect::<Vec<_>>(),
    })
}

fn member(member: &MemberValue) -> Value {
    json!({
        "member": member.member,
        "instance": member.instance,
        "client_id": member.client_id,
        "client_host": member.client_host,
        "rebalance_timeout_ms": member.rebalance_timeout_ms,
        "session_timeout_ms": member.session_timeout_ms,
        "subscription": subscription::topics(&member.subscription),
        "assignment": assignment(&member.assignment),
    })
}

/// Kafka's ConsumerProtocolAssignment, of any version: topics with their partitions.
fn assignment(bytes: &[u8]) -> Value {
    let limits = kafka_wire_core::DecodeLimits::default();
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    let Ok((_, assigned)) = kafka_wire::decode_consumer_protocol_assignment(bytes, limits) else {
        return Value::Null;
    };
    let topics = assigned.assigned_partitions.iter();
    let topics = topics.map(|topic| (topic.topic.as_str().to_owned(), json!(topic.partitions)));
    Value::Object(topics.collect::<Map<_, _>>())
}
