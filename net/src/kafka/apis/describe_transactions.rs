//! DescribeTransactions: each transactional id with its state, producer and partitions.

use crate::kafka::codec::wire::StrBytes;
use crate::kafka::codec::wire::describe_transactions_response::{TopicData, TransactionState};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::transaction_code;
use crate::kafka::repeats;
use crate::kafka::request_context::RequestContext;
use crate::shard::pace::Pace;
use core::ops::RangeInclusive;
use engine::transactions::request::{DescribedTransaction, TopicPartition};
use engine::transactions::{Answer, Request};
use kafka_wire::{DescribeTransactionsRequest, DescribeTransactionsResponse};
use std::sync::Arc;

pub struct DescribeTransactions;

impl Handler for DescribeTransactions {
    type Request = DescribeTransactionsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;

    fn named(request: &Self::Request) -> usize {
        request.transactional_ids.len()
    }

    fn merge(request: &mut Self::Request) {
        repeats::keep_first(&mut request.transactional_ids, StrBytes::clone);
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: DescribeTransactionsRequest,
    ) -> DescribeTransactionsResponse {
        let mut response = DescribeTransactionsResponse::default();
        let mut pace = Pace::begin();
        for id in request.transactional_ids {
            pace.rest_if_late().await;
            let asked = Request::Describe { transactional_id: Arc::from(id.as_str()) };
            let mut state = match context.transactions.ask(asked).await {
                Answer::Described(Ok(described)) => described_state(described),
                Answer::Described(Err(error)) => {
                    let mut state = TransactionState::default();
                    state.error_code = transaction_code(error, true);
                    state
                }
                other => panic!("a description was answered with {other:?}"),
            };
            state.transactional_id = id;
            response.transaction_states.push(state);
        }
        response
    }
}

fn described_state(described: DescribedTransaction) -> TransactionState {
    let mut state = TransactionState::default();
    state.transaction_state = described.state.name().into();
    state.transaction_timeout_ms = described.timeout_ms;
    state.transaction_start_time_ms = described.started_ms;
    (state.producer_id, state.producer_epoch) = (described.producer.id, described.producer.epoch);
    state.topics = by_topic(&described.partitions);
    state
}

/// Partitions come sorted.
fn by_topic(partitions: &[TopicPartition]) -> Vec<TopicData> {
    let topics = partitions.chunk_by(|one, next| one.0 == next.0);
    topics
        .map(|partitions| {
            let mut topic = TopicData::default();
            topic.topic = StrBytes::from(&*partitions[0].0);
            topic.partitions = partitions.iter().map(|(_, number)| *number).collect();
            topic
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_stand_under_their_topic() {
        let topics = by_topic(&[("a".into(), 0), ("a".into(), 3), ("b".into(), 1)]);
        let shown: Vec<(&str, &[i32])> =
            topics.iter().map(|topic| (topic.topic.as_str(), &topic.partitions[..])).collect();
        assert_eq!(shown, [("a", &[0, 3][..]), ("b", &[1])]);
    }
}
