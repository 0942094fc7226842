//! The client's side of the wire, for the load generator and tests: Produce and Fetch requests
//! encoded around records that stay where they are, and their responses read in place. All other
//! APIs by their schemas.

use super::api::{FETCH, PRODUCE};
use crate::kafka::codec::cursor::{Cursor, Malformed, Parsed, Writer};
use crate::kafka::codec::wire::{
    self, ApiVersion, BytesMut, KafkaMessage, KafkaRequest, RequestResponsePair,
};

/// What requests and answers carry: record batches.
pub mod batch {
    pub use engine::batch::header::batch_crc;
    pub use engine::batch::records::{Record, Records, RecordsError};
    pub use engine::batch::{
        BATCH_HEADER_BYTES, BatchBuilder, BatchHeader, CRC_REGION_START, Codec, NewRecord, varint,
    };
}

/// The versions spoken here: flexible, and with topic names.
pub const PRODUCE_VERSION: i16 = 9;
pub const FETCH_VERSION: i16 = 12;

/// What is the same for many requests of a client.
#[derive(Clone, Copy, Debug)]
pub struct ClientHead<'a> {
    pub correlation: i32,
    pub client_id: &'a str,
}

fn begin(to: &mut Vec<u8>, api_key: i16, version: i16, head: ClientHead<'_>, flexible: bool) {
    to.clear();
    to.extend_from_slice(&[0; 4]);
    let mut writer = Writer { to, flexible: false };
    writer.i16(api_key);
    writer.i16(version);
    writer.i32(head.correlation);
    writer.string(head.client_id);
    writer.flexible = flexible;
    writer.no_tags();
}

/// A produce request. The records need not be in `text`: what is elsewhere of those of the n-th
/// such partition belongs behind its first `cuts[n]` bytes.
#[derive(Clone, Debug, Default)]
pub struct ProduceEncoder {
    text: Vec<u8>,
    cuts: Vec<usize>,
    elsewhere_bytes: usize,
    topics_begun: usize,
}

impl ProduceEncoder {
    /// Begins a request for this many topics; the encoder's memory is used again.
    pub fn begin(&mut self, head: ClientHead<'_>, acks: i16, timeout_ms: i32, topics: usize) {
        begin(&mut self.text, PRODUCE, PRODUCE_VERSION, head, true);
        self.cuts.clear();
        self.elsewhere_bytes = 0;
        self.topics_begun = 0;
        let mut writer = Writer { to: &mut self.text, flexible: true };
        writer.nullable_string(None);
        writer.i16(acks);
        writer.i32(timeout_ms);
        writer.length(topics);
    }

    /// The next topic, of which this many partitions follow.
    pub fn topic(&mut self, name: &str, partitions: usize) {
        let mut writer = Writer { to: &mut self.text, flexible: true };
        if self.topics_begun > 0 {
            writer.no_tags();
        }
        self.topics_begun += 1;
        writer.string(name);
        writer.length(partitions);
    }

    /// The next partition, whose batch is this long; `here` is the front of it that is part of
    /// the text, be it empty or all.
    pub fn partition(&mut self, number: i32, record_bytes: usize, here: &[u8]) {
        let mut writer = Writer { to: &mut self.text, flexible: true };
        writer.i32(number);
        writer.length(record_bytes);
        self.text.extend_from_slice(here);
        if here.len() < record_bytes {
            self.cuts.push(self.text.len());
            self.elsewhere_bytes += record_bytes - here.len();
        }
        self.text.push(0);
    }

    /// Ends the request: its bytes, and where in them the records belong.
    pub fn finish(&mut self) -> (&[u8], &[usize]) {
        // The tagged fields of the topic and of the request.
        self.text.extend_from_slice(&[0, 0]);
        crate::kafka::codec::header::seal(&mut self.text, self.elsewhere_bytes);
        (&self.text, &self.cuts)
    }
}

/// One partition's answer to a produce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducedPart<'a> {
    pub topic: &'a str,
    pub number: i32,
    pub error_code: i16,
    pub base_offset: i64,
    pub log_append_time_ms: i64,
    pub log_start: i64,
    pub message: Option<&'a str>,
}

/// Reads a produce response without its length; gives the correlation id and each partition.
pub fn read_produced<'a>(frame: &'a [u8], mut each: impl FnMut(ProducedPart<'a>)) -> Parsed<i32> {
    let mut cursor = Cursor::new(frame, true);
    let correlation = cursor.i32()?;
    cursor.skip_tags()?;
    for _ in 0..cursor.count(2)? {
        let topic = cursor.string()?;
        for _ in 0..cursor.count(30)? {
            let (number, error_code) = (cursor.i32()?, cursor.i16()?);
            let (base_offset, log_append_time_ms) = (cursor.i64()?, cursor.i64()?);
            let log_start = cursor.i64()?;
            for _ in 0..cursor.count(5)? {
                cursor.i32()?;
                cursor.nullable_string()?;
                cursor.skip_tags()?;
            }
            let message = cursor.nullable_string()?;
            cursor.skip_tags()?;
            each(ProducedPart {
                topic,
                number,
                error_code,
                base_offset,
                log_append_time_ms,
                log_start,
                message,
            });
        }
        cursor.skip_tags()?;
    }
    cursor.i32()?;
    cursor.skip_tags()?;
    cursor.finish()?;
    Ok(correlation)
}

/// The bounds of a fetch.
#[derive(Clone, Copy, Debug)]
pub struct FetchBounds {
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    pub max_bytes: i32,
}

/// One partition to fetch.
#[derive(Clone, Copy, Debug)]
pub struct FetchAsk {
    pub number: i32,
    pub offset: i64,
    pub max_bytes: i32,
}

/// A fetch request without a session.
pub fn write_fetch(
    to: &mut Vec<u8>,
    head: ClientHead<'_>,
    bounds: FetchBounds,
    topics: &[(&str, &[FetchAsk])],
) {
    begin(to, FETCH, FETCH_VERSION, head, true);
    let mut writer = Writer { to, flexible: true };
    writer.i32(-1);
    writer.i32(bounds.max_wait_ms);
    writer.i32(bounds.min_bytes);
    writer.i32(bounds.max_bytes);
    writer.i8(0);
    writer.i32(0);
    writer.i32(-1);
    writer.length(topics.len());
    for (topic, asks) in topics {
        writer.string(topic);
        writer.length(asks.len());
        for ask in *asks {
            writer.i32(ask.number);
            writer.i32(-1);
            writer.i64(ask.offset);
            writer.i32(-1);
            writer.i64(-1);
            writer.i32(ask.max_bytes);
            writer.no_tags();
        }
        writer.no_tags();
    }
    writer.length(0);
    writer.string("");
    writer.no_tags();
    crate::kafka::codec::header::seal(to, 0);
}

/// One partition's answer to a fetch; the records are those of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchedPart<'a> {
    pub topic: &'a str,
    pub number: i32,
    pub error_code: i16,
    pub high_watermark: i64,
    pub log_start: i64,
    pub records: &'a [u8],
}

/// What a fetch response says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchedHead {
    pub correlation: i32,
    pub error_code: i16,
    pub session_id: i32,
}

/// Reads a fetch response without its length; gives each partition.
pub fn read_fetched<'a>(frame: &'a [u8], mut each: impl FnMut(FetchedPart<'a>)) -> Parsed<FetchedHead> {
    let mut cursor = Cursor::new(frame, true);
    let correlation = cursor.i32()?;
    cursor.skip_tags()?;
    cursor.i32()?;
    let (error_code, session_id) = (cursor.i16()?, cursor.i32()?);
    for _ in 0..cursor.count(2)? {
        let topic = cursor.string()?;
        for _ in 0..cursor.count(30)? {
            let (number, error_code) = (cursor.i32()?, cursor.i16()?);
            let (high_watermark, _) = (cursor.i64()?, cursor.i64()?);
            let log_start = cursor.i64()?;
            for _ in 0..cursor.count(17)? {
                cursor.take(16)?;
                cursor.skip_tags()?;
            }
            cursor.i32()?;
            let records = cursor.nullable_bytes()?.unwrap_or_default();
            cursor.skip_tags()?;
            each(FetchedPart { topic, number, error_code, high_watermark, log_start, records });
        }
        cursor.skip_tags()?;
    }
    cursor.skip_tags()?;
    cursor.finish()?;
    Ok(FetchedHead { correlation, error_code, session_id })
}

/// A whole request of any API; panics when the version cannot carry what is in it.
pub fn write_request<R: KafkaRequest>(to: &mut Vec<u8>, head: ClientHead<'_>, version: i16, request: &R) {
    begin(to, R::API_KEY.value(), version, head, R::is_flexible(ApiVersion::new(version)));
    let mut body = BytesMut::new();
    wire::encode(&mut body, request, version).expect("the version carries the request");
    to.extend_from_slice(&body);
    crate::kafka::codec::header::seal(to, 0);
}

/// The response to a request of any API, from a frame without its length.
pub fn read_response<R: RequestResponsePair>(frame: &[u8], version: i16) -> Parsed<(i32, R::Response)> {
    // ApiVersions alone never has tagged fields in its response header.
    let tagged = <R as KafkaMessage>::is_flexible(ApiVersion::new(version)) && R::API_KEY.value() != 18;
    let mut cursor = Cursor::new(frame, tagged);
    let correlation = cursor.i32()?;
    cursor.skip_tags()?;
    let response =
        wire::decode_answer(cursor.rest(), version).map_err(|_| Malformed("it cannot be decoded"))?;
    Ok((correlation, response))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: ClientHead<'_> = ClientHead { correlation: 7, client_id: "c" };

    /// The length in front counts what is elsewhere, and the cuts say where that belongs.
    #[test]
    fn records_that_stay_elsewhere_are_counted_and_cut_out() {
        let mut encoder = ProduceEncoder::default();
        encoder.begin(HEAD, -1, 1_000, 1);
        encoder.topic("t", 2);
        encoder.partition(0, 5, b"whole");
        encoder.partition(1, 100, b"front");
        let (text, cuts) = encoder.finish();
        assert_eq!(cuts.len(), 1, "the first partition is whole");
        assert_eq!(&text[cuts[0] - 5..cuts[0]], b"front");
        let length = u32::from_be_bytes(text[..4].try_into().expect("four bytes")) as usize;
        assert_eq!(length, text.len() - 4 + 95);
        let first = text.to_vec();
        // The encoder's memory is used again, and nothing of the request before is left.
        encoder.begin(HEAD, -1, 1_000, 1);
        encoder.topic("t", 2);
        encoder.partition(0, 5, b"whole");
        encoder.partition(1, 100, b"front");
        assert_eq!(encoder.finish().0, first);
    }

    #[test]
    fn answers_that_are_cut_are_malformed() {
        // Correlation, no tags, no topics, throttle time, no tags.
        let empty = [0, 0, 0, 7, 0, 1, 0, 0, 0, 0, 0];
        assert_eq!(read_produced(&empty, |part| panic!("{part:?}")).expect("whole"), 7);
        for cut in 0..empty.len() {
            assert!(read_produced(&empty[..cut], |part| panic!("{part:?}")).is_err(), "cut at {cut}");
        }
        assert!(read_fetched(&empty, |part| panic!("{part:?}")).is_err());
    }
}
