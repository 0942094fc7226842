//! Groups of the consumer protocol: members and who looks at them.

use super::admit::{Admission, Admit, take_out};
use super::judge::Judge;
use crate::kafka::errors::code;
use engine::control::acls::{Operation, ResourceType};
use kafka_wire::consumer_group_describe_response::DescribedGroup;
use kafka_wire::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
};

const DENIED: i16 = code::GROUP_AUTHORIZATION_FAILED;
const TOPIC_DENIED: i16 = code::TOPIC_AUTHORIZATION_FAILED;

impl Admit for ConsumerGroupHeartbeatRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<ConsumerGroupHeartbeatResponse> {
        let denied = |error_code| {
            let mut response = ConsumerGroupHeartbeatResponse::default();
            response.error_code = error_code;
            Admission::Denied(response)
        };
        if !judge.group(Operation::Read, &self.group_id) {
            return denied(DENIED);
        }
        let mut named = self.subscribed_topic_names.iter().flatten();
        // What an expression finds is judged when it is matched.
        if !named.all(|name| judge.topic(Operation::Describe, name)) {
            return denied(TOPIC_DENIED);
        }
        Admission::Whole
    }
}

impl Admit for ConsumerGroupDescribeRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<ConsumerGroupDescribeResponse> {
        let denied = take_out(&mut self.group_ids, |name| judge.group(Operation::Describe, name));
        let (asks, judge) = (self.include_authorized_operations, judge.clone());
        Admission::part(move |response: &mut ConsumerGroupDescribeResponse| {
            for group in &mut response.groups {
                hide_topics(group, &judge);
                if asks && group.error_code == code::NONE {
                    group.authorized_operations = judge.operations(ResourceType::Group, &group.group_id);
                }
            }
            response.groups.extend(denied.into_iter().map(|name| {
                let mut group = DescribedGroup::default();
                (group.group_id, group.error_code) = (name, DENIED);
                group
            }));
        })
    }
}

/// A group with topics that who asks may not know of is not told at all, as in Kafka.
fn hide_topics(group: &mut DescribedGroup, judge: &Judge) {
    let topics = group.members.iter().flat_map(|member| {
        member.assignment.topic_partitions.iter().chain(&member.target_assignment.topic_partitions)
    });
    let mut names = topics.map(|topic| &topic.topic_name);
    if names.any(|name| !judge.topic(Operation::Describe, name)) {
        group.error_code = TOPIC_DENIED;
        group.error_message =
            Some("The group has described topic(s) that the client is not authorized to describe.".into());
        group.members.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::fixture::judge;
    use super::*;
    use crate::kafka::apis::admin::fixture::Cluster;
    use kafka_wire::consumer_group_describe_response::{Member, TopicPartitions};

    #[test]
    fn a_member_needs_its_group_and_every_topic_that_it_names() {
        let group = (Operation::Read, ResourceType::Group, "g");
        let topic = (Operation::Describe, ResourceType::Topic, "a");
        let code = |rights: &[_], topics: &[&str]| {
            let mut request = ConsumerGroupHeartbeatRequest::default();
            request.group_id = "g".into();
            request.subscribed_topic_names = Some(topics.iter().map(|&name| name.into()).collect());
            match request.admit(&judge(Cluster::new(1), 68, rights), 1) {
                Admission::Denied(response) => response.error_code,
                _ => code::NONE,
            }
        };
        assert_eq!(code(&[topic], &["a"]), DENIED);
        assert_eq!(code(&[group, topic], &["a", "b"]), TOPIC_DENIED);
        assert_eq!(code(&[group, topic], &["a"]), code::NONE);
    }

    #[test]
    fn a_group_with_topics_that_may_not_be_seen_is_not_told() {
        let rights = [
            (Operation::Describe, ResourceType::Group, "g"),
            (Operation::Describe, ResourceType::Topic, "a"),
        ];
        let described = |topic: &str| {
            let mut request = ConsumerGroupDescribeRequest::default();
            request.group_ids = vec!["g".into(), "h".into()];
            let Admission::Part(after) = request.admit(&judge(Cluster::new(1), 69, &rights), 1) else {
                panic!("a part")
            };
            let mut group = DescribedGroup::default();
            let (mut member, mut partitions) = (Member::default(), TopicPartitions::default());
            partitions.topic_name = topic.into();
            member.assignment.topic_partitions.push(partitions);
            group.members.push(member);
            let mut response = ConsumerGroupDescribeResponse::default();
            response.groups.push(group);
            after(&mut response);
            response.groups.iter().map(|group| (group.error_code, group.members.len())).collect::<Vec<_>>()
        };
        assert_eq!(described("a"), [(0, 1), (DENIED, 0)]);
        assert_eq!(described("b"), [(TOPIC_DENIED, 0), (DENIED, 0)]);
    }
}
