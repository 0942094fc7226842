//! OffsetForLeaderEpoch: where the records of an epoch end.

use crate::kafka::codec::wire::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::{code, refusal_code};
use crate::kafka::repeats;
use crate::kafka::request_context::RequestContext;
use crate::shard::results::{QueryResult, Question};
use core::ops::RangeInclusive;
use engine::port::{Answer, QueryKind};
use kafka_wire::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

pub struct OffsetForLeaderEpoch;

impl Handler for OffsetForLeaderEpoch {
    type Request = OffsetForLeaderEpochRequest;
    const VERSIONS: RangeInclusive<i16> = 2..=4;

    fn named(request: &Self::Request) -> usize {
        request.topics.iter().map(|topic| 1 + topic.partitions.len()).sum()
    }

    fn merge(request: &mut Self::Request) {
        repeats::keep_first_partitions(
            &mut request.topics,
            |topic| (topic.topic.clone(), &mut topic.partitions),
            |one| one.partition,
        );
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: OffsetForLeaderEpochRequest,
    ) -> OffsetForLeaderEpochResponse {
        let view = context.view();
        let mut questions = Vec::new();
        // One for each partition wanted: its question's number, or none when it is unknown.
        let mut asked = Vec::new();
        for topic in &request.topics {
            let known = view.topics.get(topic.topic.as_str());
            for wanted in &topic.partitions {
                let number = usize::try_from(wanted.partition).ok();
                let found = known.and_then(|topic| topic.partitions.get(number?));
                asked.push(found.map(|found| {
                    let kind = QueryKind::EpochEnd(wanted.leader_epoch);
                    let leader_epoch = wanted.current_leader_epoch;
                    questions.push(Question { partition: found.id, leader_epoch, kind });
                    questions.len() - 1
                }));
            }
        }
        let answers = context.query(&questions).await;
        let mut asked = asked.into_iter();
        let mut response = OffsetForLeaderEpochResponse::default();
        for topic in request.topics {
            let mut answered = OffsetForLeaderTopicResult::default();
            for wanted in &topic.partitions {
                let answer = asked.next().expect("one for each partition").map(|at| &answers[at]);
                answered.partitions.push(partition(wanted.partition, answer));
            }
            answered.topic = topic.topic;
            response.topics.push(answered);
        }
        response
    }
}

fn partition(number: i32, answer: Option<&QueryResult>) -> EpochEndOffset {
    let mut partition = EpochEndOffset::default();
    partition.partition = number;
    (partition.leader_epoch, partition.end_offset) = (-1, -1);
    match answer {
        Some(Ok(Answer::EpochEnd { leader_epoch, end_offset })) => {
            (partition.leader_epoch, partition.end_offset) = (leader_epoch.0, end_offset.0);
        }
        Some(Ok(other)) => panic!("an epoch's end was asked for and {other:?} answered"),
        Some(Err(refusal)) => partition.error_code = refusal_code(*refusal),
        None => partition.error_code = code::UNKNOWN_TOPIC_OR_PARTITION,
    }
    partition
}
