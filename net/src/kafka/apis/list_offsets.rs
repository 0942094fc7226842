//! ListOffsets: the earliest, the latest, and offsets by time.

use super::admin;
use crate::kafka::codec::wire::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::{code, refusal_code};
use crate::kafka::request_context::RequestContext;
use crate::shard::results::{QueryResult, Question};
use core::ops::RangeInclusive;
use engine::port::{Answer, QueryKind};
use kafka_wire::{ListOffsetsRequest, ListOffsetsResponse};

pub struct ListOffsets;

impl Handler for ListOffsets {
    type Request = ListOffsetsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=7;

    fn named(request: &Self::Request) -> usize {
        request.topics.iter().map(|topic| 1 + topic.partitions.len()).sum()
    }

    async fn handle(
        context: &Context,
        &RequestContext { version, .. }: &RequestContext,
        request: ListOffsetsRequest,
    ) -> ListOffsetsResponse {
        let view = context.view();
        let named = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|wanted| (topic.name.as_str(), wanted.partition_index))
        });
        let repeated = admin::repeated(named);
        let mut questions = Vec::new();
        // One for each partition wanted: its question's number, or the error.
        let mut asked = Vec::new();
        for topic in &request.topics {
            let known = view.topics.get(topic.name.as_str());
            for wanted in &topic.partitions {
                let number = usize::try_from(wanted.partition_index).ok();
                let found = known.and_then(|topic| topic.partitions.get(number?));
                let is_repeated = repeated.contains(&(topic.name.as_str(), wanted.partition_index));
                asked.push(match (found, kind(wanted.timestamp, version)) {
                    _ if is_repeated => Err(code::INVALID_REQUEST),
                    (None, _) => Err(code::UNKNOWN_TOPIC_OR_PARTITION),
                    (_, None) => Err(code::UNSUPPORTED_VERSION),
                    (Some(found), Some(kind)) => {
                        let leader_epoch = wanted.current_leader_epoch;
                        questions.push(Question { partition: found.id, leader_epoch, kind });
                        Ok(questions.len() - 1)
                    }
                });
            }
        }
        let answers = context.query(&questions).await;
        let mut asked = asked.into_iter();
        let mut response = ListOffsetsResponse::default();
        for topic in request.topics {
            let mut answered = ListOffsetsTopicResponse::default();
            for wanted in &topic.partitions {
                let outcome = asked.next().expect("one for each partition").map(|at| &answers[at]);
                answered.partitions.push(partition(version, wanted.partition_index, outcome));
            }
            answered.name = topic.name;
            response.topics.push(answered);
        }
        response
    }
}

/// What a timestamp asks for; `None` for those that Kafka knows and this broker does not.
fn kind(timestamp: i64, version: i16) -> Option<QueryKind> {
    match timestamp {
        -1 => Some(QueryKind::Latest),
        -2 => Some(QueryKind::Earliest),
        -3 if version >= 7 => Some(QueryKind::MaxTimestamp),
        0.. => Some(QueryKind::AtTime(timestamp)),
        _ => None,
    }
}

fn partition(version: i16, number: i32, outcome: Result<&QueryResult, i16>) -> ListOffsetsPartitionResponse {
    let mut partition = ListOffsetsPartitionResponse::default();
    partition.partition_index = number;
    (partition.offset, partition.timestamp, partition.leader_epoch) = (-1, -1, -1);
    match outcome {
        Ok(Ok(Answer::Offset { offset, timestamp_ms, leader_epoch })) => {
            (partition.offset, partition.timestamp) = (offset.0, *timestamp_ms);
            // Older versions have no place for it.
            partition.leader_epoch = if version >= 4 { leader_epoch.0 } else { -1 };
        }
        Ok(Ok(other)) => panic!("an offset was asked for and {other:?} answered"),
        Ok(Err(refusal)) => partition.error_code = refusal_code(*refusal),
        Err(error_code) => partition.error_code = error_code,
    }
    partition
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::codec::wire;
    use engine::ids::{LeaderEpoch, Offset};

    #[test]
    fn every_version_carries_an_answer() {
        let answer: QueryResult =
            Ok(Answer::Offset { offset: Offset(5), timestamp_ms: 6, leader_epoch: LeaderEpoch(7) });
        for version in ListOffsets::VERSIONS {
            let mut topic = ListOffsetsTopicResponse::default();
            topic.partitions = vec![partition(version, 1, Ok(&answer)), partition(version, 2, Err(3))];
            let mut response = ListOffsetsResponse::default();
            response.topics = vec![topic];
            let mut bytes = wire::BytesMut::new();
            wire::encode(&mut bytes, &response, version).expect("encodes");
            let back: ListOffsetsResponse = wire::decode(&bytes, version).expect("decodes");
            let partitions = &back.topics[0].partitions;
            assert_eq!((partitions[0].offset, partitions[1].error_code), (5, 3));
        }
    }

    #[test]
    fn three_timestamps_are_not_times() {
        assert_eq!(kind(-1, 1), Some(QueryKind::Latest));
        assert_eq!(kind(-2, 1), Some(QueryKind::Earliest));
        assert_eq!(kind(-3, 7), Some(QueryKind::MaxTimestamp));
        assert_eq!(kind(-3, 6), None);
        assert_eq!(kind(-4, 7), None);
        assert_eq!(kind(0, 1), Some(QueryKind::AtTime(0)));
    }
}
