//! What the records of `__consumer_offsets` say: whose offset, and which groups there were.

use engine::groups::consumer::member::{CurrentAssignment, MemberProgress, Wish};
use engine::groups::consumer::partitions::Partitions;
use engine::groups::consumer::record::{About, Said};
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
        (Key::Consumer { about, .. }, Some(bytes)) => said(&Said::decode(about, bytes).ok()?),
    };
    let key = match key {
        Key::Offset { group, topic, partition } => {
            json!({ "group": group, "topic": topic, "partition": partition })
        }
        Key::Group { group } => json!({ "group": group }),
        Key::Consumer { group, about } => about_key(&group, about),
    };
    Some((key, value))
}

/// With Kafka's name of the kind of record, since several are of the same group or member.
fn about_key(group: &str, about: About) -> Value {
    let (record, named) = match about {
        About::Group => ("ConsumerGroupMetadata", None),
        About::PartitionMetadata => ("ConsumerGroupPartitionMetadata", None),
        About::TargetEpoch => ("ConsumerGroupTargetAssignmentMetadata", None),
        About::Member(member) => ("ConsumerGroupMemberMetadata", Some(("member", member))),
        About::Target(member) => ("ConsumerGroupTargetAssignmentMember", Some(("member", member))),
        About::Current(member) => ("ConsumerGroupCurrentMemberAssignment", Some(("member", member))),
        About::Pattern(pattern) => ("ConsumerGroupRegularExpression", Some(("expression", pattern))),
    };
    let mut key = json!({ "record": record, "group": group });
    if let Some((field, name)) = named {
        key[field] = name.into();
    }
    key
}

fn said(said: &Said) -> Value {
    match said {
        Said::Group { epoch, metadata_hash } => json!({ "epoch": epoch, "metadata_hash": metadata_hash }),
        Said::PartitionMetadata => json!({}),
        Said::Member(wish) => wished(wish),
        Said::TargetEpoch(epoch) => json!({ "assignment_epoch": epoch }),
        Said::Target(target) => json!({ "partitions": partitions(target) }),
        Said::Current(current) => current_of(current),
        Said::Pattern { topics } => json!({ "topics": topics.iter().map(|one| &**one).collect::<Vec<_>>() }),
    }
}

fn wished(wish: &Wish) -> Value {
    let classic = wish.classic.as_ref().map(|classic| {
        let protocols = classic.protocols.iter().map(|(name, metadata)| {
            json!({ "name": name, "subscription": subscription::topics(metadata) })
        });
        json!({ "session_timeout_ms": classic.session_timeout_ms, "protocols": protocols.collect::<Vec<_>>() })
    });
    json!({
        "instance": wish.instance.as_deref(),
        "rack": wish.rack.as_deref(),
        "client_id": wish.client_id,
        "client_host": wish.client_host,
        "topics": wish.topics.iter().map(|topic| &**topic).collect::<Vec<_>>(),
        "expression": Some(&*wish.pattern).filter(|pattern| !pattern.is_empty()),
        "rebalance_timeout_ms": wish.rebalance_timeout_ms,
        "assignor": wish.assignor.map(|assignor| assignor.name()),
        "classic": classic,
    })
}

fn current_of(current: &CurrentAssignment) -> Value {
    let state = match current.progress {
        MemberProgress::Stable => "STABLE",
        MemberProgress::Unrevoked => "UNREVOKED_PARTITIONS",
        MemberProgress::Unreleased => "UNRELEASED_PARTITIONS",
    };
    json!({
        "epoch": current.epoch,
        "previous_epoch": current.previous_epoch,
        "state": state,
        "assigned": partitions(&current.assigned),
        "pending_revocation": partitions(&current.revoking),
    })
}

/// By topic id, as Kafka writes it without its base64: 32 hex digits.
fn partitions(partitions: &Partitions) -> Value {
    let topics = partitions.topics().map(|(id, numbers)| (format!("{:032x}", id.0), json!(numbers)));
    Value::Object(topics.collect::<Map<_, _>>())
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
