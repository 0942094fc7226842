//! DescribeProducers: the producers that partitions remember, and which of them have a transaction open.

use super::partition_questions::{PartitionQuestions, find_partition};
use crate::kafka::codec::wire::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::repeats;
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::control::names;
use engine::port::{Answer, ProducerStatus, QueryKind};
use kafka_wire::{DescribeProducersRequest, DescribeProducersResponse};

pub struct DescribeProducers;

impl Handler for DescribeProducers {
    type Request = DescribeProducersRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;

    fn named(request: &Self::Request) -> usize {
        request.topics.iter().map(|topic| 1 + topic.partition_indexes.len()).sum()
    }

    fn merge(request: &mut Self::Request) {
        repeats::keep_first_partitions(
            &mut request.topics,
            |topic| (topic.name.clone(), &mut topic.partition_indexes),
            |number| *number,
        );
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: DescribeProducersRequest,
    ) -> DescribeProducersResponse {
        let view = context.view();
        let mut questions = PartitionQuestions::default();
        for topic in &request.topics {
            let bad_name = names::check_name(&topic.name).is_err();
            for &number in &topic.partition_indexes {
                match find_partition(&view, &topic.name, number) {
                    Ok(partition) => questions.ask(partition, QueryKind::Producers),
                    Err(_) if bad_name => questions.refuse(code::INVALID_TOPIC_EXCEPTION),
                    Err(code) => questions.refuse(code),
                }
            }
        }
        let mut answers = questions.answers(context).await;
        let mut response = DescribeProducersResponse::default();
        for topic in request.topics {
            let mut answered = TopicResponse::default();
            for &number in &topic.partition_indexes {
                answered.partitions.push(partition(number, answers.next().expect("one for each partition")));
            }
            answered.name = topic.name;
            response.topics.push(answered);
        }
        response
    }
}

fn partition(number: i32, answer: Result<Answer, i16>) -> PartitionResponse {
    let mut partition = PartitionResponse::default();
    partition.partition_index = number;
    partition.error_message = None;
    match answer {
        Ok(Answer::Producers(producers)) => {
            partition.active_producers = producers.into_iter().map(producer).collect();
        }
        Ok(other) => panic!("producers were asked for and {other:?} answered"),
        Err(code) => partition.error_code = code,
    }
    partition
}

fn producer(status: ProducerStatus) -> ProducerState {
    let mut state = ProducerState::default();
    state.producer_id = status.producer.0;
    state.producer_epoch = i32::from(status.epoch);
    state.last_sequence = status.last_sequence;
    state.last_timestamp = status.last_timestamp_ms;
    state.coordinator_epoch = status.coordinator_epoch;
    state.current_txn_start_offset = status.open_since.map_or(-1, |first| first.0);
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::ids::{Offset, ProducerId};

    #[test]
    fn a_producer_without_a_transaction_says_so() {
        let status = ProducerStatus {
            producer: ProducerId(7),
            epoch: 2,
            last_sequence: 9,
            last_timestamp_ms: 5,
            coordinator_epoch: -1,
            open_since: None,
        };
        let open = ProducerStatus { coordinator_epoch: 3, open_since: Some(Offset(40)), ..status };
        let answered = partition(1, Ok(Answer::Producers(vec![status, open])));
        let state = &answered.active_producers[1];
        assert_eq!((state.coordinator_epoch, state.current_txn_start_offset), (3, 40));
        let state = &answered.active_producers[0];
        assert_eq!((state.producer_id, state.producer_epoch, state.last_sequence), (7, 2, 9));
        assert_eq!((state.coordinator_epoch, state.current_txn_start_offset), (-1, -1));
        assert_eq!(partition(1, Err(code::NOT_LEADER_OR_FOLLOWER)).error_code, 6);
    }
}
