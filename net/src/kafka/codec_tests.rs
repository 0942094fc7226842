//! Our own codec against the schemas, and every decoder against bytes that nobody promised.

use super::client::{self, ClientHead, FetchAsk, FetchBounds, ProduceEncoder};
use super::versions;
use crate::kafka::codec::header::{self, Opened};
use crate::kafka::codec::wire::{self, BytesMut, StrBytes};
use crate::kafka::hot::fetch_codec::{self, AnsweredPartition, FetchAnswerHead, FetchRequest};
use crate::kafka::hot::produce_codec::{self, ProduceRequest, ProducedPartition};
use crate::kafka::hot::wire_topic::{AnsweredTopic, WireTopic};
use engine::disk::BufferPool;
use engine::entry::Slice;
use engine::ids::{Offset, ProducerId, TopicId};
use engine::port::AbortedTransaction;
use kafka_wire::{fetch_request, produce_request};
use proptest::prelude::*;
use std::sync::Arc;

const HEAD: ClientHead<'_> = ClientHead { correlation: 77, client_id: "test" };

fn produce_body(version: i16) -> Vec<u8> {
    let mut request = kafka_wire::ProduceRequest::default();
    request.transactional_id = None;
    (request.acks, request.timeout_ms) = (-1, 1500);
    for (topic, id) in [("a", 7), ("topic", 8)] {
        let mut data = produce_request::TopicProduceData::default();
        if version >= 13 {
            data.topic_id = wire::uuid(TopicId(id));
        } else {
            data.name = StrBytes::from(topic);
        }
        for index in 0..2 {
            let mut partition = produce_request::PartitionProduceData::default();
            partition.index = index;
            partition.records = Some(wire::Bytes::from_static(b"records"));
            data.partition_data.push(partition);
        }
        request.topic_data.push(data);
    }
    let mut body = BytesMut::new();
    wire::encode(&mut body, &request, version).expect("encodes");
    body.to_vec()
}

fn fetch_body(version: i16) -> Vec<u8> {
    let mut request = kafka_wire::FetchRequest::default();
    (request.max_wait_ms, request.min_bytes, request.max_bytes) = (500, 1, 1 << 20);
    request.isolation_level = 1;
    if version >= 7 {
        (request.session_id, request.session_epoch) = (9, 3);
        let mut forgotten = fetch_request::ForgottenTopic::default();
        if version >= 13 {
            forgotten.topic_id = wire::uuid(TopicId(8));
        } else {
            forgotten.topic = StrBytes::from("gone");
        }
        forgotten.partitions = vec![4];
        request.forgotten_topics_data = vec![forgotten];
    }
    let mut topic = fetch_request::FetchTopic::default();
    if version >= 13 {
        topic.topic_id = wire::uuid(TopicId(7));
    } else {
        topic.topic = StrBytes::from("t");
    }
    let mut partition = fetch_request::FetchPartition::default();
    (partition.partition, partition.fetch_offset, partition.partition_max_bytes) = (2, 100, 4096);
    if version >= 9 {
        partition.current_leader_epoch = 5;
    }
    if version >= 12 {
        partition.last_fetched_epoch = 4;
    }
    // What only followers tell is passed over.
    if version >= 17 {
        partition.replica_directory_id = wire::uuid(TopicId(5));
    }
    if version >= 18 {
        partition.high_watermark = 3;
    }
    topic.partitions = vec![partition];
    request.topics = vec![topic];
    let mut body = BytesMut::new();
    wire::encode(&mut body, &request, version).expect("encodes");
    body.to_vec()
}

#[test]
fn produce_is_decoded_as_the_schema_encodes_it() {
    for version in 3..=13 {
        let body = produce_body(version);
        let request = ProduceRequest::decode(&body, version).expect("decodes");
        assert_eq!((request.acks, request.timeout_ms, request.transactional_id), (-1, 1500, None));
        let topics = match version >= 13 {
            true => [WireTopic::Id(TopicId(7)), WireTopic::Id(TopicId(8))],
            false => [WireTopic::Name("a"), WireTopic::Name("topic")],
        };
        assert_eq!(request.topics.to_vec(), topics.map(|topic| (topic, 2)));
        assert_eq!(request.partitions.len(), 4);
        let last = request.partitions[3];
        assert_eq!((last.number, last.records), (1, Some(&b"records"[..])));
        let place = last.records.expect("records").as_ptr();
        assert!(body.as_ptr_range().contains(&place), "the records were not copied");
    }
}

#[test]
fn fetch_is_decoded_as_the_schema_encodes_it() {
    for version in 4..=18 {
        let body = fetch_body(version);
        let request = FetchRequest::decode(&body, version).expect("decodes");
        assert!(request.read_committed);
        let (topic, gone) = match version >= 13 {
            true => (WireTopic::Id(TopicId(7)), WireTopic::Id(TopicId(8))),
            false => (WireTopic::Name("t"), WireTopic::Name("gone")),
        };
        let partition = request.partitions[0];
        assert_eq!((partition.topic, partition.number, partition.offset), (topic, 2, 100));
        assert_eq!(partition.max_bytes, 4096);
        assert_eq!(partition.leader_epoch, if version >= 9 { 5 } else { -1 });
        assert_eq!(partition.last_fetched_epoch, if version >= 12 { 4 } else { -1 });
        let session = (request.session_id, request.session_epoch);
        assert_eq!(session, if version >= 7 { (9, 3) } else { (0, -1) });
        assert_eq!(request.forgotten, if version >= 7 { vec![(gone, 4)] } else { vec![] });
    }
}

fn named(topic: &str) -> AnsweredTopic {
    AnsweredTopic::Name(Arc::from(topic))
}

fn answered(number: i32, records: &[u32]) -> AnsweredPartition {
    let buffer = BufferPool::new(0).copy_of(&[5; 30_000]);
    AnsweredPartition {
        topic: Arc::from("t"),
        topic_id: TopicId(7),
        number,
        error_code: 0,
        high_watermark: 50,
        last_stable: 40,
        log_start: 3,
        aborted: vec![AbortedTransaction { producer: ProducerId(6), first_offset: Offset(7) }],
        diverging: None,
        leader: None,
        records: records.iter().map(|end| Slice { buffer: buffer.clone(), start: 0, end: *end }).collect(),
        record_bytes: records.iter().map(|end| *end as usize).sum(),
    }
}

#[test]
fn fetch_answers_are_read_by_the_schema() {
    for (version, read_committed) in (4..=18).flat_map(|version| [(version, false), (version, true)]) {
        let head =
            FetchAnswerHead { version, correlation: 77, session_id: 4, read_committed, ..Default::default() };
        let mut other = answered(1, &[]);
        (other.topic, other.topic_id) = (Arc::from("u"), TopicId(9));
        let mut parted = answered(5, &[]);
        parted.diverging = Some((2, 40));
        let partitions = vec![answered(0, &[20_000, 100, 9000]), parted, other];
        let out = fetch_codec::encode_response(head, partitions);
        let frame: Vec<u8> = out.pieces().flatten().copied().collect();
        assert_eq!(frame.len(), out.bytes());
        assert_eq!(frame[..4], (frame.len() as u32 - 4).to_be_bytes());
        let (correlation, response) =
            client::read_response::<kafka_wire::FetchRequest>(&frame[4..], version).expect("decodes");
        assert_eq!(correlation, 77);
        assert_eq!(response.responses.len(), 2);
        let first = &response.responses[0].partitions;
        assert_eq!(first[0].records.as_ref().map(|records| records.len()), Some(29_100));
        assert_eq!((first[0].high_watermark, first[0].last_stable_offset), (50, 40));
        let aborted = first[0].aborted_transactions.as_ref();
        let aborted = aborted.map(|all| (all.len(), all[0].producer_id, all[0].first_offset));
        assert_eq!(aborted, read_committed.then_some((1, 6, 7)), "version {version}");
        let diverging = (first[1].diverging_epoch.epoch, first[1].diverging_epoch.end_offset);
        assert_eq!(diverging, if version >= 12 { (2, 40) } else { (-1, -1) });
    }
}

#[test]
fn the_client_and_the_broker_understand_each_other() {
    let mut encoder = ProduceEncoder::default();
    encoder.begin(HEAD, -1, 1000, 2);
    encoder.topic("t", 2);
    encoder.partition(0, 3, b"a");
    encoder.partition(1, 2, b"");
    encoder.topic("u", 1);
    encoder.partition(4, 1, b"f");
    let (text, cuts) = encoder.finish();
    assert_eq!(cuts.len(), 2);
    let frame = [&text[..cuts[0]], b"bc", &text[cuts[0]..cuts[1]], b"de", &text[cuts[1]..]].concat();
    assert_eq!(frame[..4], (frame.len() as u32 - 4).to_be_bytes());
    let apis = versions::apis();
    let Ok(Opened::Request { header, body }) = header::open(&frame[4..], &apis) else { panic!("no request") };
    assert_eq!((header.correlation, header.client_id), (77, Some("test")));
    let request = ProduceRequest::decode(body, header.version).expect("decodes");
    assert_eq!(request.topics[..], [(WireTopic::Name("t"), 2), (WireTopic::Name("u"), 1)]);
    let records: Vec<_> = request.partitions.iter().map(|partition| partition.records).collect();
    assert_eq!(records, [Some(&b"abc"[..]), Some(b"de"), Some(b"f")]);

    let mut answer = header::begin_answer(77);
    answer.push(0);
    let part = ProducedPartition {
        number: 1,
        error_code: 6,
        base_offset: -1,
        log_append_time_ms: -1,
        log_start: -1,
        record_errors: vec![(4, "late".to_owned())],
        message: Some("no".into()),
        leader: None,
    };
    produce_codec::encode_response(&mut answer, header.version, &[(named("t"), 1)], &[part], 0);
    let mut parts = Vec::new();
    assert_eq!(client::read_produced(&answer[4..], |part| parts.push(part)), Ok(77));
    assert_eq!((parts[0].topic, parts[0].error_code, parts[0].message), ("t", 6, Some("no")));

    let mut frame = Vec::new();
    let bounds = FetchBounds { max_wait_ms: 100, min_bytes: 1, max_bytes: 1000 };
    let ask = FetchAsk { number: 3, offset: 9, max_bytes: 500 };
    client::write_fetch(&mut frame, HEAD, bounds, &[("t", &[ask])]);
    let Ok(Opened::Request { header, body }) = header::open(&frame[4..], &apis) else { panic!("no request") };
    let request = FetchRequest::decode(body, header.version).expect("decodes");
    assert_eq!((request.partitions[0].number, request.partitions[0].offset), (3, 9));
    let head = FetchAnswerHead { version: header.version, correlation: 77, ..Default::default() };
    let out = fetch_codec::encode_response(head, vec![answered(3, &[10_000])]);
    let frame: Vec<u8> = out.pieces().flatten().copied().collect();
    let mut parts = Vec::new();
    let head = client::read_fetched(&frame[4..], |part| parts.push((part.number, part.records.len())));
    assert_eq!((head.map(|head| head.correlation), &parts[..]), (Ok(77), &[(3, 10_000)][..]));
}

/// Every decoder of requests and of the client's responses is given the bytes.
fn decode_all(bytes: &[u8]) {
    let apis = versions::apis();
    let _ = header::open(bytes, &apis);
    for version in 0..=13 {
        let _ = ProduceRequest::decode(bytes, version);
    }
    for version in 4..=18 {
        let _ = FetchRequest::decode(bytes, version);
    }
    let _ = client::read_produced(bytes, |_| ());
    let _ = client::read_fetched(bytes, |_| ());
}

proptest! {
    #[test]
    fn no_decoder_panics_on_a_real_frame_that_was_changed(
        version in 3i16..=13,
        fetch in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = if fetch { fetch_body(version + 5) } else { produce_body(version) };
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        decode_all(&bytes);
        decode_all(&bytes[..cut.index(bytes.len())]);
        // What was decoded lies within the frame and is no more than it.
        if let Ok(request) = ProduceRequest::decode(&bytes, version) {
            let held: usize = request.partitions.iter().filter_map(|one| one.records).map(<[u8]>::len).sum();
            prop_assert!(held <= bytes.len());
        }
    }

    #[test]
    fn no_decoder_panics_on_garbage(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        decode_all(&bytes);
    }

    #[test]
    fn the_schemas_decoders_take_no_more_memory_than_the_bytes_are_worth(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        // A count of 2^31 in five bytes must be an error, not an allocation.
        for version in 0..=13 {
            let _ = wire::decode::<kafka_wire::MetadataRequest>(&bytes, version);
        }
        for version in 1..=7 {
            let _ = wire::decode::<kafka_wire::ListOffsetsRequest>(&bytes, version);
        }
        for version in 2..=7 {
            let _ = wire::decode::<kafka_wire::CreateTopicsRequest>(&bytes, version);
        }
    }
}

#[test]
fn a_count_beyond_the_frame_is_an_error() {
    assert!(wire::decode::<kafka_wire::MetadataRequest>(&[0xff, 0xff, 0xff, 0xff, 0x0f], 9).is_err());
    let mut bytes = vec![0xff, 0xff];
    bytes.extend_from_slice(&[0, 1, 0, 0, 0, 9, 0x7f, 0xff, 0xff, 0xff]);
    assert!(ProduceRequest::decode(&bytes, 3).is_err());
}
