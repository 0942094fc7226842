//! Fetch on the wire: the request decoded in place; the response as pieces of header between
//! slices of the very buffers that hold the records.

use super::leader_hint::{LeaderHint, write_endpoints, write_leader_tag};
use super::wire_topic::WireTopic;
use crate::kafka::codec::cursor::{Cursor, Parsed, Writer};
use crate::kafka::codec::outgoing::Outgoing;
use engine::entry::Slice;
use engine::ids::TopicId;
use engine::port::AbortedTransaction;
use smallvec::SmallVec;
use std::sync::Arc;

pub const FLEXIBLE_FROM: i16 = 12;
/// From here on topics have ids in place of names.
pub const IDS_FROM: i16 = 13;

/// A fetch request; names lie in the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest<'a> {
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    pub max_bytes: i32,
    pub read_committed: bool,
    /// 0 and −1 before version 7: no session.
    pub session_id: i32,
    pub session_epoch: i32,
    pub partitions: SmallVec<[WantedPartition<'a>; 8]>,
    pub forgotten: Vec<(WireTopic<'a>, i32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedPartition<'a> {
    pub topic: WireTopic<'a>,
    pub number: i32,
    pub leader_epoch: i32,
    pub offset: i64,
    pub last_fetched_epoch: i32,
    pub max_bytes: i32,
}

impl<'a> FetchRequest<'a> {
    pub fn decode(body: &'a [u8], version: i16) -> Parsed<Self> {
        let mut cursor = Cursor::new(body, version >= FLEXIBLE_FROM);
        if version < 15 {
            cursor.i32()?; // The replica that fetches: followers have a protocol of their own here.
        }
        let (max_wait_ms, min_bytes, max_bytes) = (cursor.i32()?, cursor.i32()?, cursor.i32()?);
        let read_committed = cursor.i8()? == 1;
        let (session_id, session_epoch) = if version >= 7 { (cursor.i32()?, cursor.i32()?) } else { (0, -1) };
        let mut request = Self {
            max_wait_ms,
            min_bytes,
            max_bytes,
            read_committed,
            session_id,
            session_epoch,
            partitions: SmallVec::new(),
            forgotten: Vec::new(),
        };
        for _ in 0..cursor.count_named(2, 0)? {
            let topic = WireTopic::read(&mut cursor, version >= IDS_FROM)?;
            for _ in 0..cursor.count_named(16, request.partitions.len())? {
                request.partitions.push(wanted_partition(&mut cursor, version, topic)?);
            }
            cursor.skip_tags()?;
        }
        if version >= 7 {
            for _ in 0..cursor.count_named(2, 0)? {
                let topic = WireTopic::read(&mut cursor, version >= IDS_FROM)?;
                for _ in 0..cursor.count_named(4, request.forgotten.len())? {
                    request.forgotten.push((topic, cursor.i32()?));
                }
                cursor.skip_tags()?;
            }
        }
        if version >= 11 {
            cursor.string()?; // The client's rack: this leader answers itself.
        }
        cursor.skip_tags()?;
        cursor.finish()?;
        Ok(request)
    }
}

fn wanted_partition<'a>(
    cursor: &mut Cursor<'a>,
    version: i16,
    topic: WireTopic<'a>,
) -> Parsed<WantedPartition<'a>> {
    let number = cursor.i32()?;
    let leader_epoch = if version >= 9 { cursor.i32()? } else { -1 };
    let offset = cursor.i64()?;
    let last_fetched_epoch = if version >= 12 { cursor.i32()? } else { -1 };
    if version >= 5 {
        cursor.i64()?; // A follower's log start.
    }
    let max_bytes = cursor.i32()?;
    // Behind them stands what followers tell: their directory (17) and high watermark (18).
    cursor.skip_tags()?;
    Ok(WantedPartition { topic, number, leader_epoch, offset, last_fetched_epoch, max_bytes })
}

/// One partition's part of the response.
#[derive(Clone, Debug)]
pub struct AnsweredPartition {
    pub topic: Arc<str>,
    pub topic_id: TopicId,
    pub number: i32,
    pub error_code: i16,
    pub high_watermark: i64,
    pub last_stable: i64,
    pub log_start: i64,
    pub aborted: Vec<AbortedTransaction>,
    pub diverging: Option<(i32, i64)>,
    pub leader: Option<LeaderHint>,
    pub records: SmallVec<[Slice; 1]>,
    pub record_bytes: usize,
}

/// What is before the topics.
#[derive(Clone, Copy, Debug, Default)]
pub struct FetchAnswerHead {
    pub correlation: i32,
    pub version: i16,
    pub error_code: i16,
    pub session_id: i32,
    pub read_committed: bool,
    pub throttle_ms: i32,
}

/// The whole response. Partitions of one topic that follow each other share its head.
pub fn encode_response(head: FetchAnswerHead, partitions: Vec<AnsweredPartition>) -> Outgoing {
    let flexible = head.version >= FLEXIBLE_FROM;
    let mut out = Outgoing::begin(head.correlation);
    let mut writer = Writer { to: out.text(), flexible };
    writer.no_tags();
    writer.i32(head.throttle_ms);
    if head.version >= 7 {
        writer.i16(head.error_code);
        writer.i32(head.session_id);
    }
    let same = |a: &AnsweredPartition, b: &AnsweredPartition| a.topic_id == b.topic_id && a.topic == b.topic;
    writer.length(partitions.chunk_by(same).count());
    let leaders: Vec<LeaderHint> = partitions.iter().filter_map(|one| one.leader.clone()).collect();
    let mut counts: Vec<usize> = partitions.chunk_by(same).map(<[_]>::len).collect();
    counts.reverse();
    let mut left = 0;
    for partition in partitions {
        let mut writer = Writer { to: out.text(), flexible };
        if left == 0 {
            left = counts.pop().expect("one count for each topic");
            if head.version >= IDS_FROM {
                writer.u128(partition.topic_id.0);
            } else {
                writer.string(&partition.topic);
            }
            writer.length(left);
        }
        left -= 1;
        encode_partition(&mut out, head, partition);
        if left == 0 {
            Writer { to: out.text(), flexible }.no_tags();
        }
    }
    let mut writer = Writer { to: out.text(), flexible };
    if head.version >= 16 {
        write_endpoints(&mut writer, leaders.iter());
    } else {
        writer.no_tags();
    }
    out.seal();
    out
}

fn encode_partition(out: &mut Outgoing, head: FetchAnswerHead, partition: AnsweredPartition) {
    let version = head.version;
    let flexible = version >= FLEXIBLE_FROM;
    let mut writer = Writer { to: out.text(), flexible };
    writer.i32(partition.number);
    writer.i16(partition.error_code);
    writer.i64(partition.high_watermark);
    writer.i64(partition.last_stable);
    if version >= 5 {
        writer.i64(partition.log_start);
    }
    if head.read_committed {
        write_aborted(&mut writer, &partition.aborted);
    } else {
        writer.null();
    }
    if version >= 11 {
        writer.i32(-1);
    }
    writer.length(partition.record_bytes);
    let before = out.bytes();
    for slice in partition.records {
        out.push(slice);
    }
    assert_eq!(out.bytes() - before, partition.record_bytes, "the slices are as long as was said");
    let mut writer = Writer { to: out.text(), flexible };
    match (partition.diverging, &partition.leader) {
        (Some((epoch, end)), _) if version >= 12 => write_diverging(&mut writer, epoch, end),
        (None, Some(leader)) if version >= 12 => write_leader_tag(&mut writer, 1, leader),
        _ => writer.no_tags(),
    }
}

fn write_aborted(writer: &mut Writer<'_>, aborted: &[AbortedTransaction]) {
    writer.length(aborted.len());
    for one in aborted {
        writer.i64(one.producer.0);
        writer.i64(one.first_offset.0);
        writer.no_tags();
    }
}

/// The tagged fields of a partition: only where the client's log parts from ours.
fn write_diverging(writer: &mut Writer<'_>, epoch: i32, end_offset: i64) {
    writer.uvarint(1);
    writer.uvarint(0);
    writer.uvarint(13);
    writer.i32(epoch);
    writer.i64(end_offset);
    writer.no_tags();
}
