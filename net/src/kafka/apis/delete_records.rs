//! DeleteRecords: moves log starts; answered when that is committed.

use super::partition_questions::{PartitionQuestions, find_partition};
use crate::kafka::codec::wire::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::repeats;
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::control::{View, names};
use engine::ids::PartitionId;
use engine::port::{Answer, QueryKind};
use kafka_wire::{DeleteRecordsRequest, DeleteRecordsResponse};

pub struct DeleteRecords;

/// "Up to the high watermark".
const TO_HIGH_WATERMARK: i64 = -1;

impl Handler for DeleteRecords {
    type Request = DeleteRecordsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;

    fn named(request: &Self::Request) -> usize {
        request.topics.iter().map(|topic| 1 + topic.partitions.len()).sum()
    }

    fn merge(request: &mut Self::Request) {
        // The last one counts, as in Kafka.
        request.topics.reverse();
        request.topics.iter_mut().for_each(|topic| topic.partitions.reverse());
        repeats::keep_first_partitions(
            &mut request.topics,
            |topic| (topic.name.clone(), &mut topic.partitions),
            |one| one.partition_index,
        );
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: DeleteRecordsRequest,
    ) -> DeleteRecordsResponse {
        let view = context.view();
        let mut questions = PartitionQuestions::default();
        for topic in &request.topics {
            for wanted in &topic.partitions {
                match check(&view, &topic.name, wanted.partition_index, wanted.offset) {
                    Ok(partition) => questions.ask(partition, QueryKind::DeleteBefore(wanted.offset)),
                    Err(code) => questions.refuse(code),
                }
            }
        }
        let mut answers = questions.answers(context).await;
        let mut response = DeleteRecordsResponse::default();
        for topic in request.topics {
            let mut result = DeleteRecordsTopicResult::default();
            for wanted in &topic.partitions {
                let answer = answers.next().expect("one for each partition");
                result.partitions.push(partition(wanted.partition_index, answer));
            }
            result.name = topic.name;
            response.topics.push(result);
        }
        response
    }
}

fn check(view: &View, topic: &str, number: i32, offset: i64) -> Result<PartitionId, i16> {
    if names::is_internal(topic) {
        return Err(code::INVALID_TOPIC_EXCEPTION);
    }
    let partition = find_partition(view, topic, number)?;
    if offset < TO_HIGH_WATERMARK { Err(code::OFFSET_OUT_OF_RANGE) } else { Ok(partition) }
}

fn partition(number: i32, answer: Result<Answer, i16>) -> DeleteRecordsPartitionResult {
    let mut result = DeleteRecordsPartitionResult::default();
    result.partition_index = number;
    result.low_watermark = -1;
    match answer {
        Ok(Answer::LogStart(offset)) => result.low_watermark = offset.0,
        Ok(other) => panic!("a log start was asked for and {other:?} answered"),
        Err(code) => result.error_code = code,
    }
    result
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;
    use engine::ids::Offset;

    #[test]
    fn what_cannot_be_deleted_is_refused_before_the_engine_is_asked() {
        let view = Cluster::new(1).with_topic("a", 1, 1).with_topic("__consumer_offsets", 2, 1).view();
        assert_eq!(check(&view, "a", 0, -1), Ok(PartitionId(1)));
        assert_eq!(check(&view, "a", 0, 7), Ok(PartitionId(1)));
        assert_eq!(check(&view, "a", 0, -2), Err(code::OFFSET_OUT_OF_RANGE));
        assert_eq!(check(&view, "a", 1, 0), Err(code::UNKNOWN_TOPIC_OR_PARTITION));
        assert_eq!(check(&view, "__consumer_offsets", 0, 0), Err(code::INVALID_TOPIC_EXCEPTION));
    }

    #[test]
    fn an_error_has_no_low_watermark() {
        assert_eq!(partition(3, Ok(Answer::LogStart(Offset(9)))).low_watermark, 9);
        let failed = partition(3, Err(code::NOT_LEADER_OR_FOLLOWER));
        assert_eq!((failed.low_watermark, failed.error_code), (-1, code::NOT_LEADER_OR_FOLLOWER));
    }
}
