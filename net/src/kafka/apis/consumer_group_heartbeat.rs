//! ConsumerGroupHeartbeat (KIP-848): how a member of the consumer protocol comes, stays, goes, and is
//! told its partitions.

use crate::kafka::authorizer::Judge;
use crate::kafka::codec::wire::{self, StrBytes};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::{code, group_code};
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::groups::consumer::partitions::Partitions;
use engine::groups::request::{Beat, ConsumerHeartbeat};
use engine::groups::{Answer, GroupError, Request};
use kafka_wire::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_wire::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

pub struct ConsumerGroupHeartbeat;

/// From here on a member makes its id itself, and may subscribe by an expression.
const OWN_ID_FROM: i16 = 1;

impl Handler for ConsumerGroupHeartbeat {
    type Request = ConsumerGroupHeartbeatRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;

    fn named(request: &Self::Request) -> usize {
        let owned = request.topic_partitions.iter().flatten().map(|topic| 1 + topic.partitions.len());
        request.subscribed_topic_names.as_ref().map_or(0, Vec::len) + owned.sum::<usize>()
    }

    async fn handle(
        context: &Context,
        asked: &RequestContext,
        request: ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        let joins = request.member_epoch == 0 && request.member_id.is_empty();
        if joins && asked.version >= OWN_ID_FROM {
            return refuse(GroupError::InvalidRequest("MemberId can't be empty."));
        }
        let mut beat = heartbeat_of(asked, request);
        if joins {
            beat.member = format!("{:032x}", context.new_topic_id().0);
        }
        beat.sees = Judge::of(context, asked, "ConsumerGroupHeartbeat").map(|judge| judge.sees_topics());
        match context.groups.ask(Request::ConsumerHeartbeat(beat)).await {
            Answer::Beat(Ok(beat)) => told(beat),
            Answer::Beat(Err(error)) => refuse(error),
            other => panic!("a heartbeat was answered with {other:?}"),
        }
    }
}

fn heartbeat_of(asked: &RequestContext, request: ConsumerGroupHeartbeatRequest) -> ConsumerHeartbeat {
    let names = |names: Vec<StrBytes>| names.iter().map(|name| name.as_str().to_owned()).collect();
    let owned = request.topic_partitions.map(|topics| {
        let of = |topic: &kafka_wire::consumer_group_heartbeat_request::TopicPartitions| {
            let id = wire::topic_id(topic.topic_id);
            topic.partitions.iter().map(move |number| (id, *number)).collect::<Vec<_>>()
        };
        topics.iter().flat_map(of).collect::<Partitions>()
    });
    ConsumerHeartbeat {
        group: request.group_id.as_str().to_owned(),
        member: request.member_id.as_str().to_owned(),
        epoch: request.member_epoch,
        instance: wire::owned(request.instance_id.as_ref()),
        rack: wire::owned(request.rack_id.as_ref()),
        client_id: asked.client_id.to_string(),
        client_host: asked.host(),
        rebalance_timeout_ms: Some(request.rebalance_timeout_ms).filter(|ms| *ms != -1),
        topics: request.subscribed_topic_names.map(names),
        pattern: wire::owned(request.subscribed_topic_regex.as_ref()),
        assignor: wire::owned(request.server_assignor.as_ref()),
        owned,
        sees: None,
    }
}

fn told(beat: Beat) -> ConsumerGroupHeartbeatResponse {
    let mut response = ConsumerGroupHeartbeatResponse::default();
    response.member_id = Some((&*beat.member).into());
    response.member_epoch = beat.epoch;
    response.heartbeat_interval_ms = beat.interval_ms;
    response.assignment = beat.assignment.map(|assigned| {
        let mut assignment = Assignment::default();
        assignment.topic_partitions = assigned
            .topics()
            .map(|(id, numbers)| {
                let mut topic = TopicPartitions::default();
                topic.topic_id = wire::uuid(id);
                topic.partitions = numbers.iter().copied().collect();
                topic
            })
            .collect();
        assignment
    });
    response
}

fn refuse(error: GroupError) -> ConsumerGroupHeartbeatResponse {
    let mut response = ConsumerGroupHeartbeatResponse::default();
    response.error_code = group_code(error);
    response.error_message = (response.error_code != code::NONE).then(|| error.to_string().into());
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::ids::TopicId;

    #[test]
    fn every_version_carries_an_assignment_and_a_refusal() {
        let assignment: Partitions =
            [(TopicId(7), 0), (TopicId(7), 3), (TopicId(9), 1)].into_iter().collect();
        let beat = Beat { member: "m".into(), epoch: 4, interval_ms: 5_000, assignment: Some(assignment) };
        for version in ConsumerGroupHeartbeat::VERSIONS {
            for response in [told(beat.clone()), refuse(GroupError::FencedMemberEpoch)] {
                let mut bytes = wire::BytesMut::new();
                wire::encode(&mut bytes, &response, version).expect("it fits");
                let read: ConsumerGroupHeartbeatResponse = wire::decode(&bytes, version).expect("it is read");
                assert_eq!(read, response);
            }
        }
        assert_eq!(refuse(GroupError::FencedMemberEpoch).error_code, 110);
    }

    #[test]
    fn what_is_not_said_is_none() {
        let asked = RequestContext::sample(68, 1);
        let mut request = ConsumerGroupHeartbeatRequest::default();
        request.rebalance_timeout_ms = -1;
        let beat = heartbeat_of(&asked, request.clone());
        assert_eq!((beat.rebalance_timeout_ms, beat.topics, beat.owned), (None, None, None));
        assert_eq!((beat.client_id.as_str(), beat.client_host.as_str()), ("me", "/10.0.0.7"));
        let mut topic = kafka_wire::consumer_group_heartbeat_request::TopicPartitions::default();
        topic.topic_id = wire::uuid(TopicId(7));
        topic.partitions = vec![2];
        request.topic_partitions = Some(vec![topic]);
        assert!(heartbeat_of(&asked, request).owned.expect("said").contains((TopicId(7), 2)));
    }
}
