//! Reads partitions as Kafka's clients do: with `read_committed` it passes over what the answers say was aborted.

use super::brokers::Brokers;
use super::trouble::{NotDone, OFFSET_OUT_OF_RANGE};
use crate::consumer::batches::{Batches, next_offset};
use kafka_wire::FetchRequest;
use kafka_wire::fetch_request::{FetchPartition, FetchTopic};
use kafka_wire::fetch_response::PartitionData;
use net::kafka::client::batch::{BatchHeader, Records, batch_crc};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

const FETCH_VERSION: i16 = 12;
const BATCH_BYTES_MAX: usize = 16 << 20;
const PARTITION_FETCH_BYTES: i32 = 1 << 20;
/// Of a control record's key, after its version: 0 is an abort.
const ABORT_KEY: [u8; 4] = [0, 0, 0, 0];

/// A record that cannot be read.
pub const DAMAGED: &[u8] = b"damaged";

/// By partition: offsets and values.
pub type FetchedValues = BTreeMap<u32, Vec<(i64, Vec<u8>)>>;

/// See the head of this file.
#[derive(Debug)]
pub struct IsolatedReader {
    brokers: Brokers,
    committed_only: bool,
    /// The next offset of each partition that it reads.
    pub positions: BTreeMap<u32, i64>,
}

impl IsolatedReader {
    pub fn new(brokers: Brokers, committed_only: bool) -> Self {
        Self { brokers, committed_only, positions: BTreeMap::new() }
    }

    /// Asks each leader once, and takes what comes. What could not be asked is told beside.
    pub fn poll(&mut self, wait_ms: i32) -> (FetchedValues, Option<NotDone>) {
        let (mut fetched, mut trouble) = (FetchedValues::new(), None);
        for (leader, keys) in self.brokers.by_leader(self.positions.keys().copied()) {
            if let Err(why) = self.fetch(leader, &keys, wait_ms, &mut fetched) {
                self.brokers.look_again();
                trouble = Some(why);
            }
        }
        (fetched, trouble)
    }

    fn fetch(
        &mut self,
        leader: SocketAddr,
        keys: &[u32],
        wait_ms: i32,
        to: &mut FetchedValues,
    ) -> Result<(), NotDone> {
        let mut request = FetchRequest::default();
        request.replica_id = -1;
        (request.max_wait_ms, request.min_bytes, request.max_bytes) = (wait_ms, 1, 16 << 20);
        request.isolation_level = i8::from(self.committed_only);
        request.session_epoch = -1;
        let mut topics = BTreeMap::<String, FetchTopic>::new();
        for key in keys {
            let (name, number) = self.brokers.place(*key);
            let topic = topics.entry(name.to_owned()).or_default();
            topic.topic = name.into();
            let mut partition = FetchPartition::default();
            (partition.partition, partition.fetch_offset) = (number, self.positions[key]);
            (partition.current_leader_epoch, partition.last_fetched_epoch) = (-1, -1);
            partition.log_start_offset = -1;
            partition.partition_max_bytes = PARTITION_FETCH_BYTES;
            topic.partitions.push(partition);
        }
        request.topics = topics.into_values().collect();
        let answer = self.brokers.call(leader, FETCH_VERSION, &request)?;
        NotDone::of(answer.error_code)?;
        let mut trouble = Ok(());
        for topic in &answer.responses {
            for part in &topic.partitions {
                let Some(key) = self.brokers.key(topic.topic.as_str(), part.partition_index) else {
                    continue;
                };
                match part.error_code {
                    0 => self.take(key, part, to),
                    // Nothing is deleted while it reads: whoever says so has lost something, and readers see a gap.
                    OFFSET_OUT_OF_RANGE if part.log_start_offset > self.positions[&key] => {
                        self.positions.insert(key, part.log_start_offset);
                    }
                    code => trouble = Err(NotDone::Code(code)),
                }
            }
        }
        trouble
    }

    fn take(&mut self, key: u32, part: &PartitionData, to: &mut FetchedValues) {
        let Some(position) = self.positions.get_mut(&key) else { return };
        let bytes = part.records.as_deref().unwrap_or_default();
        let mut aborted = AbortedSpans::default();
        if self.committed_only {
            let listed = part.aborted_transactions.iter().flatten();
            aborted.listed = listed.map(|one| (one.first_offset, one.producer_id)).collect();
        }
        for (header, batch) in (Batches { rest: bytes }) {
            if aborted.hides(header, batch) {
                *position = (*position).max(next_offset(header));
                continue;
            }
            let records = to.entry(key).or_default();
            for (offset, value) in values(header, batch) {
                if offset >= *position {
                    records.push((offset, value));
                }
            }
            *position = (*position).max(next_offset(header));
        }
        to.retain(|_, records| !records.is_empty());
    }
}

/// All records of a batch; of one that is damaged, one that says so.
fn values(header: &BatchHeader, batch: &[u8]) -> Vec<(i64, Vec<u8>)> {
    let damaged = || vec![(header.base_offset.get(), DAMAGED.to_vec())];
    if header.crc.get() != batch_crc(batch) {
        return damaged();
    }
    let Ok(records) = Records::open(batch, BATCH_BYTES_MAX) else { return damaged() };
    let mut values = Vec::new();
    for record in records.iter() {
        match record {
            Ok(record) => values.push((record.offset, record.value.unwrap_or_default().to_vec())),
            Err(_) => return damaged(),
        }
    }
    values
}

/// Whose records are passed over, as the batches come.
#[derive(Debug, Default)]
struct AbortedSpans {
    /// First offset and producer of those that have not begun.
    listed: BTreeSet<(i64, i64)>,
    open: BTreeSet<i64>,
}

impl AbortedSpans {
    /// Whether a batch is not for the reader's eyes: a marker, or of an aborted transaction.
    fn hides(&mut self, header: &BatchHeader, batch: &[u8]) -> bool {
        let (base, producer) = (header.base_offset.get(), header.producer_id.get());
        while let Some((first, whose)) = self.listed.first().copied().filter(|(first, _)| *first <= base) {
            self.listed.remove(&(first, whose));
            self.open.insert(whose);
        }
        if header.is_control() {
            if is_abort(batch) {
                self.open.remove(&producer);
            }
            return true;
        }
        header.is_transactional() && self.open.contains(&producer)
    }
}

fn is_abort(batch: &[u8]) -> bool {
    let Ok(records) = Records::open(batch, BATCH_BYTES_MAX) else { return false };
    let first = records.iter().next();
    first.is_some_and(|record| record.is_ok_and(|record| record.key.is_some_and(|key| key[..] == ABORT_KEY)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use net::kafka::client::batch::{BatchBuilder, NewRecord};

    fn batch(base: i64, producer: i64, value: &[u8]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(1);
        builder.base_offset(base).producer(producer, 0, 0).attributes(0x10).push(NewRecord::value(value));
        builder.build()
    }

    fn marker(base: i64, producer: i64, commits: bool) -> Vec<u8> {
        let mut builder = BatchBuilder::new(1);
        let key = [0, 0, 0, u8::from(commits)];
        let record = NewRecord { key: Some(&key), value: Some(&[0; 6]), ..NewRecord::default() };
        builder.base_offset(base).producer(producer, 0, -1).attributes(0x30).push(record);
        builder.build()
    }

    #[test]
    fn records_of_an_aborted_transaction_are_passed_over_up_to_its_marker_and_no_further() {
        let all = [
            batch(0, 1, b"aborted"),
            batch(1, 2, b"committed"),
            marker(2, 1, false),
            batch(3, 1, b"the next one"),
            marker(4, 2, true),
            marker(5, 1, true),
        ];
        let mut spans = AbortedSpans { listed: [(0, 1)].into(), open: BTreeSet::new() };
        let mut seen = Vec::new();
        for (header, batch) in (Batches { rest: &all.concat() }) {
            if !spans.hides(header, batch) {
                seen.extend(values(header, batch));
            }
        }
        assert_eq!(seen, [(1, b"committed".to_vec()), (3, b"the next one".to_vec())]);
        assert!(spans.open.is_empty() && spans.listed.is_empty());
    }

    #[test]
    fn a_damaged_batch_says_so() {
        let mut one = batch(7, 1, b"value");
        *one.last_mut().expect("bytes") ^= 1;
        let header = *BatchHeader::of(&one).expect("a header");
        assert_eq!(values(&header, &one), [(7, DAMAGED.to_vec())]);
    }
}
