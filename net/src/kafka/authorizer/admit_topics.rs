//! Topics and their records, named one by one. Metadata, which names them all, has a file of its own.

use super::admit::{Admission, Admit, take_out};
use super::judge::Judge;
use crate::kafka::codec::wire::create_partitions_response::CreatePartitionsTopicResult;
use crate::kafka::codec::wire::create_topics_response::CreatableTopicResult;
use crate::kafka::codec::wire::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use crate::kafka::codec::wire::delete_topics_response::DeletableTopicResult;
use crate::kafka::codec::wire::describe_producers_response::{PartitionResponse, TopicResponse};
use crate::kafka::codec::wire::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use crate::kafka::codec::wire::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use crate::kafka::codec::wire::{self, StrBytes, Uuid};
use crate::kafka::errors::code;
use engine::control::acls::acl::CLUSTER_NAME;
use engine::control::acls::{Operation, ResourceType};
use kafka_wire::delete_topics_request::DeleteTopicState;
use kafka_wire::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
    DescribeProducersRequest, DescribeProducersResponse, ListOffsetsRequest, ListOffsetsResponse,
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};

const DENIED: i16 = code::TOPIC_AUTHORIZATION_FAILED;
const WORDS: &str = "Authorization failed.";

impl Admit for ListOffsetsRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<ListOffsetsResponse> {
        let denied = take_out(&mut self.topics, |topic| judge.topic(Operation::Describe, &topic.name));
        Admission::without(denied, |response: &mut ListOffsetsResponse, denied| {
            response.topics.extend(denied.into_iter().map(|topic| {
                let mut answered = ListOffsetsTopicResponse::default();
                let partition = |number| {
                    let mut one = ListOffsetsPartitionResponse::default();
                    (one.partition_index, one.error_code) = (number, DENIED);
                    (one.offset, one.timestamp, one.leader_epoch) = (-1, -1, -1);
                    one
                };
                answered.partitions =
                    topic.partitions.iter().map(|one| partition(one.partition_index)).collect();
                answered.name = topic.name;
                answered
            }));
        })
    }
}

impl Admit for OffsetForLeaderEpochRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<OffsetForLeaderEpochResponse> {
        if judge.sees(Operation::ClusterAction, ResourceType::Cluster, CLUSTER_NAME) {
            return Admission::Whole;
        }
        let denied = take_out(&mut self.topics, |topic| judge.topic(Operation::Describe, &topic.topic));
        Admission::without(denied, |response: &mut OffsetForLeaderEpochResponse, denied| {
            response.topics.extend(denied.into_iter().map(|topic| {
                let mut answered = OffsetForLeaderTopicResult::default();
                let partition = |number| {
                    let mut one = EpochEndOffset::default();
                    (one.partition, one.error_code) = (number, DENIED);
                    (one.leader_epoch, one.end_offset) = (-1, -1);
                    one
                };
                answered.partitions = topic.partitions.iter().map(|one| partition(one.partition)).collect();
                answered.topic = topic.topic;
                answered
            }));
        })
    }
}

impl Admit for DescribeProducersRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<DescribeProducersResponse> {
        let denied = take_out(&mut self.topics, |topic| judge.topic(Operation::Read, &topic.name));
        Admission::without(denied, |response: &mut DescribeProducersResponse, denied| {
            response.topics.extend(denied.into_iter().map(|topic| {
                let mut answered = TopicResponse::default();
                let partition = |number: &i32| {
                    let mut one = PartitionResponse::default();
                    (one.partition_index, one.error_code, one.error_message) = (*number, DENIED, None);
                    one
                };
                answered.partitions = topic.partition_indexes.iter().map(partition).collect();
                answered.name = topic.name;
                answered
            }));
        })
    }
}

impl Admit for DeleteRecordsRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<DeleteRecordsResponse> {
        let denied = take_out(&mut self.topics, |topic| judge.topic(Operation::Delete, &topic.name));
        Admission::without(denied, |response: &mut DeleteRecordsResponse, denied| {
            response.topics.extend(denied.into_iter().map(|topic| {
                let mut answered = DeleteRecordsTopicResult::default();
                let partition = |number| {
                    let mut one = DeleteRecordsPartitionResult::default();
                    (one.partition_index, one.error_code, one.low_watermark) = (number, DENIED, -1);
                    one
                };
                answered.partitions =
                    topic.partitions.iter().map(|one| partition(one.partition_index)).collect();
                answered.name = topic.name;
                answered
            }));
        })
    }
}

impl Admit for CreateTopicsRequest {
    fn admit(&mut self, judge: &Judge, version: i16) -> Admission<CreateTopicsResponse> {
        let may_all = judge.sees(Operation::Create, ResourceType::Cluster, CLUSTER_NAME);
        let denied =
            take_out(&mut self.topics, |topic| may_all || judge.topic(Operation::Create, &topic.name));
        let judge = judge.clone();
        Admission::part(move |response: &mut CreateTopicsResponse| {
            for topic in response.topics.iter_mut().filter(|topic| topic.error_code == code::NONE) {
                if !judge.sees(Operation::DescribeConfigs, ResourceType::Topic, &topic.name) {
                    topic.configs = if version >= 5 { Some(Vec::new()) } else { topic.configs.take() };
                    (topic.num_partitions, topic.replication_factor) = (-1, -1);
                    topic.topic_config_error_code = DENIED;
                }
            }
            response.topics.extend(denied.into_iter().map(|topic| {
                let mut result = CreatableTopicResult::default();
                (result.name, result.error_code) = (topic.name, DENIED);
                result.error_message = Some(WORDS.into());
                (result.num_partitions, result.replication_factor) = (-1, -1);
                result
            }));
        })
    }
}

impl Admit for CreatePartitionsRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<CreatePartitionsResponse> {
        let denied = take_out(&mut self.topics, |topic| judge.topic(Operation::Alter, &topic.name));
        Admission::without(denied, |response: &mut CreatePartitionsResponse, denied| {
            response.results.extend(denied.into_iter().map(|topic| {
                let mut result = CreatePartitionsTopicResult::default();
                (result.name, result.error_code) = (topic.name, DENIED);
                result.error_message = Some(WORDS.into());
                result
            }));
        })
    }
}

/// How a topic that may not be deleted is named in the answer.
type Deleted = (Option<StrBytes>, Uuid);

impl Admit for DeleteTopicsRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<DeleteTopicsResponse> {
        let mut denied: Vec<Deleted> = take_out(&mut self.topic_names, |name| may_delete(judge, name))
            .into_iter()
            .map(|name| (Some(name), Uuid::ZERO))
            .collect();
        let known =
            |topic: &DeleteTopicState| judge.view.topic_ids.get(&wire::topic_id(topic.topic_id)).cloned();
        let taken = take_out(&mut self.topics, |topic| match (&topic.name, topic.topic_id.is_zero()) {
            (Some(name), true) => may_delete(judge, name),
            (None, false) => known(topic).is_none_or(|name| may_delete(judge, &name)),
            // Names nothing, or two things: refused for itself.
            _ => true,
        });
        denied.extend(taken.into_iter().map(|topic| match known(&topic) {
            // An id is no secret; its name is, for who may not look at the topic.
            Some(name) if topic.name.is_none() => {
                let seen = judge.sees(Operation::Describe, ResourceType::Topic, &name);
                (seen.then(|| (&*name).into()), topic.topic_id)
            }
            _ => (topic.name, topic.topic_id),
        }));
        Admission::without(denied, |response: &mut DeleteTopicsResponse, denied| {
            response.responses.extend(denied.into_iter().map(|(name, id)| {
                let mut result = DeletableTopicResult::default();
                (result.name, result.topic_id, result.error_code) = (name, id, DENIED);
                result
            }));
        })
    }
}

/// That a topic is not there is told to those who may look at it, as Kafka does; there the right to delete lets look.
fn may_delete(judge: &Judge, name: &str) -> bool {
    let is_there = judge.view.topics.contains_key(name);
    let may_look = judge.topic(Operation::Describe, name);
    may_look && (!is_there || judge.topic(Operation::Delete, name))
}

#[cfg(test)]
mod tests {
    use super::super::judge::fixture::judge;
    use super::*;
    use crate::kafka::apis::admin::fixture::Cluster;
    use engine::ids::TopicId;

    fn cluster() -> Cluster {
        Cluster::new(1).with_topic("seen", 1, 1).with_topic("hidden", 2, 1).with_topic("mine", 3, 1)
    }

    #[test]
    fn deleting_tells_nothing_of_topics_that_may_not_be_looked_at() {
        let topic = ResourceType::Topic;
        let rules = [
            (Operation::Read, topic, "seen"),
            (Operation::Delete, topic, "mine"),
            (Operation::Describe, topic, "gone"),
        ];
        let judge = judge(cluster(), 20, &rules);
        let mut by_name = DeleteTopicsRequest::default();
        by_name.topic_names = ["seen", "hidden", "mine", "gone", "no such"].map(StrBytes::from).to_vec();
        let Admission::Part(after) = by_name.admit(&judge, 5) else { panic!("some are denied") };
        assert_eq!(by_name.topic_names, ["mine", "gone"].map(StrBytes::from));
        let mut response = DeleteTopicsResponse::default();
        after(&mut response);
        let told = response.responses.iter().map(|one| (one.name.as_deref().expect("named"), one.error_code));
        assert_eq!(told.collect::<Vec<_>>(), [("seen", DENIED), ("hidden", DENIED), ("no such", DENIED)]);
        let mut by_id = DeleteTopicsRequest::default();
        by_id.topics = [1, 2, 3, 9]
            .map(|id| {
                let mut topic = DeleteTopicState::default();
                topic.topic_id = wire::uuid(TopicId(id));
                topic
            })
            .to_vec();
        let Admission::Part(after) = by_id.admit(&judge, 6) else { panic!("some are denied") };
        assert_eq!(by_id.topics.len(), 2, "mine, and the one that is not there");
        let mut response = DeleteTopicsResponse::default();
        after(&mut response);
        let told: Vec<_> = response.responses.iter().map(|one| one.name.as_deref()).collect();
        assert_eq!(told, [Some("seen"), None]);
    }

    #[test]
    fn a_topic_is_made_by_a_right_to_it_or_to_all_and_its_settings_are_shown_to_who_may_see_them() {
        let request = || {
            let mut request = CreateTopicsRequest::default();
            for name in ["a", "b"] {
                let mut topic = kafka_wire::create_topics_request::CreatableTopic::default();
                topic.name = name.into();
                request.topics.push(topic);
            }
            request
        };
        let topic = ResourceType::Topic;
        let some = judge(Cluster::new(1), 19, &[(Operation::Create, topic, "a")]);
        let mut asked = request();
        let Admission::Part(after) = asked.admit(&some, 7) else { panic!("judged") };
        assert_eq!(asked.topics.len(), 1);
        let mut response = CreateTopicsResponse::default();
        let mut made = CreatableTopicResult::default();
        (made.name, made.num_partitions, made.configs) = ("a".into(), 3, Some(vec![Default::default()]));
        response.topics.push(made);
        after(&mut response);
        let told = response
            .topics
            .iter()
            .map(|one| (one.error_code, one.topic_config_error_code, one.num_partitions));
        assert_eq!(told.collect::<Vec<_>>(), [(0, DENIED, -1), (DENIED, 0, -1)]);
        assert_eq!(response.topics[0].configs.as_ref().map(Vec::len), Some(0));
        let all = [(Operation::Create, ResourceType::Cluster, "kafka-cluster")];
        let mut asked = request();
        assert!(matches!(asked.admit(&judge(Cluster::new(1), 19, &all), 7), Admission::Part(_)));
        assert_eq!(asked.topics.len(), 2);
    }

    #[test]
    fn records_are_deleted_by_who_may_delete_and_offsets_told_to_who_may_look() {
        let rules = [(Operation::Read, ResourceType::Topic, "seen")];
        let topic = |name: &str| {
            let mut topic = kafka_wire::list_offsets_request::ListOffsetsTopic::default();
            topic.name = name.into();
            topic.partitions = vec![Default::default()];
            topic
        };
        let mut request = ListOffsetsRequest::default();
        request.topics = vec![topic("hidden"), topic("seen"), topic("no such")];
        let Admission::Part(after) = request.admit(&judge(cluster(), 2, &rules), 7) else { panic!("some") };
        let mut response = ListOffsetsResponse::default();
        after(&mut response);
        assert_eq!(request.topics.len(), 1);
        let told = response.topics.iter().map(|one| one.partitions[0].error_code);
        assert_eq!(told.collect::<Vec<_>>(), [DENIED, DENIED]);
        let mut delete = DeleteRecordsRequest::default();
        let mut seen = kafka_wire::delete_records_request::DeleteRecordsTopic::default();
        seen.name = "seen".into();
        delete.topics = vec![seen];
        assert!(matches!(delete.admit(&judge(cluster(), 21, &rules), 2), Admission::Part(_)));
        assert!(delete.topics.is_empty());
    }
}
