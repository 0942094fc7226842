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
use engine::ids::{LeaderEpoch, Offset};
use engine::port::{Answer, QueryKind};
use kafka_wire::{ListOffsetsRequest, ListOffsetsResponse};

pub struct ListOffsets;

impl Handler for ListOffsets {
    type Request = ListOffsetsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=11;

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
        let is_committed = request.isolation_level == 1;
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
                    (Some(found), Some((kind, is_elsewhere))) => {
                        let (partition, leader_epoch) = (found.id, wanted.current_leader_epoch);
                        let (kind, bound) = if is_committed { bounded(kind) } else { (kind, None) };
                        let first = questions.len();
                        let kinds = [kind].into_iter().chain(bound);
                        questions.extend(kinds.map(|kind| Question { partition, leader_epoch, kind }));
                        Ok((first, bound.map(|_| first + 1), is_elsewhere))
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
                let outcome = asked.next().expect("one for each partition");
                let outcome = outcome.map(|(at, bound, is_elsewhere)| match &answers[at] {
                    Ok(_) if is_elsewhere => Ok(no_offset()),
                    answer => below(answer, bound.map(|at| &answers[at])),
                });
                answered.partitions.push(partition(
                    version,
                    wanted.partition_index,
                    outcome.as_ref().map_err(|code| *code),
                ));
            }
            answered.name = topic.name;
            response.topics.push(answered);
        }
        response
    }
}

/// What a timestamp asks for, and whether it is about what is kept elsewhere, where nothing is: then the question only
/// finds out who leads. `None` for one that the version does not know.
fn kind(timestamp: i64, version: i16) -> Option<(QueryKind, bool)> {
    match timestamp {
        -1 => Some((QueryKind::Latest, false)),
        -2 => Some((QueryKind::Earliest, false)),
        -3 if version >= 7 => Some((QueryKind::MaxTimestamp, false)),
        // The earliest that is on a broker's own disk: all is.
        -4 if version >= 8 => Some((QueryKind::Earliest, false)),
        // The latest that was moved elsewhere, and the earliest that waits for it.
        -5 if version >= 9 => Some((QueryKind::Earliest, true)),
        -6 if version >= 11 => Some((QueryKind::Earliest, true)),
        0.. => Some((QueryKind::AtTime(timestamp), false)),
        _ => None,
    }
}

fn no_offset() -> Answer {
    Answer::Offset { offset: Offset(-1), timestamp_ms: -1, leader_epoch: LeaderEpoch(-1) }
}

/// What who reads only what is committed asks instead, and what bounds the answer.
fn bounded(kind: QueryKind) -> (QueryKind, Option<QueryKind>) {
    match kind {
        QueryKind::Latest => (QueryKind::Stable, None),
        QueryKind::AtTime(_) | QueryKind::MaxTimestamp => (kind, Some(QueryKind::Stable)),
        other => (other, None),
    }
}

/// An answer that lies below the stable offset, or that there is none.
fn below(answer: &QueryResult, stable: Option<&QueryResult>) -> QueryResult {
    match (answer, stable) {
        (Ok(Answer::Offset { offset, .. }), Some(Ok(Answer::Offset { offset: stable, .. })))
            if offset >= stable =>
        {
            Ok(no_offset())
        }
        (Ok(_), Some(Err(refusal))) => Err(*refusal),
        _ => answer.clone(),
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
    use engine::port::Refusal;

    #[test]
    fn who_reads_what_is_committed_is_told_of_nothing_above() {
        let at = |offset| {
            Ok(Answer::Offset { offset: Offset(offset), timestamp_ms: 6, leader_epoch: LeaderEpoch(7) })
        };
        assert_eq!(bounded(QueryKind::Latest), (QueryKind::Stable, None));
        assert_eq!(bounded(QueryKind::AtTime(5)).1, Some(QueryKind::Stable));
        assert_eq!(below(&at(4), Some(&at(5))), at(4));
        assert!(matches!(below(&at(5), Some(&at(5))), Ok(Answer::Offset { offset: Offset(-1), .. })));
        assert_eq!(below(&at(5), None), at(5));
        let refused = Err(Refusal::NotLeader);
        assert_eq!(
            (below(&at(5), Some(&refused)), below(&refused, Some(&at(5)))),
            (refused.clone(), refused.clone())
        );
    }

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
    fn six_timestamps_are_not_times() {
        assert_eq!(kind(-1, 1), Some((QueryKind::Latest, false)));
        assert_eq!(kind(-2, 1), Some((QueryKind::Earliest, false)));
        assert_eq!(kind(0, 1), Some((QueryKind::AtTime(0), false)));
        // Each from the version on that has it.
        for (timestamp, from, expected) in [
            (-3, 7, (QueryKind::MaxTimestamp, false)),
            (-4, 8, (QueryKind::Earliest, false)),
            (-5, 9, (QueryKind::Earliest, true)),
            (-6, 11, (QueryKind::Earliest, true)),
        ] {
            assert_eq!((kind(timestamp, from - 1), kind(timestamp, from)), (None, Some(expected)));
        }
        assert_eq!(kind(-7, 11), None);
    }
}
