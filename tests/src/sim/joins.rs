//! Batches and offsets of transactions as they come to a shard, the way `net` takes them: what begins a transaction
//! in its partition waits for the coordinator's word, and comes with the guard of before.

use super::carried::{AskedBy, Committing, Join, Step, Transacted, TransactionAnswer, What};
use super::coordinating::HostInput;
use super::coordinators::TRAVEL_NS_MAX;
use super::world::{Happening, World};
use engine::batch::header::attribute;
use engine::batch::{BatchBuilder, BatchHeader, NewRecord};
use engine::coordinator::{InTransaction, partition_of};
use engine::groups::request::CommitInTransaction;
use engine::groups::{Groups, OFFSETS_TOPIC, Request as GroupRequest};
use engine::ids::{JournalId, ProducerId};
use engine::port::{
    Acks, BatchWriter, Errand, ErrandAnswer, Guard, Input, JoinRefusal, JoinTransaction, Produce, RequestId,
    TransactionVersion,
};
use engine::transactions::{Request, TRANSACTIONS_TOPIC};
use std::sync::Arc;

const MS: u64 = 1_000_000;
const AGAIN_NS: u64 = 20 * MS;
const JOINS_MAX: u32 = 5;
/// A journal without room is looked at again after this.
const ROOM_NS: u64 = MS;

impl World {
    /// A client asks a coordinator of transactions; an answer comes as [`Happening::TransactionAnswer`].
    pub fn ask_transactions(&mut self, node: usize, shard: u16, request: RequestId, body: Request) {
        self.trace.line(self.now_ns, format_args!("n{node}/s{shard} <- transactions {request:?} {body:?}"));
        self.travel(node, shard, Step::Request { request, body });
    }

    /// A client sends a batch of a transaction; it is answered as produced, or refused by the coordinator.
    pub fn transact(&mut self, node: usize, shard: u16, request: RequestId, batch: Transacted) {
        self.travel(node, shard, Step::Batch { request, batch });
    }

    /// A client sends a transaction's offsets; a group answers, or the coordinator says no.
    pub fn commit_offsets(&mut self, node: usize, shard: u16, request: RequestId, offsets: Committing) {
        self.travel(node, shard, Step::Offsets { request, offsets });
    }

    fn travel(&mut self, node: usize, shard: u16, step: Step) {
        let after_ns = self.rng.below(TRAVEL_NS_MAX);
        self.make_due(node, shard, after_ns, step);
    }

    pub(super) fn batch_arrived(&mut self, node: usize, shard: u16, request: RequestId, batch: Transacted) {
        let header = BatchHeader::of(&batch.records).expect("a client's batch has a header");
        let asked = JoinTransaction {
            transactional_id: Arc::clone(&batch.transactional_id),
            producer: ProducerId(header.producer_id.get()),
            epoch: header.producer_epoch.get(),
            adds: batch.version == TransactionVersion::Two,
            partitions: vec![batch.place.clone()],
        };
        self.arrived(node, shard, request, What::Batch(batch), asked);
    }

    pub(super) fn offsets_arrived(
        &mut self,
        node: usize,
        shard: u16,
        request: RequestId,
        offsets: Committing,
    ) {
        let view = self.nodes[node].view();
        let Some(topic) = view.topics.get(OFFSETS_TOPIC) else { return };
        let number = partition_of(&offsets.commit.member.group, topic.partitions.len() as i32);
        let asked = JoinTransaction {
            transactional_id: Arc::clone(&offsets.transactional_id),
            producer: ProducerId(offsets.producer),
            epoch: offsets.epoch,
            adds: offsets.version == TransactionVersion::Two,
            partitions: vec![(OFFSETS_TOPIC.into(), number)],
        };
        self.arrived(node, shard, request, What::Offsets(offsets), asked);
    }

    /// What a coordinator must confirm now.
    fn guard_of(&self, node: usize, shard: u16, what: &What, asked: &JoinTransaction) -> Option<Guard> {
        let here = &self.nodes[node];
        let engine = &here.shards[shard as usize].shard;
        match what {
            What::Batch(batch) => engine.guard_for(batch.partition, &batch.records, true),
            What::Offsets(offsets) => {
                let (name, number) = asked.partitions.first().expect("it is of one");
                let topic = here.view().topics.get(name)?.clone();
                let like = like_batch(offsets.producer, offsets.epoch);
                engine.guard_for(topic.partitions.get(*number as usize)?.id, &like, false)
            }
        }
    }

    fn arrived(&mut self, node: usize, shard: u16, request: RequestId, what: What, asked: JoinTransaction) {
        let guard = self.guard_of(node, shard, &what, &asked);
        let carried = &mut self.nodes[node].carried;
        let join = carried.number();
        let is_joined = guard.is_none();
        carried.joins.0.insert(join, Join { shard, request, what, guard, asked, asks: 0, is_joined });
        self.join(node, join);
    }

    /// Asks the coordinator, or goes on where it said yes.
    pub(super) fn join(&mut self, node: usize, join: u64) {
        let here = &mut self.nodes[node];
        let view = here.view();
        let one = here.carried.joins.0.get_mut(&join).expect("it waits");
        if one.is_joined {
            return self.joined(node, join);
        }
        one.asks += 1;
        let (shard, asked) = (one.shard, one.asked.clone());
        let journal = || -> Option<JournalId> {
            let topic = view.topics.get(TRANSACTIONS_TOPIC)?;
            let number = partition_of(&asked.transactional_id, topic.partitions.len() as i32);
            Some(topic.partitions[number as usize].spans.last()?.journal)
        };
        match journal() {
            Some(journal) => {
                self.begin_errand(node, shard, journal, Errand::Join(asked), AskedBy::Join { join });
            }
            None => self.join_answered(node, join, None),
        }
    }

    pub(super) fn join_answered(&mut self, node: usize, join: u64, answer: Option<ErrandAnswer>) {
        let one = self.nodes[node].carried.joins.0.get_mut(&join).expect("it waits");
        let (shard, asks) = (one.shard, one.asks);
        let result = match answer {
            Some(ErrandAnswer::Joined(results)) if results.len() == 1 => results[0],
            _ => Err(JoinRefusal::Unavailable),
        };
        match result {
            Ok(()) => {
                let one = &self.nodes[node].carried.joins.0[&join];
                let guard = self.guard_of(node, shard, &one.what, &one.asked);
                let is_stale = guard.is_some() && guard != one.guard;
                let one = self.nodes[node].carried.joins.0.get_mut(&join).expect("just seen");
                if is_stale && asks < JOINS_MAX {
                    // The marker of the transaction before came meanwhile.
                    one.guard = guard;
                    self.counts.add("transactions: joining is asked again behind a marker");
                    return self.join(node, join);
                }
                one.is_joined = true;
                self.joined(node, join);
            }
            Err(JoinRefusal::Concurrent) if asks < JOINS_MAX => {
                self.counts.add("transactions: joining waits for the end before");
                self.make_due(node, shard, AGAIN_NS, Step::Join { join });
            }
            Err(refusal) => {
                let one = self.nodes[node].carried.joins.0.remove(&join).expect("just seen");
                let (request, answer) = (one.request, TransactionAnswer::NotJoined(refusal));
                self.happened.push(Happening::TransactionAnswer { node, shard, request, answer });
            }
        }
    }

    /// It may be appended, once there is room.
    fn joined(&mut self, node: usize, join: u64) {
        let here = &mut self.nodes[node];
        let Join { shard, request, guard, .. } = here.carried.joins.0[&join];
        if let What::Batch(batch) = &here.carried.joins.0[&join].what
            && !here.shards[shard as usize].shard.room_for(batch.partition, batch.records.len())
        {
            return self.make_due(node, shard, ROOM_NS, Step::Join { join });
        }
        match here.carried.joins.0.remove(&join).expect("just seen").what {
            What::Batch(batch) => {
                let (partition, records) = (batch.partition, &batch.records);
                let writer = BatchWriter::Transactional { version: batch.version, guard };
                let acks = Acks::All;
                let produce = Produce { request, slot: 0, partition, acks, records, checked: None, writer };
                self.input(node, shard, Input::Produce(produce));
            }
            What::Offsets(offsets) => {
                let within = InTransaction { producer: offsets.producer, epoch: offsets.epoch, guard };
                let commit = CommitInTransaction { commit: offsets.commit, within };
                let body = GroupRequest::CommitInTransaction(commit);
                self.tell_host::<Groups>(node, shard, HostInput::<Groups>::Request { request, body });
            }
        }
    }
}

/// A batch of this producer's transaction: its offsets have no sequence.
fn like_batch(producer: i64, epoch: i16) -> Vec<u8> {
    let mut batch = BatchBuilder::new(0);
    batch.producer(producer, epoch, -1).attributes(attribute::TRANSACTIONAL);
    batch.push(NewRecord::default()).build()
}
