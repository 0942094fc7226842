//! OffsetCommit: answered when the offsets are committed as records.

use super::topics_by_id;
use crate::kafka::codec::wire;
use crate::kafka::codec::wire::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::{code, group_code, group_result_code};
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::control::View;
use engine::groups::request::{Commit, Identity, NewOffset};
use engine::groups::{Answer, GroupError, Request};
use kafka_wire::{OffsetCommitRequest, OffsetCommitResponse};
use std::sync::Arc;

pub struct OffsetCommit;

/// KIP-848: the generation may be a member's epoch.
const MEMBER_EPOCHS_FROM: i16 = 9;

impl Handler for OffsetCommit {
    type Request = OffsetCommitRequest;
    const VERSIONS: RangeInclusive<i16> = 2..=10;

    fn named(request: &Self::Request) -> usize {
        request.topics.iter().map(|topic| 1 + topic.partitions.len()).sum()
    }

    fn resolve(request: &mut Self::Request, view: &View, version: i16) {
        if version >= topics_by_id::OFFSETS_FROM {
            for topic in &mut request.topics {
                topics_by_id::fill_in(view, &mut topic.name, topic.topic_id);
            }
        }
    }

    async fn handle(
        context: &Context,
        &RequestContext { version, .. }: &RequestContext,
        request: OffsetCommitRequest,
    ) -> OffsetCommitResponse {
        let offsets = known_offsets(&context.view(), version, &request);
        let commit = Commit {
            member: Identity {
                group: request.group_id.as_str().to_owned(),
                member: request.member_id.as_str().to_owned(),
                instance: wire::owned(request.group_instance_id.as_ref()),
                generation: request.generation_id_or_member_epoch,
            },
            offsets: offsets.iter().filter_map(|one| one.as_ref().ok()).cloned().collect(),
            retention_ms: Some(request.retention_time_ms).filter(|ms| *ms >= 0),
            knows_epochs: version >= MEMBER_EPOCHS_FROM,
        };
        let committed = match context.groups.ask(Request::Commit(commit)).await {
            Answer::Committed(committed) => committed,
            other => panic!("a commit was answered with {other:?}"),
        };
        answer(&request, &offsets, committed)
    }
}

/// One for each partition of the request; where there is no such partition, its error.
fn known_offsets(view: &View, version: i16, request: &OffsetCommitRequest) -> Vec<Result<NewOffset, i16>> {
    let by_id = version >= topics_by_id::OFFSETS_FROM;
    let mut offsets = Vec::new();
    for topic in &request.topics {
        // Another topic may have its name by now.
        let known = view.topics.get_key_value(topic.name.as_str());
        let known = known.filter(|(_, known)| !by_id || wire::uuid(known.id) == topic.topic_id);
        let unknown =
            if by_id && known.is_none() { code::UNKNOWN_TOPIC_ID } else { code::UNKNOWN_TOPIC_OR_PARTITION };
        for partition in &topic.partitions {
            let is_known = |partitions: usize| {
                usize::try_from(partition.partition_index).is_ok_and(|number| number < partitions)
            };
            let known = known.filter(|(_, topic)| is_known(topic.partitions.len()));
            let offset = known.map(|(name, _)| NewOffset {
                topic: Arc::clone(name),
                partition: partition.partition_index,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: wire::owned(partition.committed_metadata.as_ref()).unwrap_or_default(),
            });
            offsets.push(offset.ok_or(unknown));
        }
    }
    offsets
}

fn answer(
    request: &OffsetCommitRequest,
    offsets: &[Result<NewOffset, i16>],
    committed: Result<Vec<Result<(), GroupError>>, GroupError>,
) -> OffsetCommitResponse {
    let mut codes = committed.map(|results| results.into_iter().map(group_result_code));
    let mut offsets = offsets.iter();
    let mut response = OffsetCommitResponse::default();
    for topic in &request.topics {
        let mut answered = OffsetCommitResponseTopic::default();
        (answered.name, answered.topic_id) = (topic.name.clone(), topic.topic_id);
        for partition in &topic.partitions {
            let mut one = OffsetCommitResponsePartition::default();
            one.partition_index = partition.partition_index;
            one.error_code = match (offsets.next().expect("one for each"), &mut codes) {
                (Err(unknown), _) => *unknown,
                (Ok(_), Ok(codes)) => codes.next().expect("one for each that is known"),
                (Ok(_), Err(error)) => group_code(*error),
            };
            answered.partitions.push(one);
        }
        response.topics.push(answered);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;
    use crate::kafka::codec::wire::offset_commit_request::{
        OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    };
    use engine::ids::TopicId;

    fn request() -> OffsetCommitRequest {
        let mut request = OffsetCommitRequest::default();
        for (name, numbers) in [("gone", vec![0]), ("a", vec![0, 5, 1])] {
            let mut topic = OffsetCommitRequestTopic::default();
            topic.name = name.into();
            topic.partitions = numbers
                .into_iter()
                .map(|number| {
                    let mut partition = OffsetCommitRequestPartition::default();
                    partition.partition_index = number;
                    partition
                })
                .collect();
            request.topics.push(topic);
        }
        request
    }

    #[test]
    fn partitions_that_are_not_there_are_refused_alone() {
        let view = Cluster::new(1).with_topic("a", 1, 2).view();
        let request = request();
        let offsets = known_offsets(&view, 9, &request);
        let known: Vec<bool> = offsets.iter().map(Result::is_ok).collect();
        assert_eq!(known, [false, true, false, true]);
        let codes = |committed| {
            let response = answer(&request, &offsets, committed);
            let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
            partitions.map(|partition| partition.error_code).collect::<Vec<_>>()
        };
        let committed = Ok(vec![Ok(()), Err(GroupError::OffsetMetadataTooLarge)]);
        assert_eq!(codes(committed), [3, 0, 3, 12]);
        assert_eq!(codes(Err(GroupError::IllegalGeneration)), [3, 22, 3, 22]);
    }

    #[test]
    fn topics_of_the_newest_version_have_ids_and_their_answers_too() {
        let view = Cluster::new(1).with_topic("a", 7, 1).view();
        let mut sent = request();
        sent.topics[0].topic_id = wire::uuid(TopicId(6));
        sent.topics[1].topic_id = wire::uuid(TopicId(7));
        let mut bytes = wire::BytesMut::new();
        wire::encode(&mut bytes, &sent, 10).expect("it fits");
        let mut request: OffsetCommitRequest = wire::decode(&bytes, 10).expect("it is read");
        OffsetCommit::resolve(&mut request, &view, 10);
        let names: Vec<_> = request.topics.iter().map(|topic| topic.name.as_str()).collect();
        assert_eq!(names, ["", "a"]);
        let of = |view: &View| {
            let offsets = known_offsets(view, 10, &request);
            let committed = Ok(offsets.iter().filter(|one| one.is_ok()).map(|_| Ok(())).collect());
            let mut bytes = wire::BytesMut::new();
            wire::encode(&mut bytes, &answer(&request, &offsets, committed), 10).expect("it fits");
            let response: OffsetCommitResponse = wire::decode(&bytes, 10).expect("it is read");
            let ids: Vec<_> = response.topics.iter().map(|topic| wire::topic_id(topic.topic_id).0).collect();
            assert_eq!(ids, [6, 7]);
            assert!(response.topics.iter().all(|topic| topic.name.is_empty()), "no answer tells a name");
            let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
            partitions.map(|partition| partition.error_code).collect::<Vec<_>>()
        };
        assert_eq!(of(&view), [100, 0, 3, 3]);
        // The name is another topic's by the time that the offsets are committed.
        assert_eq!(of(&Cluster::new(1).with_topic("a", 8, 1).view()), [100, 100, 100, 100]);
    }
}
