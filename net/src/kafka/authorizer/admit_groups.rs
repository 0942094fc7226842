//! Groups and what they committed.

use super::admit::{Admission, Admit, take_out};
use super::judge::Judge;
use crate::kafka::apis::topics_by_id::is_unknown;
use crate::kafka::codec::wire::StrBytes;
use crate::kafka::codec::wire::delete_groups_response::DeletableGroupResult;
use crate::kafka::codec::wire::describe_groups_response::DescribedGroup;
use crate::kafka::codec::wire::find_coordinator_response::Coordinator;
use crate::kafka::codec::wire::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::kafka::codec::wire::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use crate::kafka::codec::wire::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use crate::kafka::errors::code;
use engine::control::acls::{Operation, ResourceType};
use kafka_wire::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse,
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest,
    OffsetFetchResponse, SyncGroupRequest, SyncGroupResponse,
};

const DENIED: i16 = code::GROUP_AUTHORIZATION_FAILED;
const TOPIC_DENIED: i16 = code::TOPIC_AUTHORIZATION_FAILED;
/// OffsetFetch: the first version with an error of the whole answer, and the first that names groups by a list.
const FETCH_ERROR_FROM: i16 = 2;
const FETCH_BATCHED_FROM: i16 = 8;

/// A member's requests: all of them ask to read the group.
macro_rules! of_member {
    ($request:ty, $response:ty, $response_name:ident, $also:expr) => {
        impl Admit for $request {
            fn admit(&mut self, judge: &Judge, version: i16) -> Admission<$response> {
                Admission::whole_if(judge.group(Operation::Read, &self.group_id), || {
                    let mut $response_name = <$response>::default();
                    $response_name.error_code = DENIED;
                    let also: fn(&mut $response, i16) = $also;
                    also(&mut $response_name, version);
                    $response_name
                })
            }
        }
    };
}

of_member!(JoinGroupRequest, JoinGroupResponse, response, |response, version| {
    response.generation_id = -1;
    // Not nullable before.
    response.protocol_name = (version < 7).then(StrBytes::default);
});
of_member!(HeartbeatRequest, HeartbeatResponse, response, |_, _| {});
of_member!(LeaveGroupRequest, LeaveGroupResponse, response, |_, _| {});
of_member!(SyncGroupRequest, SyncGroupResponse, response, |_, _| {});

impl Admit for DescribeGroupsRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<DescribeGroupsResponse> {
        let denied = take_out(&mut self.groups, |name| judge.group(Operation::Describe, name));
        let (asks, judge) = (self.include_authorized_operations, judge.clone());
        Admission::part(move |response: &mut DescribeGroupsResponse| {
            for group in response.groups.iter_mut().filter(|group| asks && group.error_code == code::NONE) {
                group.authorized_operations = judge.operations(ResourceType::Group, &group.group_id);
            }
            response.groups.extend(denied.into_iter().map(|name| {
                let mut group = DescribedGroup::default();
                (group.group_id, group.error_code) = (name, DENIED);
                group.error_message = None;
                group
            }));
        })
    }
}

impl Admit for ListGroupsRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<ListGroupsResponse> {
        // Who may look at the cluster sees all groups.
        let kind = ResourceType::Cluster;
        if judge.sees(Operation::Describe, kind, engine::control::acls::acl::CLUSTER_NAME) {
            return Admission::Whole;
        }
        let judge = judge.clone();
        Admission::part(move |response: &mut ListGroupsResponse| {
            let sees = |name: &str| judge.sees(Operation::Describe, ResourceType::Group, name);
            response.groups.retain(|group| sees(&group.group_id));
        })
    }
}

impl Admit for DeleteGroupsRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<DeleteGroupsResponse> {
        let denied = take_out(&mut self.groups_names, |name| judge.group(Operation::Delete, name));
        Admission::without(denied, |response: &mut DeleteGroupsResponse, denied| {
            response.results.extend(denied.into_iter().map(|name| {
                let mut result = DeletableGroupResult::default();
                (result.group_id, result.error_code) = (name, DENIED);
                result
            }));
        })
    }
}

impl Admit for FindCoordinatorRequest {
    fn admit(&mut self, judge: &Judge, version: i16) -> Admission<FindCoordinatorResponse> {
        const GROUP: i8 = 0;
        const TRANSACTION: i8 = 1;
        let kind = match self.key_type {
            GROUP => ResourceType::Group,
            TRANSACTION => ResourceType::TransactionalId,
            // Refused for itself.
            _ => return Admission::Whole,
        };
        let error_code = super::judge::refusal(kind);
        let may = |key: &StrBytes| judge.may(Operation::Describe, kind, key);
        if version >= 4 {
            let denied = take_out(&mut self.coordinator_keys, may);
            return Admission::without(denied, move |response: &mut FindCoordinatorResponse, denied| {
                response.coordinators.extend(denied.into_iter().map(|key| {
                    let mut coordinator = Coordinator::default();
                    (coordinator.key, coordinator.error_code) = (key, error_code);
                    (coordinator.node_id, coordinator.port) = (-1, -1);
                    coordinator
                }));
            });
        }
        Admission::whole_if(may(&self.key), || {
            let mut response = FindCoordinatorResponse::default();
            response.error_code = error_code;
            (response.node_id, response.port) = (-1, -1);
            response
        })
    }
}

impl Admit for OffsetCommitRequest {
    fn admit(&mut self, judge: &Judge, version: i16) -> Admission<OffsetCommitResponse> {
        let may_group = judge.group(Operation::Read, &self.group_id);
        let may_topic = |name: &str| is_unknown(version, name) || judge.topic(Operation::Read, name);
        let denied = take_out(&mut self.topics, |topic| may_group && may_topic(&topic.name));
        let error_code = if may_group { TOPIC_DENIED } else { DENIED };
        let tell =
            move |response: &mut OffsetCommitResponse,
                  denied: Vec<kafka_wire::offset_commit_request::OffsetCommitRequestTopic>| {
                response.topics.extend(denied.into_iter().map(|topic| {
                    let mut answered = OffsetCommitResponseTopic::default();
                    answered.partitions = topic
                        .partitions
                        .iter()
                        .map(|partition| {
                            let mut one = OffsetCommitResponsePartition::default();
                            (one.partition_index, one.error_code) = (partition.partition_index, error_code);
                            one
                        })
                        .collect();
                    (answered.name, answered.topic_id) = (topic.name, topic.topic_id);
                    answered
                }));
            };
        if may_group {
            return Admission::without(denied, tell);
        }
        let mut response = OffsetCommitResponse::default();
        tell(&mut response, denied);
        Admission::Denied(response)
    }
}

impl Admit for OffsetDeleteRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<OffsetDeleteResponse> {
        if !judge.group(Operation::Delete, &self.group_id) {
            let mut response = OffsetDeleteResponse::default();
            response.error_code = DENIED;
            return Admission::Denied(response);
        }
        let denied = take_out(&mut self.topics, |topic| judge.topic(Operation::Read, &topic.name));
        Admission::without(denied, |response: &mut OffsetDeleteResponse, denied| {
            response.topics.extend(denied.into_iter().map(|topic| {
                let mut answered = OffsetDeleteResponseTopic::default();
                answered.partitions = topic
                    .partitions
                    .iter()
                    .map(|partition| {
                        let mut one = OffsetDeleteResponsePartition::default();
                        (one.partition_index, one.error_code) = (partition.partition_index, TOPIC_DENIED);
                        one
                    })
                    .collect();
                answered.name = topic.name;
                answered
            }));
        })
    }
}

impl Admit for OffsetFetchRequest {
    fn admit(&mut self, judge: &Judge, version: i16) -> Admission<OffsetFetchResponse> {
        if version >= FETCH_BATCHED_FROM {
            fetch_of_groups(self, judge, version)
        } else {
            fetch_of_one(self, judge, version)
        }
    }
}

fn fetch_of_groups(
    request: &mut OffsetFetchRequest,
    judge: &Judge,
    version: i16,
) -> Admission<OffsetFetchResponse> {
    let may_topic = |name: &str| is_unknown(version, name) || judge.topic(Operation::Describe, name);
    let denied = take_out(&mut request.groups, |group| judge.group(Operation::Describe, &group.group_id));
    let mut topics_denied = Vec::new();
    for group in &mut request.groups {
        let topics = group.topics.as_mut();
        let topics = topics.map(|topics| take_out(topics, |topic| may_topic(&topic.name)));
        topics_denied.push((group.group_id.clone(), topics));
    }
    let judge = judge.clone();
    Admission::part(move |response: &mut OffsetFetchResponse| {
        for (group, (id, denied)) in response.groups.iter_mut().zip(topics_denied) {
            assert_eq!(group.group_id, id, "groups are answered in their order");
            match denied {
                // All topics were asked for: the others are not told.
                None => group
                    .topics
                    .retain(|topic| judge.sees(Operation::Describe, ResourceType::Topic, &topic.name)),
                Some(_) if group.error_code != code::NONE => {}
                Some(denied) => group.topics.extend(denied.into_iter().map(|topic| {
                    let mut answered = OffsetFetchResponseTopics::default();
                    answered.partitions =
                        topic.partition_indexes.iter().map(|number| no_offset_listed(*number)).collect();
                    (answered.name, answered.topic_id) = (topic.name, topic.topic_id);
                    answered
                })),
            }
        }
        response.groups.extend(denied.into_iter().map(|group| {
            let mut answered = OffsetFetchResponseGroup::default();
            (answered.group_id, answered.error_code) = (group.group_id, DENIED);
            answered
        }));
    })
}

fn no_offset_listed(number: i32) -> OffsetFetchResponsePartitions {
    let mut partition = OffsetFetchResponsePartitions::default();
    (partition.partition_index, partition.error_code) = (number, TOPIC_DENIED);
    (partition.committed_offset, partition.committed_leader_epoch) = (-1, -1);
    partition.metadata = Some(StrBytes::default());
    partition
}

fn no_offset(number: i32, error_code: i16) -> OffsetFetchResponsePartition {
    let mut partition = OffsetFetchResponsePartition::default();
    (partition.partition_index, partition.error_code) = (number, error_code);
    (partition.committed_offset, partition.committed_leader_epoch) = (-1, -1);
    partition.metadata = Some(StrBytes::default());
    partition
}

fn fetch_of_one(
    request: &mut OffsetFetchRequest,
    judge: &Judge,
    version: i16,
) -> Admission<OffsetFetchResponse> {
    let may_group = judge.group(Operation::Describe, &request.group_id);
    let Some(topics) = &mut request.topics else {
        if !may_group {
            let mut response = OffsetFetchResponse::default();
            response.error_code = DENIED;
            return Admission::Denied(response);
        }
        let judge = judge.clone();
        return Admission::part(move |response: &mut OffsetFetchResponse| {
            let sees = |name: &str| judge.sees(Operation::Describe, ResourceType::Topic, name);
            response.topics.retain(|topic| sees(&topic.name));
        });
    };
    let denied = take_out(topics, |topic| may_group && judge.topic(Operation::Describe, &topic.name));
    let error_code = if may_group { TOPIC_DENIED } else { DENIED };
    let tell = move |response: &mut OffsetFetchResponse,
                     denied: Vec<kafka_wire::offset_fetch_request::OffsetFetchRequestTopic>| {
        response.topics.extend(denied.into_iter().map(|topic| {
            let mut answered = OffsetFetchResponseTopic::default();
            answered.partitions =
                topic.partition_indexes.iter().map(|number| no_offset(*number, error_code)).collect();
            answered.name = topic.name;
            answered
        }));
    };
    if may_group {
        return Admission::without(denied, move |response: &mut OffsetFetchResponse, denied| {
            if response.error_code == code::NONE {
                tell(response, denied);
            }
        });
    }
    let mut response = OffsetFetchResponse::default();
    if version >= FETCH_ERROR_FROM {
        response.error_code = DENIED;
    } else {
        tell(&mut response, denied);
    }
    Admission::Denied(response)
}

#[cfg(test)]
mod tests {
    use super::super::judge::fixture::judge;
    use super::*;
    use crate::kafka::apis::admin::fixture::Cluster;
    use crate::kafka::codec::wire;
    use engine::ids::TopicId;
    use kafka_wire::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};

    fn commit() -> OffsetCommitRequest {
        let mut request = OffsetCommitRequest::default();
        request.group_id = "g".into();
        for name in ["a", "b"] {
            let mut topic = OffsetCommitRequestTopic::default();
            topic.name = name.into();
            topic.partitions = vec![OffsetCommitRequestPartition::default()];
            request.topics.push(topic);
        }
        request
    }

    #[test]
    fn a_commit_is_judged_by_its_group_and_then_by_its_topics() {
        let codes = |response: &OffsetCommitResponse| {
            let of_topic =
                |topic: &OffsetCommitResponseTopic| (topic.name.to_string(), topic.partitions[0].error_code);
            response.topics.iter().map(of_topic).collect::<Vec<_>>()
        };
        let topic = (Operation::Read, ResourceType::Topic, "a");
        let nothing = judge(Cluster::new(1), 8, &[topic]);
        let Admission::Denied(response) = commit().admit(&nothing, 9) else {
            panic!("no right to the group")
        };
        assert_eq!(codes(&response), [("a".to_owned(), 30), ("b".to_owned(), 30)]);
        let some = judge(Cluster::new(1), 8, &[topic, (Operation::Read, ResourceType::Group, "g")]);
        let mut request = commit();
        let Admission::Part(after) = request.admit(&some, 9) else { panic!("a right to one topic") };
        assert_eq!(request.topics.len(), 1);
        let mut response = OffsetCommitResponse::default();
        after(&mut response);
        assert_eq!(codes(&response), [("b".to_owned(), 29)]);
    }

    /// An id that is not there is told to be unknown, one that is there and may not be read to be denied; neither
    /// answer has a name.
    #[test]
    fn topics_by_id_are_judged_by_the_names_they_have() {
        let group = (Operation::Read, ResourceType::Group, "g");
        let some = judge(Cluster::new(1), 8, &[(Operation::Read, ResourceType::Topic, "a"), group]);
        let mut request = commit();
        for (topic, id) in request.topics.iter_mut().zip([1, 2]) {
            topic.topic_id = wire::uuid(TopicId(id));
        }
        let mut unknown = OffsetCommitRequestTopic::default();
        unknown.topic_id = wire::uuid(TopicId(3));
        request.topics.push(unknown);
        let Admission::Part(after) = request.admit(&some, 10) else { panic!("a right to one topic") };
        let left: Vec<_> = request.topics.iter().map(|topic| topic.name.as_str()).collect();
        assert_eq!(left, ["a", ""]);
        let mut response = OffsetCommitResponse::default();
        after(&mut response);
        let mut bytes = wire::BytesMut::new();
        wire::encode(&mut bytes, &response, 10).expect("it fits");
        let response: OffsetCommitResponse = wire::decode(&bytes, 10).expect("it is read");
        let denied = &response.topics[0];
        assert_eq!((denied.name.as_str(), denied.topic_id), ("", wire::uuid(TopicId(2))));
        assert_eq!(denied.partitions[0].error_code, TOPIC_DENIED);
        let by_name = judge(Cluster::new(1), 8, &[group]);
        let mut nameless = commit();
        nameless.topics[0].name = StrBytes::default();
        let Admission::Part(_) = nameless.admit(&by_name, 9) else { panic!("no right") };
        assert!(nameless.topics.is_empty(), "a name that is empty is a name where there are no ids");
    }

    #[test]
    fn offsets_of_topics_by_id_are_judged_by_the_names_they_have() {
        use kafka_wire::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
        let group = (Operation::Describe, ResourceType::Group, "g");
        let some = judge(Cluster::new(1), 9, &[(Operation::Describe, ResourceType::Topic, "a"), group]);
        let topic = |name: &str, id| {
            let mut topic = OffsetFetchRequestTopics::default();
            (topic.name, topic.topic_id) = (name.into(), wire::uuid(TopicId(id)));
            topic.partition_indexes = vec![0];
            topic
        };
        let mut asked = OffsetFetchRequestGroup::default();
        asked.group_id = "g".into();
        asked.topics = Some(vec![topic("a", 1), topic("b", 2), topic("", 3)]);
        let mut request = OffsetFetchRequest::default();
        request.groups.push(asked);
        let Admission::Part(after) = request.admit(&some, 10) else { panic!("a right to one topic") };
        let left = request.groups[0].topics.iter().flatten();
        assert_eq!(left.map(|topic| topic.name.as_str()).collect::<Vec<_>>(), ["a", ""]);
        let mut response = OffsetFetchResponse::default();
        let mut answered = OffsetFetchResponseGroup::default();
        answered.group_id = "g".into();
        response.groups.push(answered);
        after(&mut response);
        let denied = &response.groups[0].topics[0];
        assert_eq!(
            (denied.topic_id, denied.partitions[0].error_code),
            (wire::uuid(TopicId(2)), TOPIC_DENIED)
        );
    }

    #[test]
    fn groups_that_may_not_be_seen_are_not_listed() {
        let mut response = ListGroupsResponse::default();
        for name in ["g", "other"] {
            let mut group = kafka_wire::list_groups_response::ListedGroup::default();
            group.group_id = name.into();
            response.groups.push(group);
        }
        let reads = judge(Cluster::new(1), 16, &[(Operation::Read, ResourceType::Group, "g")]);
        let Admission::Part(after) = ListGroupsRequest::default().admit(&reads, 4) else { panic!("some") };
        after(&mut response);
        assert_eq!(response.groups.len(), 1);
        let cluster = (Operation::Describe, ResourceType::Cluster, "kafka-cluster");
        let all = judge(Cluster::new(1), 16, &[cluster]);
        assert!(matches!(ListGroupsRequest::default().admit(&all, 4), Admission::Whole));
    }

    #[test]
    fn a_members_requests_ask_to_read_the_group() {
        let reads = judge(Cluster::new(1), 11, &[(Operation::Read, ResourceType::Group, "g")]);
        let mut request = JoinGroupRequest::default();
        request.group_id = "g".into();
        assert!(matches!(request.admit(&reads, 9), Admission::Whole));
        request.group_id = "h".into();
        for version in [0, 6, 7, 9] {
            let Admission::Denied(response) = request.admit(&reads, version) else { panic!("denied") };
            assert_eq!(response.error_code, DENIED);
            let mut bytes = crate::kafka::codec::wire::BytesMut::new();
            crate::kafka::codec::wire::encode(&mut bytes, &response, version)
                .expect("each version carries it");
        }
    }
}
