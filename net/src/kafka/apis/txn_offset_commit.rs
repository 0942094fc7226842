//! TxnOffsetCommit: offsets that count once the producer's transaction is committed. The first ones of a
//! transaction need its coordinator's word, as batches do; until version 4 AddOffsetsToTxn came before.

use crate::kafka::codec::wire;
use crate::kafka::codec::wire::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::{code, group_code, group_result_code};
use crate::kafka::request_context::RequestContext;
use crate::kafka::transactions::{GUARDS_MAX, join, join_code};
use core::ops::RangeInclusive;
use engine::batch::header::attribute;
use engine::batch::{BatchBuilder, NewRecord};
use engine::control::View;
use engine::coordinator::{InTransaction, partition_of};
use engine::groups::request::{Commit, CommitInTransaction, Identity, NewOffset};
use engine::groups::{Answer, GroupError, OFFSETS_TOPIC, Request};
use engine::ids::ProducerId;
use engine::port::{Guard, JoinRefusal, JoinTransaction};
use kafka_wire::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use std::sync::Arc;

pub struct TxnOffsetCommit;

/// From here on the group's partition joins the transaction by this request.
const ADDS_FROM: i16 = 5;

impl Handler for TxnOffsetCommit {
    type Request = TxnOffsetCommitRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;

    fn named(request: &Self::Request) -> usize {
        request.topics.iter().map(|topic| 1 + topic.partitions.len()).sum()
    }

    async fn handle(
        context: &Context,
        &RequestContext { version, .. }: &RequestContext,
        request: TxnOffsetCommitRequest,
    ) -> TxnOffsetCommitResponse {
        let offsets = known_offsets(&context.view(), &request);
        let codes = match guard(context, version, &request).await {
            Ok(guard) => commit(context, &request, offsets.iter().flatten().cloned().collect(), guard).await,
            Err(error) => Err(error),
        };
        answer(&request, &offsets, codes)
    }
}

async fn commit(
    context: &Context,
    request: &TxnOffsetCommitRequest,
    offsets: Vec<NewOffset>,
    guard: Option<Guard>,
) -> Result<Vec<Result<(), GroupError>>, i16> {
    let member = Identity {
        group: request.group_id.as_str().to_owned(),
        member: request.member_id.as_str().to_owned(),
        instance: wire::owned(request.group_instance_id.as_ref()),
        generation: request.generation_id_or_member_epoch,
    };
    let within = InTransaction { producer: request.producer_id, epoch: request.producer_epoch, guard };
    let commit = Commit { member, offsets, retention_ms: None, knows_epochs: true };
    let commit = CommitInTransaction { commit, within };
    match context.groups.ask(Request::CommitInTransaction(commit)).await {
        Answer::Committed(committed) => committed.map_err(group_code),
        other => panic!("a commit was answered with {other:?}"),
    }
}

/// What the first offsets of a transaction need; none where it is open in the group's partition.
async fn guard(
    context: &Context,
    version: i16,
    request: &TxnOffsetCommitRequest,
) -> Result<Option<Guard>, i16> {
    let view = context.view();
    let (name, topic) = view.topics.get_key_value(OFFSETS_TOPIC).ok_or(code::NOT_COORDINATOR)?;
    let partitions = i32::try_from(topic.partitions.len()).expect("bounded by the metadata's rules");
    let number = partition_of(request.group_id.as_str(), partitions);
    let like = like_batch(request.producer_id, request.producer_epoch);
    let guard_now = || context.shard.guard_for(topic.partitions[number as usize].id, &like, false);
    let asked = JoinTransaction {
        transactional_id: Arc::from(request.transactional_id.as_str()),
        producer: ProducerId(request.producer_id),
        epoch: request.producer_epoch,
        adds: version >= ADDS_FROM,
        partitions: vec![(Arc::clone(name), number)],
    };
    for _ in 0..GUARDS_MAX {
        let Some(guard) = guard_now() else { return Ok(None) };
        let joined = join(context, asked.clone()).await.pop().expect("one partition");
        joined.map_err(|refusal| refused(refusal, version))?;
        if guard_now().is_none_or(|now| now == guard) {
            return Ok(Some(guard));
        }
    }
    Err(refused(JoinRefusal::Concurrent, version))
}

fn refused(refusal: JoinRefusal, version: i16) -> i16 {
    match refusal {
        JoinRefusal::Unavailable => code::COORDINATOR_NOT_AVAILABLE,
        JoinRefusal::Concurrent if version < ADDS_FROM => code::COORDINATOR_LOAD_IN_PROGRESS,
        refusal => join_code(refusal, version >= ADDS_FROM),
    }
}

/// A batch of this producer's transaction: its offsets have no sequence.
fn like_batch(producer: i64, epoch: i16) -> Vec<u8> {
    let mut batch = BatchBuilder::new(0);
    batch.producer(producer, epoch, -1).attributes(attribute::TRANSACTIONAL);
    batch.push(NewRecord::default()).build()
}

/// One for each partition of the request; none where there is no such partition.
fn known_offsets(view: &View, request: &TxnOffsetCommitRequest) -> Vec<Option<NewOffset>> {
    let mut offsets = Vec::new();
    for topic in &request.topics {
        let known = view.topics.get_key_value(topic.name.as_str());
        for partition in &topic.partitions {
            let is_there = |partitions: usize| {
                usize::try_from(partition.partition_index).is_ok_and(|number| number < partitions)
            };
            let known = known.filter(|(_, topic)| is_there(topic.partitions.len()));
            offsets.push(known.map(|(name, _)| NewOffset {
                topic: Arc::clone(name),
                partition: partition.partition_index,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: wire::owned(partition.committed_metadata.as_ref()).unwrap_or_default(),
            }));
        }
    }
    offsets
}

fn answer(
    request: &TxnOffsetCommitRequest,
    offsets: &[Option<NewOffset>],
    committed: Result<Vec<Result<(), GroupError>>, i16>,
) -> TxnOffsetCommitResponse {
    let mut codes = committed.map(|results| results.into_iter().map(group_result_code));
    let mut offsets = offsets.iter();
    let mut response = TxnOffsetCommitResponse::default();
    for topic in &request.topics {
        let mut answered = TxnOffsetCommitResponseTopic::default();
        answered.name = topic.name.clone();
        for partition in &topic.partitions {
            let mut one = TxnOffsetCommitResponsePartition::default();
            one.partition_index = partition.partition_index;
            one.error_code = match (offsets.next().expect("one for each"), &mut codes) {
                (None, _) => code::UNKNOWN_TOPIC_OR_PARTITION,
                (Some(_), Ok(codes)) => codes.next().expect("one for each that is known"),
                (Some(_), Err(code)) => *code,
            };
            answered.partitions.push(one);
        }
        response.topics.push(answered);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::batch::BatchHeader;

    #[test]
    fn what_is_asked_for_is_a_batch_of_the_transaction() {
        let batch = like_batch(7, 3);
        let header = BatchHeader::of(&batch).expect("a whole header");
        assert!(header.is_transactional() && !header.is_control());
        assert_eq!((header.producer_id.get(), header.producer_epoch.get()), (7, 3));
    }

    #[test]
    fn older_clients_are_told_to_come_again_by_what_they_know() {
        assert_eq!(refused(JoinRefusal::Concurrent, 5), 51);
        assert_eq!(refused(JoinRefusal::Concurrent, 4), 14);
        assert_eq!(refused(JoinRefusal::Unavailable, 3), 15);
        assert_eq!(refused(JoinRefusal::NotInTransaction, 4), 48);
        assert_eq!(refused(JoinRefusal::NotInTransaction, 5), 120);
    }
}
