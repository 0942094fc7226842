//! A transactional producer. It says of each transaction whether it is done, refused for certain, or unknown.

use super::brokers::{Brokers, Coordinated};
use super::trouble::{DUPLICATE_SEQUENCE, NotDone, Patience};
use crate::cluster::directory::Identity;
use kafka_wire::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_wire::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_wire::txn_offset_commit_request::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic};
use kafka_wire::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest, ProduceRequest,
    ProduceResponse, TxnOffsetCommitRequest,
};
use net::kafka::client::batch::{BatchBuilder, NewRecord};
use net::kafka::codec::wire::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// Bit of a batch's attributes.
const TRANSACTIONAL: i16 = 0x10;

/// Which of Kafka's protocols it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnLevel {
    /// No transactions: an idempotent producer.
    Outside,
    /// Partitions are added by the client.
    One,
    /// Partitions are added by their leaders, and each end bumps the epoch (KIP-890).
    Two,
}

/// What is known of how a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnEnd {
    Done,
    /// For certain it was not committed.
    Refused,
    Unknown,
}

/// Who reads what is written on, for offsets within the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPlace {
    pub group: String,
    pub member: String,
    pub generation: i32,
}

/// See the head of this file.
#[derive(Debug)]
pub struct TxnProducer {
    brokers: Brokers,
    id: String,
    level: TxnLevel,
    patience: Duration,
    timeout: Duration,
    identity: Identity,
    /// By partition: of the next batch.
    sequences: BTreeMap<u32, i32>,
    /// Partitions of the open transaction.
    added: BTreeSet<u32>,
    has_offsets: bool,
}

impl TxnProducer {
    pub fn new(brokers: Brokers, id: &str, level: TxnLevel, patience: Duration, timeout: Duration) -> Self {
        Self {
            brokers,
            id: id.to_owned(),
            level,
            patience,
            timeout,
            identity: Identity::NONE,
            sequences: BTreeMap::new(),
            added: BTreeSet::new(),
            has_offsets: false,
        }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    fn has_begun(&self) -> bool {
        self.has_offsets || !self.added.is_empty()
    }

    fn begin(&mut self) {
        self.added.clear();
        self.has_offsets = false;
        assert!(!self.has_begun(), "what is to begin has nothing in it");
    }

    /// Takes the transactional id, and ends whatever was open there.
    pub fn init(&mut self) -> Result<(), NotDone> {
        let mut request = InitProducerIdRequest::default();
        request.transactional_id = (self.level != TxnLevel::Outside).then(|| self.id.as_str().into());
        request.transaction_timeout_ms = self.timeout.as_millis() as i32;
        (request.producer_id, request.producer_epoch) = (-1, -1);
        let version = if self.level == TxnLevel::One { 4 } else { 5 };
        let mut patience = Patience::of(self.patience);
        loop {
            // Without an id any broker would do.
            let of = (Coordinated::Transaction, self.id.as_str());
            match self.brokers.call_coordinator(of, version, &request, |answer| answer.error_code) {
                Ok(answer) => {
                    self.identity = Identity { id: answer.producer_id, epoch: answer.producer_epoch };
                    assert!(self.identity.id >= 0 && self.identity.epoch >= 0, "{:?}", self.identity);
                    self.sequences.clear();
                    self.begin();
                    return Ok(());
                }
                Err(why) => patience.wait(why)?,
            }
        }
    }

    fn add_partitions(&mut self, keys: &[u32]) -> Result<(), NotDone> {
        let mut request = AddPartitionsToTxnRequest::default();
        request.v3_and_below_transactional_id = self.id.as_str().into();
        request.v3_and_below_producer_id = self.identity.id;
        request.v3_and_below_producer_epoch = self.identity.epoch;
        let mut topics = BTreeMap::<String, Vec<i32>>::new();
        for key in keys {
            let (topic, number) = self.brokers.place(*key);
            topics.entry(topic.to_owned()).or_default().push(number);
        }
        for (name, partitions) in topics {
            let mut topic = AddPartitionsToTxnTopic::default();
            (topic.name, topic.partitions) = (name.as_str().into(), partitions);
            request.v3_and_below_topics.push(topic);
        }
        let code = |answer: &kafka_wire::AddPartitionsToTxnResponse| {
            let topics = answer.results_by_topic_v3_and_below.iter();
            let codes =
                topics.flat_map(|topic| &topic.results_by_partition).map(|one| one.partition_error_code);
            // One partition's error makes OPERATION_NOT_ATTEMPTED (55) of the others.
            let mut codes = codes.filter(|code| *code != 0).collect::<Vec<_>>();
            codes.sort_by_key(|code| *code == 55);
            codes.first().copied().unwrap_or(0)
        };
        let mut patience = Patience::of(self.patience);
        loop {
            let of = (Coordinated::Transaction, self.id.as_str());
            match self.brokers.call_coordinator(of, 3, &request, code) {
                Ok(_) => return Ok(()),
                Err(why) => patience.wait(why)?,
            }
        }
    }

    /// Sends a batch to each of these partitions; gives the offsets of their first records, as far as the leaders
    /// say. An error leaves a transaction that can only be aborted.
    pub fn send(
        &mut self,
        values: &BTreeMap<u32, Vec<Vec<u8>>>,
    ) -> Result<BTreeMap<u32, Option<i64>>, NotDone> {
        let new: Vec<u32> = values.keys().copied().filter(|key| !self.added.contains(key)).collect();
        // Whoever ends it must know of what was perhaps added.
        self.added.extend(values.keys());
        if self.level == TxnLevel::One && !new.is_empty() {
            self.add_partitions(&new)?;
        }
        let mut left: BTreeMap<u32, Bytes> =
            values.iter().map(|(key, values)| (*key, self.batch(*key, values))).collect();
        let (mut offsets, mut patience) = (BTreeMap::new(), Patience::of(self.patience));
        loop {
            let mut why = NotDone::NobodyThere("nobody leads it".into());
            for (leader, keys) in self.brokers.by_leader(left.keys().copied()) {
                let batches: Vec<(u32, Bytes)> = keys.iter().map(|key| (*key, left[key].clone())).collect();
                match self.produce(leader, &batches) {
                    Err(silent) => why = silent,
                    Ok(answers) => {
                        for (key, code, offset) in answers {
                            match code {
                                0 => drop(offsets.insert(key, Some(offset))),
                                DUPLICATE_SEQUENCE => drop(offsets.insert(key, None)),
                                code => {
                                    why = NotDone::Code(code);
                                    if !why.may_pass() {
                                        return Err(why);
                                    }
                                    self.brokers.look_again();
                                    continue;
                                }
                            }
                            left.remove(&key);
                        }
                    }
                }
            }
            if left.is_empty() {
                break;
            }
            patience.wait(why)?;
        }
        for (key, values) in values {
            *self.sequences.entry(*key).or_default() += values.len() as i32;
        }
        Ok(offsets)
    }

    fn batch(&self, key: u32, values: &[Vec<u8>]) -> Bytes {
        let mut builder = BatchBuilder::new(crate::clock::wall_ms());
        let sequence = self.sequences.get(&key).copied().unwrap_or(0);
        let attributes = if self.level == TxnLevel::Outside { 0 } else { TRANSACTIONAL };
        builder.producer(self.identity.id, self.identity.epoch, sequence).attributes(attributes);
        for value in values {
            builder.push(NewRecord::value(value));
        }
        builder.build().into()
    }

    fn produce(
        &mut self,
        leader: SocketAddr,
        batches: &[(u32, Bytes)],
    ) -> Result<Vec<(u32, i16, i64)>, NotDone> {
        let mut request = ProduceRequest::default();
        request.transactional_id = (self.level != TxnLevel::Outside).then(|| self.id.as_str().into());
        (request.acks, request.timeout_ms) = (-1, 30_000);
        let mut topics = BTreeMap::<String, TopicProduceData>::new();
        for (key, batch) in batches {
            let (name, number) = self.brokers.place(*key);
            let topic = topics.entry(name.to_owned()).or_default();
            topic.name = name.into();
            let mut data = PartitionProduceData::default();
            (data.index, data.records) = (number, Some(batch.clone()));
            topic.partition_data.push(data);
        }
        request.topic_data = topics.into_values().collect();
        let version = if self.level == TxnLevel::One { 11 } else { 12 };
        let answer: ProduceResponse = self.brokers.call(leader, version, &request)?;
        let mut answers = Vec::new();
        for topic in &answer.responses {
            for part in &topic.partition_responses {
                if let Some(key) = self.brokers.key(topic.name.as_str(), part.index) {
                    answers.push((key, part.error_code, part.base_offset));
                }
            }
        }
        Ok(answers)
    }

    /// Commits a group's offsets with the transaction. An error leaves one that can only be aborted.
    pub fn send_offsets(&mut self, of: &GroupPlace, offsets: &BTreeMap<u32, i64>) -> Result<(), NotDone> {
        let had_offsets = std::mem::replace(&mut self.has_offsets, true);
        if self.level == TxnLevel::One && !had_offsets {
            self.add_offsets(&of.group)?;
        }
        let mut request = TxnOffsetCommitRequest::default();
        request.transactional_id = self.id.as_str().into();
        request.group_id = of.group.as_str().into();
        (request.producer_id, request.producer_epoch) = (self.identity.id, self.identity.epoch);
        request.generation_id_or_member_epoch = of.generation;
        request.member_id = of.member.as_str().into();
        let mut topics = BTreeMap::<String, TxnOffsetCommitRequestTopic>::new();
        for (key, offset) in offsets {
            let (name, number) = self.brokers.place(*key);
            let topic = topics.entry(name.to_owned()).or_default();
            topic.name = name.into();
            let mut partition = TxnOffsetCommitRequestPartition::default();
            (partition.partition_index, partition.committed_offset) = (number, *offset);
            partition.committed_leader_epoch = -1;
            topic.partitions.push(partition);
        }
        request.topics = topics.into_values().collect();
        let code = |answer: &kafka_wire::TxnOffsetCommitResponse| {
            let mut codes =
                answer.topics.iter().flat_map(|topic| &topic.partitions).map(|one| one.error_code);
            codes.find(|code| *code != 0).unwrap_or(0)
        };
        let version = if self.level == TxnLevel::One { 3 } else { 5 };
        let mut patience = Patience::of(self.patience);
        loop {
            match self.brokers.call_coordinator((Coordinated::Group, &of.group), version, &request, code) {
                Ok(_) => return Ok(()),
                Err(why) => patience.wait(why)?,
            }
        }
    }

    fn add_offsets(&mut self, group: &str) -> Result<(), NotDone> {
        let mut request = AddOffsetsToTxnRequest::default();
        (request.transactional_id, request.group_id) = (self.id.as_str().into(), group.into());
        (request.producer_id, request.producer_epoch) = (self.identity.id, self.identity.epoch);
        let mut patience = Patience::of(self.patience);
        loop {
            let of = (Coordinated::Transaction, self.id.as_str());
            match self.brokers.call_coordinator(of, 3, &request, |answer| answer.error_code) {
                Ok(_) => return Ok(()),
                Err(why) => patience.wait(why)?,
            }
        }
    }

    /// Ends the transaction. After anything but [`TxnEnd::Done`] the producer has to be initialised again.
    pub fn end(&mut self, commits: bool) -> (TxnEnd, Option<NotDone>) {
        if !self.has_begun() || self.level == TxnLevel::Outside {
            self.begin();
            return (TxnEnd::Done, None);
        }
        let mut request = EndTxnRequest::default();
        request.transactional_id = self.id.as_str().into();
        (request.producer_id, request.producer_epoch) = (self.identity.id, self.identity.epoch);
        request.committed = commits;
        let version = if self.level == TxnLevel::One { 4 } else { 5 };
        let (mut patience, mut is_certain) = (Patience::of(self.patience), true);
        loop {
            let of = (Coordinated::Transaction, self.id.as_str());
            let why = match self.brokers.call_coordinator(of, version, &request, |answer| answer.error_code) {
                Ok(answer) => {
                    if self.level == TxnLevel::Two {
                        self.bump(Identity { id: answer.producer_id, epoch: answer.producer_epoch });
                    }
                    self.begin();
                    return (TxnEnd::Done, None);
                }
                Err(why) => why,
            };
            is_certain &= why.is_certain();
            if let Err(why) = patience.wait(why) {
                return (if is_certain { TxnEnd::Refused } else { TxnEnd::Unknown }, Some(why));
            }
        }
    }

    fn bump(&mut self, next: Identity) {
        assert_ne!(next, self.identity, "an end gives another epoch");
        self.identity = next;
        self.sequences.clear();
    }
}
