//! The records of `__transaction_state`, byte for byte Kafka's: TransactionLogKey and
//! TransactionLogValue. Big-endian; the first two bytes are the version.
//!
//! Written: values of version 1, the flexible one, whose tagged fields (previous and next producer
//! id, the client's transaction version) are left out where they say nothing. Read: versions 0
//! and 1.

use super::metadata::TransactionMetadata;
use super::request::TopicPartition;
use super::state::State;
use crate::coordinator::fields::{BadRecord, Fields, put_text};
use std::collections::BTreeSet;
use std::sync::Arc;

const KEY: i16 = 0;
const VALUE_FIXED: i16 = 0;
const VALUE_FLEXIBLE: i16 = 1;

const TAG_PREVIOUS_PRODUCER: u32 = 0;
const TAG_NEXT_PRODUCER: u32 = 1;
const TAG_VERSION: u32 = 2;

pub fn key(transactional_id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(4 + transactional_id.len());
    key.extend_from_slice(&KEY.to_be_bytes());
    put_text(&mut key, transactional_id);
    key
}

/// The transactional id that a key names.
pub fn decode_key(bytes: &[u8]) -> Result<String, BadRecord> {
    let mut from = Fields::new(bytes);
    match from.i16()? {
        KEY => from.text(),
        other => Err(BadRecord::Version(other)),
    }
}

pub fn value(metadata: &TransactionMetadata) -> Vec<u8> {
    let mut to = Vec::with_capacity(64);
    to.extend_from_slice(&VALUE_FLEXIBLE.to_be_bytes());
    to.extend_from_slice(&metadata.producer.to_be_bytes());
    to.extend_from_slice(&metadata.epoch.to_be_bytes());
    to.extend_from_slice(&metadata.timeout_ms.to_be_bytes());
    to.push(metadata.state.number().cast_unsigned());
    put_partitions(&mut to, metadata);
    to.extend_from_slice(&metadata.updated_ms.to_be_bytes());
    to.extend_from_slice(&metadata.started_ms.to_be_bytes());
    let mut tags: Vec<(u32, Vec<u8>)> = Vec::new();
    for (tag, producer) in
        [(TAG_PREVIOUS_PRODUCER, metadata.previous_producer), (TAG_NEXT_PRODUCER, metadata.next_producer)]
    {
        if producer >= 0 {
            tags.push((tag, producer.to_be_bytes().to_vec()));
        }
    }
    if metadata.client_version != 0 {
        tags.push((TAG_VERSION, metadata.client_version.to_be_bytes().to_vec()));
    }
    put_varint(&mut to, count_of(tags.len()));
    for (tag, bytes) in tags {
        put_varint(&mut to, tag);
        put_varint(&mut to, count_of(bytes.len()));
        to.extend_from_slice(&bytes);
    }
    to
}

/// By topic; null where there are none, as Kafka has it in a state without a transaction.
fn put_partitions(to: &mut Vec<u8>, metadata: &TransactionMetadata) {
    if metadata.state == State::Empty {
        assert!(metadata.partitions.is_empty(), "an empty transaction has no partitions");
        return put_varint(to, 0);
    }
    let topics: BTreeSet<&str> = metadata.partitions.iter().map(|(topic, _)| &**topic).collect();
    put_varint(to, count_of(topics.len()) + 1);
    let mut rest = metadata.partitions.iter().peekable();
    while let Some((topic, _)) = rest.peek() {
        let topic = Arc::clone(topic);
        let mut numbers = Vec::new();
        while let Some((_, number)) = rest.next_if(|(of, _)| *of == topic) {
            numbers.push(*number);
        }
        put_varint(to, count_of(topic.len()) + 1);
        to.extend_from_slice(topic.as_bytes());
        put_varint(to, count_of(numbers.len()) + 1);
        numbers.iter().for_each(|number| to.extend_from_slice(&number.to_be_bytes()));
        put_varint(to, 0);
    }
}

pub fn decode_value(bytes: &[u8]) -> Result<TransactionMetadata, BadRecord> {
    let mut from = Fields::new(bytes);
    let version = from.i16()?;
    if !(VALUE_FIXED..=VALUE_FLEXIBLE).contains(&version) {
        return Err(BadRecord::Version(version));
    }
    let is_flexible = version == VALUE_FLEXIBLE;
    let (producer, epoch, timeout_ms) = (from.i64()?, from.i16()?, from.i32()?);
    let [state] = from.array::<1>()?;
    let state = State::of_number(state.cast_signed()).ok_or(BadRecord::Version(state.into()))?;
    let partitions = if is_flexible { flexible_partitions(&mut from)? } else { partitions(&mut from)? };
    let (updated_ms, started_ms) = (from.i64()?, from.i64()?);
    let mut metadata = TransactionMetadata {
        producer,
        previous_producer: -1,
        next_producer: -1,
        epoch,
        // Not in Kafka's records: a repeat that spans a failover is taken for another producer's.
        last_epoch: -1,
        timeout_ms,
        state,
        partitions,
        updated_ms,
        started_ms,
        client_version: 0,
    };
    if is_flexible {
        each_tag(&mut from, |tag, mut bytes| {
            match tag {
                TAG_PREVIOUS_PRODUCER => metadata.previous_producer = bytes.i64()?,
                TAG_NEXT_PRODUCER => metadata.next_producer = bytes.i64()?,
                TAG_VERSION => metadata.client_version = bytes.i16()?,
                _ => {}
            }
            Ok(())
        })?;
    }
    Ok(metadata)
}

fn partitions(from: &mut Fields<'_>) -> Result<BTreeSet<TopicPartition>, BadRecord> {
    let mut partitions = BTreeSet::new();
    for _ in 0..from.i32()? {
        let topic: Arc<str> = from.text()?.into();
        for _ in 0..from.i32()? {
            partitions.insert((Arc::clone(&topic), from.i32()?));
        }
    }
    Ok(partitions)
}

fn flexible_partitions(from: &mut Fields<'_>) -> Result<BTreeSet<TopicPartition>, BadRecord> {
    let mut partitions = BTreeSet::new();
    for _ in 1..varint(from)? {
        let bytes = varint(from)?.checked_sub(1).ok_or(BadRecord::Text)?;
        let topic = core::str::from_utf8(from.take(bytes as usize)?).map_err(|_| BadRecord::Text)?;
        let topic: Arc<str> = topic.into();
        for _ in 1..varint(from)? {
            partitions.insert((Arc::clone(&topic), from.i32()?));
        }
        each_tag(from, |_, _| Ok(()))?;
    }
    Ok(partitions)
}

fn each_tag<'a>(
    from: &mut Fields<'a>,
    mut take: impl FnMut(u32, Fields<'a>) -> Result<(), BadRecord>,
) -> Result<(), BadRecord> {
    for _ in 0..varint(from)? {
        let (tag, bytes) = (varint(from)?, varint(from)?);
        take(tag, Fields::new(from.take(bytes as usize)?))?;
    }
    Ok(())
}

fn count_of(count: usize) -> u32 {
    u32::try_from(count).expect("what a record holds is bounded")
}

fn put_varint(to: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn varint(from: &mut Fields<'_>) -> Result<u32, BadRecord> {
    let mut number = 0u32;
    for shift in (0..35).step_by(7) {
        let [byte] = from.array()?;
        number |= u32::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(BadRecord::Short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Ending;

    fn metadata() -> TransactionMetadata {
        TransactionMetadata {
            producer: 258,
            previous_producer: -1,
            next_producer: -1,
            epoch: 3,
            last_epoch: -1,
            timeout_ms: 60_000,
            state: State::Ongoing,
            partitions: [("a".into(), 1), ("a".into(), 300), ("bc".into(), 0)].into(),
            updated_ms: 9,
            started_ms: 8,
            client_version: 0,
        }
    }

    #[test]
    fn a_transaction_is_these_bytes() {
        assert_eq!(key("tx"), [0, 0, 0, 2, b't', b'x']);
        assert_eq!(decode_key(&key("tx")), Ok("tx".to_owned()));
        let head = [0, 1, 0, 0, 0, 0, 0, 0, 1, 2, 0, 3, 0, 0, 0xea, 0x60, 1];
        let topics = [3, 2, b'a', 3, 0, 0, 0, 1, 0, 0, 1, 44, 0, 3, b'b', b'c', 2, 0, 0, 0, 0, 0];
        let times = [0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 8];
        assert_eq!(value(&metadata()), [&head[..], &topics, &times, &[0]].concat());
        let tagged =
            TransactionMetadata { previous_producer: 257, next_producer: 1, client_version: 2, ..metadata() };
        let tags = [3, 0, 8, 0, 0, 0, 0, 0, 0, 1, 1, 1, 8, 0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 0, 2];
        assert_eq!(value(&tagged), [&head[..], &topics, &times, &tags].concat());
        assert_eq!(decode_value(&value(&tagged)), Ok(tagged));
    }

    #[test]
    fn every_state_comes_back_and_every_cut_is_told() {
        for state in State::ALL {
            let mut metadata = TransactionMetadata { state, ..metadata() };
            if state == State::Empty {
                metadata.partitions.clear();
            }
            let bytes = value(&metadata);
            assert_eq!(decode_value(&bytes), Ok(metadata), "{state:?}");
            for cut in 0..bytes.len() {
                assert!(decode_value(&bytes[..cut]).is_err(), "{state:?} {cut}");
            }
        }
    }

    #[test]
    fn the_fixed_version_is_read_and_unknown_ones_are_not() {
        let mut bytes = vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 1, 0, 0, 0, 5, 4];
        bytes.extend_from_slice(&[0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 2]);
        bytes.extend_from_slice(&[0; 16]);
        let read = decode_value(&bytes).expect("version 0");
        assert_eq!((read.producer, read.epoch, read.timeout_ms), (7, 1, 5));
        assert_eq!(read.state, State::Complete(Ending::Commit));
        assert_eq!(read.partitions, [("t".into(), 2)].into());
        // Null, as Kafka writes it without a transaction.
        bytes.splice(17..32, [0xff; 4]);
        assert_eq!(decode_value(&bytes).expect("null").partitions.len(), 0);
        assert_eq!(decode_value(&[0, 2]), Err(BadRecord::Version(2)));
        assert_eq!(decode_key(&[0, 1]), Err(BadRecord::Version(1)));
        // A length that no record has.
        assert_eq!(decode_value(&[&bytes[..1], &[1], &[0xff; 40]].concat()).ok(), None);
    }

    #[test]
    fn tags_of_later_builds_are_passed_over() {
        let mut bytes = value(&metadata());
        *bytes.last_mut().expect("the number of tags") = 1;
        bytes.extend_from_slice(&[9, 2, 1, 1]);
        assert_eq!(decode_value(&bytes), Ok(metadata()));
    }
}
