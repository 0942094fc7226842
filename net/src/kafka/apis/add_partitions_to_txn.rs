//! AddPartitionsToTxn: partitions that a producer is about to write to; until version 3 of one
//! transaction, from 4 on of several (as brokers ask).

use crate::kafka::codec::wire::StrBytes;
use crate::kafka::codec::wire::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use crate::kafka::codec::wire::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::{code, transaction_code};
use crate::kafka::request_context::RequestContext;
use crate::kafka::transactions::tell_of_bound;
use core::ops::RangeInclusive;
use engine::control::View;
use engine::port::TransactionVersion;
use engine::transactions::request::{AddPartitions, TopicPartition};
use engine::transactions::{Answer, ProducerEpoch, Request};
use kafka_wire::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
use std::sync::Arc;

pub struct AddPartitionsToTxn;

/// From here on clients know PRODUCER_FENCED.
const FENCED_FROM: i16 = 2;
const SEVERAL_FROM: i16 = 4;
/// Brokers ask for others from here on; TRANSACTION_ABORTABLE is known.
const ABORTABLE_FROM: i16 = 5;

/// One transaction of a request.
struct Wanted<'a> {
    transactional_id: &'a StrBytes,
    producer: ProducerEpoch,
    verify_only: bool,
    topics: &'a [AddPartitionsToTxnTopic],
}

impl Handler for AddPartitionsToTxn {
    type Request = AddPartitionsToTxnRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;

    fn named(request: &Self::Request) -> usize {
        let topics = request.transactions.iter().flat_map(|one| &one.topics);
        let topics = topics.chain(&request.v3_and_below_topics);
        request.transactions.len() + topics.map(|topic| 1 + topic.partitions.len()).sum::<usize>()
    }

    async fn handle(
        context: &Context,
        &RequestContext { version, .. }: &RequestContext,
        request: AddPartitionsToTxnRequest,
    ) -> AddPartitionsToTxnResponse {
        let mut response = AddPartitionsToTxnResponse::default();
        if version < SEVERAL_FROM {
            let wanted = Wanted {
                transactional_id: &request.v3_and_below_transactional_id,
                producer: ProducerEpoch {
                    id: request.v3_and_below_producer_id,
                    epoch: request.v3_and_below_producer_epoch,
                },
                verify_only: false,
                topics: &request.v3_and_below_topics,
            };
            response.results_by_topic_v3_and_below = add(context, version, &wanted).await;
            return response;
        }
        for one in &request.transactions {
            let wanted = Wanted {
                transactional_id: &one.transactional_id,
                producer: ProducerEpoch { id: one.producer_id, epoch: one.producer_epoch },
                verify_only: one.verify_only,
                topics: &one.topics,
            };
            let mut result = AddPartitionsToTxnResult::default();
            result.transactional_id = one.transactional_id.clone();
            result.topic_results = add(context, version, &wanted).await;
            response.results_by_transaction.push(result);
        }
        response
    }
}

async fn add(context: &Context, version: i16, wanted: &Wanted<'_>) -> Vec<AddPartitionsToTxnTopicResult> {
    let known = known(&context.view(), wanted.topics);
    // All of them, or none.
    if known.iter().any(Option::is_none) {
        let code = |known: &Option<TopicPartition>| match known {
            Some(_) => code::OPERATION_NOT_ATTEMPTED,
            None => code::UNKNOWN_TOPIC_OR_PARTITION,
        };
        return results(wanted.topics, known.iter().map(code));
    }
    let add = AddPartitions {
        transactional_id: Arc::from(wanted.transactional_id.as_str()),
        producer: wanted.producer,
        partitions: known.iter().flatten().cloned().collect(),
        verify_only: wanted.verify_only,
        version: TransactionVersion::One,
    };
    let code_of = |error| match transaction_code(error, version >= FENCED_FROM) {
        code::TRANSACTION_ABORTABLE if version < ABORTABLE_FROM => code::INVALID_TXN_STATE,
        code => code,
    };
    let answer = context.transactions.ask(Request::Add(add)).await;
    tell_of_bound(&answer);
    match answer {
        Answer::Added(Ok(added)) => {
            results(wanted.topics, added.into_iter().map(|one| one.err().map_or(code::NONE, code_of)))
        }
        Answer::Added(Err(error)) => results(wanted.topics, known.iter().map(|_| code_of(error))),
        other => panic!("partitions were answered with {other:?}"),
    }
}

/// One for each partition of the request; none where there is no such partition.
fn known(view: &View, topics: &[AddPartitionsToTxnTopic]) -> Vec<Option<TopicPartition>> {
    let mut all = Vec::new();
    for topic in topics {
        let known = view.topics.get_key_value(topic.name.as_str());
        for number in &topic.partitions {
            let is_there = |partitions: usize| usize::try_from(*number).is_ok_and(|at| at < partitions);
            let known = known.filter(|(_, topic)| is_there(topic.partitions.len()));
            all.push(known.map(|(name, _)| (Arc::clone(name), *number)));
        }
    }
    all
}

/// As many codes as the topics have partitions.
fn results(
    topics: &[AddPartitionsToTxnTopic],
    mut codes: impl Iterator<Item = i16>,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let one = |topic: &AddPartitionsToTxnTopic| {
        let mut result = AddPartitionsToTxnTopicResult::default();
        result.name = topic.name.clone();
        for number in &topic.partitions {
            let mut partition = AddPartitionsToTxnPartitionResult::default();
            partition.partition_index = *number;
            partition.partition_error_code = codes.next().expect("one for each");
            result.results_by_partition.push(partition);
        }
        result
    };
    topics.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;

    #[test]
    fn partitions_that_are_not_there_are_told_and_codes_keep_their_order() {
        let view = Cluster::new(1).with_topic("a", 1, 2).view();
        let topic = |name: &str, partitions: &[i32]| {
            let mut topic = AddPartitionsToTxnTopic::default();
            topic.name = name.into();
            topic.partitions = partitions.to_vec();
            topic
        };
        let topics = [topic("a", &[1, 2, -1]), topic("gone", &[0]), topic("a", &[0])];
        let known: Vec<bool> = known(&view, &topics).iter().map(Option::is_some).collect();
        assert_eq!(known, [true, false, false, false, true]);
        let results = results(&topics, 10..15);
        let codes = results.iter().flat_map(|topic| &topic.results_by_partition);
        assert_eq!(codes.map(|one| one.partition_error_code).collect::<Vec<_>>(), [10, 11, 12, 13, 14]);
    }
}
