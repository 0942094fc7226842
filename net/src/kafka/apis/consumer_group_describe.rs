//! ConsumerGroupDescribe (KIP-848): epochs, members, what they have and what they are to have.

use super::operations;
use crate::kafka::codec::wire::{self, StrBytes};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::{code, group_code};
use crate::kafka::repeats;
use crate::kafka::request_context::RequestContext;
use crate::shard::pace::Pace;
use core::ops::RangeInclusive;
use engine::control::View;
use engine::groups::consumer::partitions::Partitions;
use engine::groups::request::{ConsumerDescribed, ConsumerDescribedMember};
use engine::groups::{Answer, GroupError, Request};
use kafka_wire::consumer_group_describe_response::{Assignment, DescribedGroup, Member, TopicPartitions};
use kafka_wire::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};

pub struct ConsumerGroupDescribe;

/// Kafka's numbers of a member's protocol.
const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

impl Handler for ConsumerGroupDescribe {
    type Request = ConsumerGroupDescribeRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;

    fn named(request: &Self::Request) -> usize {
        request.group_ids.len()
    }

    fn merge(request: &mut Self::Request) {
        repeats::keep_first(&mut request.group_ids, StrBytes::clone);
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: ConsumerGroupDescribeRequest,
    ) -> ConsumerGroupDescribeResponse {
        let mut response = ConsumerGroupDescribeResponse::default();
        let mut pace = Pace::begin();
        for name in request.group_ids {
            pace.rest_if_late().await;
            let group = name.as_str().to_owned();
            let described = match context.groups.ask(Request::DescribeConsumer { group }).await {
                Answer::ConsumerDescribed(described) => described,
                other => panic!("a group was asked for and {other:?} answered"),
            };
            let mut group = answer(&context.view(), name, described);
            let asked = request.include_authorized_operations && group.error_code == code::NONE;
            group.authorized_operations = operations::if_asked(asked, operations::GROUP);
            response.groups.push(group);
        }
        response
    }
}

fn answer(view: &View, name: StrBytes, described: Result<ConsumerDescribed, GroupError>) -> DescribedGroup {
    let mut group = DescribedGroup::default();
    group.group_id = name;
    match described {
        Ok(described) => {
            group.group_state = described.state.into();
            group.group_epoch = described.epoch;
            group.assignment_epoch = described.assignment_epoch;
            group.assignor_name = described.assignor.into();
            group.members = described.members.into_iter().map(|member| member_of(view, member)).collect();
        }
        Err(error) => {
            group.error_code = group_code(error);
            group.error_message = Some(match error {
                GroupError::GroupIdNotFound => {
                    format!("Group {} is not a consumer group.", group.group_id).into()
                }
                other => other.to_string().into(),
            });
        }
    }
    group
}

fn member_of(view: &View, member: ConsumerDescribedMember) -> Member {
    let mut one = Member::default();
    one.member_id = (&*member.member).into();
    one.instance_id = member.instance.as_deref().map(StrBytes::from);
    one.rack_id = member.rack.as_deref().map(StrBytes::from);
    one.member_epoch = member.epoch;
    one.client_id = member.client_id.into();
    one.client_host = member.client_host.into();
    one.subscribed_topic_names = member.topics.iter().map(|topic| (&**topic).into()).collect();
    one.subscribed_topic_regex = Some(&*member.pattern).filter(|one| !one.is_empty()).map(StrBytes::from);
    one.assignment = assignment(view, &member.assigned);
    one.target_assignment = assignment(view, &member.target);
    one.member_type = if member.is_classic { CLASSIC_MEMBER } else { CONSUMER_MEMBER };
    one
}

/// Topics that are no more are left out.
fn assignment(view: &View, partitions: &Partitions) -> Assignment {
    let mut assignment = Assignment::default();
    for (id, numbers) in partitions.topics() {
        let Some(name) = view.topic_ids.get(&id) else { continue };
        let mut topic = TopicPartitions::default();
        (topic.topic_id, topic.topic_name) = (wire::uuid(id), (&**name).into());
        topic.partitions = numbers.iter().copied().collect();
        assignment.topic_partitions.push(topic);
    }
    assignment
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;

    #[test]
    fn every_version_carries_members_and_what_is_no_consumer_group() {
        let view = Cluster::new(1).with_topic("a", 2, 1).view();
        let assigned: Partitions = [(view.topics["a"].id, 1)].into_iter().collect();
        let member = ConsumerDescribedMember {
            member: "m".into(),
            instance: None,
            rack: None,
            epoch: 3,
            client_id: "c".to_owned(),
            client_host: "/10.0.0.7".to_owned(),
            topics: vec!["a".into()],
            pattern: "".into(),
            target: assigned.clone(),
            assigned,
            is_classic: false,
        };
        let (state, assignor, members) = ("Stable", "uniform", vec![member]);
        let described = ConsumerDescribed { state, epoch: 3, assignment_epoch: 3, assignor, members };
        for version in ConsumerGroupDescribe::VERSIONS {
            for described in [Ok(described.clone()), Err(GroupError::GroupIdNotFound)] {
                let mut response = ConsumerGroupDescribeResponse::default();
                response.groups.push(answer(&view, "g".into(), described));
                let mut bytes = wire::BytesMut::new();
                wire::encode(&mut bytes, &response, version).expect("it fits");
                let read: ConsumerGroupDescribeResponse = wire::decode(&bytes, version).expect("it is read");
                let group = &read.groups[0];
                assert_eq!(group.error_code == 0, group.members.len() == 1);
                for member in &group.members {
                    let topic = &member.assignment.topic_partitions[0];
                    assert_eq!((topic.topic_name.as_str(), &topic.partitions[..]), ("a", &[1][..]));
                }
            }
        }
    }
}
