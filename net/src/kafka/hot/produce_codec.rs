//! Produce on the wire: the request decoded in place, the response encoded.

use super::leader_hint::{LeaderHint, write_endpoints, write_leader_tag};
use super::wire_topic::{AnsweredTopic, WireTopic};
use crate::kafka::codec::cursor::{Cursor, Parsed, Writer};
use smallvec::SmallVec;
use std::borrow::Cow;

pub const FLEXIBLE_FROM: i16 = 9;
/// From here on topics have ids in place of names.
const IDS_FROM: i16 = 13;

/// A produce request; the records lie in the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProduceRequest<'a> {
    pub transactional_id: Option<&'a str>,
    pub acks: i16,
    pub timeout_ms: i32,
    /// Each with the number of its partitions, which follow each other in `partitions`.
    pub topics: SmallVec<[(WireTopic<'a>, usize); 4]>,
    pub partitions: SmallVec<[ProducePartition<'a>; 8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducePartition<'a> {
    pub number: i32,
    pub records: Option<&'a [u8]>,
}

impl<'a> ProduceRequest<'a> {
    pub fn decode(body: &'a [u8], version: i16) -> Parsed<Self> {
        let mut cursor = Cursor::new(body, version >= FLEXIBLE_FROM);
        let transactional_id = if version >= 3 { cursor.nullable_string()? } else { None };
        let (acks, timeout_ms) = (cursor.i16()?, cursor.i32()?);
        let (mut topics, mut partitions) = (SmallVec::new(), SmallVec::new());
        for _ in 0..cursor.count_named(2, 0)? {
            let topic = WireTopic::read(&mut cursor, version >= IDS_FROM)?;
            let count = cursor.count_named(5, partitions.len())?;
            for _ in 0..count {
                let number = cursor.i32()?;
                partitions.push(ProducePartition { number, records: cursor.nullable_bytes()? });
                cursor.skip_tags()?;
            }
            cursor.skip_tags()?;
            topics.push((topic, count));
        }
        cursor.skip_tags()?;
        cursor.finish()?;
        Ok(Self { transactional_id, acks, timeout_ms, topics, partitions })
    }
}

/// One partition's part of the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducedPartition {
    pub number: i32,
    pub error_code: i16,
    pub base_offset: i64,
    pub log_append_time_ms: i64,
    pub log_start: i64,
    /// Records that alone are at fault, by their place in the batch; a client fails these and sends
    /// the others again.
    pub record_errors: Vec<(i32, String)>,
    pub message: Option<Cow<'static, str>>,
    /// Whom to ask instead, when this is no longer the leader.
    pub leader: Option<LeaderHint>,
}

/// Appends the response's body.
pub fn encode_response(
    to: &mut Vec<u8>,
    version: i16,
    topics: &[(AnsweredTopic, usize)],
    partitions: &[ProducedPartition],
    throttle_ms: i32,
) {
    let mut writer = Writer { to, flexible: version >= FLEXIBLE_FROM };
    writer.length(topics.len());
    let mut rest = partitions;
    for (topic, count) in topics {
        let (these, others) = rest.split_at(*count);
        rest = others;
        topic.write(&mut writer);
        writer.length(these.len());
        for partition in these {
            encode_partition(&mut writer, version, partition);
        }
        writer.no_tags();
    }
    if version >= 1 {
        writer.i32(throttle_ms);
    }
    if version >= 10 {
        write_endpoints(&mut writer, partitions.iter().filter_map(|one| one.leader.as_ref()));
    } else {
        writer.no_tags();
    }
}

fn encode_partition(writer: &mut Writer<'_>, version: i16, partition: &ProducedPartition) {
    writer.i32(partition.number);
    writer.i16(partition.error_code);
    writer.i64(partition.base_offset);
    if version >= 2 {
        writer.i64(partition.log_append_time_ms);
    }
    if version >= 5 {
        writer.i64(partition.log_start);
    }
    if version >= 8 {
        writer.length(partition.record_errors.len());
        for (record, why) in &partition.record_errors {
            writer.i32(*record);
            writer.nullable_string(Some(why));
            writer.no_tags();
        }
        writer.nullable_string(partition.message.as_deref());
    }
    match &partition.leader {
        Some(leader) if version >= 10 => write_leader_tag(writer, 0, leader),
        _ => writer.no_tags(),
    }
}
