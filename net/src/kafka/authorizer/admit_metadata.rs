//! Metadata and DescribeTopicPartitions: topics by name, by id or all, and what may be done with them.

use super::admit::{Admission, Admit, take_out};
use super::judge::Judge;
use crate::kafka::apis::{describe_topic_partitions, metadata};
use crate::kafka::codec::wire::{self, StrBytes};
use crate::kafka::errors::code;
use engine::control::acls::acl::CLUSTER_NAME;
use engine::control::acls::{Operation, ResourceType};
use engine::ids::TopicId;
use kafka_wire::describe_topic_partitions_request::TopicRequest;
use kafka_wire::metadata_request::MetadataRequestTopic;
use kafka_wire::{
    DescribeClusterRequest, DescribeClusterResponse, DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse, MetadataRequest, MetadataResponse,
};

const DENIED: i16 = code::TOPIC_AUTHORIZATION_FAILED;

impl Admit for MetadataRequest {
    fn admit(&mut self, judge: &Judge, version: i16) -> Admission<MetadataResponse> {
        // An empty list is all topics in version 0, and none later.
        let is_all = self.topics.as_ref().is_none_or(|topics| version == 0 && topics.is_empty());
        let creates = judge.creates_topics && (version < 4 || self.allow_auto_topic_creation);
        let denied = self
            .topics
            .as_mut()
            .map_or_else(Vec::new, |topics| take_out(topics, |topic| may_ask(judge, topic, creates)));
        let is_emptied = !is_all && version == 0 && self.topics.as_ref().is_some_and(Vec::is_empty);
        let asks = (self.include_topic_authorized_operations, self.include_cluster_authorized_operations);
        let judge = judge.clone();
        Admission::part(move |response: &mut MetadataResponse| {
            if is_emptied {
                response.topics.clear();
            }
            finish(&judge, response, is_all, asks);
            response.topics.extend(denied.into_iter().map(|topic| match topic.name {
                Some(name) if !name.is_empty() => metadata::failed(Some(&name), TopicId(0), DENIED),
                _ => metadata::failed(None, wire::topic_id(topic.topic_id), DENIED),
            }));
        })
    }
}

/// Whether a topic may be looked at, and where it is not there, made.
fn may_ask(judge: &Judge, topic: &MetadataRequestTopic, creates: bool) -> bool {
    let by_name = topic.name.as_ref().filter(|name| !name.is_empty());
    let Some(name) = by_name else {
        // An id is no secret: one that is not there may be told.
        let known = judge.view.topic_ids.get(&wire::topic_id(topic.topic_id));
        return known.is_none_or(|name| judge.topic(Operation::Describe, name));
    };
    if !judge.topic(Operation::Describe, name) {
        return false;
    }
    let is_made = creates && !judge.view.topics.contains_key(name.as_str());
    !is_made
        || judge.sees(Operation::Create, ResourceType::Cluster, CLUSTER_NAME)
        || judge.topic(Operation::Create, name)
}

fn finish(
    judge: &Judge,
    response: &mut MetadataResponse,
    is_all: bool,
    (of_topics, of_cluster): (bool, bool),
) {
    let kind = ResourceType::Topic;
    if is_all {
        let sees = |name: &StrBytes| judge.sees(Operation::Describe, kind, name);
        response.topics.retain(|topic| topic.name.as_ref().is_some_and(sees));
    }
    for topic in response.topics.iter_mut().filter(|topic| of_topics && topic.error_code == code::NONE) {
        let name = topic.name.as_ref().map_or("", StrBytes::as_str);
        topic.topic_authorized_operations = judge.operations(kind, name);
    }
    if of_cluster {
        response.cluster_authorized_operations = judge.cluster_operations();
    }
}

impl Admit for DescribeTopicPartitionsRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<DescribeTopicPartitionsResponse> {
        let kind = ResourceType::Topic;
        let is_all = self.topics.is_empty();
        let denied = take_out(&mut self.topics, |topic| judge.topic(Operation::Describe, &topic.name));
        if is_all {
            // All that may be looked at, by name: pages go on where they ended.
            let seen = judge.view.topics.keys().filter(|name| judge.sees(Operation::Describe, kind, name));
            self.topics = seen
                .map(|name| {
                    let mut topic = TopicRequest::default();
                    topic.name = (&**name).into();
                    topic
                })
                .collect();
        }
        let tell = |response: &mut DescribeTopicPartitionsResponse, denied: Vec<TopicRequest>| {
            let failed = |topic: TopicRequest| describe_topic_partitions::failed(&topic.name, DENIED);
            response.topics.extend(denied.into_iter().map(failed));
        };
        if self.topics.is_empty() {
            // Which would be all again.
            let mut response = DescribeTopicPartitionsResponse::default();
            response.next_cursor = None;
            tell(&mut response, denied);
            return Admission::Denied(response);
        }
        let judge = judge.clone();
        Admission::part(move |response: &mut DescribeTopicPartitionsResponse| {
            for topic in response.topics.iter_mut().filter(|topic| topic.error_code == code::NONE) {
                let name = topic.name.as_ref().map_or("", StrBytes::as_str);
                topic.topic_authorized_operations = judge.operations(kind, name);
            }
            tell(response, denied);
        })
    }
}

impl Admit for DescribeClusterRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<DescribeClusterResponse> {
        if !self.include_cluster_authorized_operations {
            return Admission::Whole;
        }
        let operations = judge.cluster_operations();
        Admission::part(move |response: &mut DescribeClusterResponse| {
            if response.error_code == code::NONE {
                response.cluster_authorized_operations = operations;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::fixture::judge;
    use super::*;
    use crate::kafka::apis::admin::fixture::Cluster;

    fn named(names: &[&str]) -> MetadataRequest {
        let topic = |name: &&str| {
            let mut topic = MetadataRequestTopic::default();
            topic.name = Some((*name).into());
            topic
        };
        let mut request = MetadataRequest::default();
        request.topics = Some(names.iter().map(topic).collect());
        (request.allow_auto_topic_creation, request.include_topic_authorized_operations) = (true, true);
        request
    }

    fn cluster() -> Cluster {
        Cluster::new(1).with_topic("seen", 1, 1).with_topic("hidden", 2, 1)
    }

    fn told(response: &MetadataResponse) -> Vec<(Option<&str>, i16)> {
        response.topics.iter().map(|topic| (topic.name.as_deref(), topic.error_code)).collect()
    }

    const SEES: (Operation, ResourceType, &str) = (Operation::Read, ResourceType::Topic, "seen");

    #[test]
    fn what_may_not_be_looked_at_is_denied_whether_it_is_there_or_not() {
        let judge = judge(cluster(), 3, &[SEES, (Operation::Describe, ResourceType::Topic, "new")]);
        let mut request = named(&["seen", "hidden", "no such", "new"]);
        let Admission::Part(after) = request.admit(&judge, 12) else { panic!("judged") };
        assert_eq!(request.topics.as_ref().map(Vec::len), Some(1));
        let mut response = MetadataResponse::default();
        response.topics = vec![metadata::failed(Some("seen"), TopicId(1), 0)];
        after(&mut response);
        let denied = |name| (Some(name), DENIED);
        assert_eq!(told(&response), [(Some("seen"), 0), denied("hidden"), denied("no such"), denied("new")]);
        assert!(response.topics[1].topic_id.is_zero(), "its id would tell that it is there");
        assert_eq!(response.topics[0].topic_authorized_operations, 1 << 3 | 1 << 8);
        // Without auto-creation a topic that may be looked at is told to be missing.
        let mut request = named(&["new"]);
        request.allow_auto_topic_creation = false;
        let _ = request.admit(&judge, 12);
        assert_eq!(request.topics.as_ref().map(Vec::len), Some(1));
    }

    #[test]
    fn an_id_is_denied_without_its_name() {
        let judge = judge(cluster(), 3, &[SEES]);
        let mut request = MetadataRequest::default();
        request.topics = Some(
            [1, 2, 9]
                .map(|id| {
                    let mut topic = MetadataRequestTopic::default();
                    topic.topic_id = wire::uuid(TopicId(id));
                    topic
                })
                .to_vec(),
        );
        let Admission::Part(after) = request.admit(&judge, 12) else { panic!("judged") };
        assert_eq!(request.topics.as_ref().map(Vec::len), Some(2));
        let mut response = MetadataResponse::default();
        after(&mut response);
        assert_eq!(told(&response), [(None, DENIED)]);
        assert_eq!(wire::topic_id(response.topics[0].topic_id), TopicId(2));
    }

    #[test]
    fn all_topics_are_those_that_may_be_looked_at_and_none_left_is_not_all() {
        let judge = judge(cluster(), 3, &[SEES]);
        let both = || {
            let mut response = MetadataResponse::default();
            response.topics = [("seen", 1), ("hidden", 2)]
                .map(|(name, id)| metadata::failed(Some(name), TopicId(id), 0))
                .to_vec();
            response
        };
        let mut all = MetadataRequest::default();
        all.topics = None;
        let Admission::Part(after) = all.admit(&judge, 12) else { panic!("judged") };
        let mut response = both();
        after(&mut response);
        assert_eq!(told(&response), [(Some("seen"), 0)]);
        // Version 0: what is left of the list is empty, and would be all.
        let Admission::Part(after) = named(&["hidden"]).admit(&judge, 0) else { panic!("judged") };
        let mut response = both();
        after(&mut response);
        assert_eq!(told(&response), [(Some("hidden"), DENIED)]);
    }

    #[test]
    fn pages_of_all_topics_are_of_those_that_may_be_looked_at() {
        let sees = judge(cluster(), 75, &[SEES]);
        let mut all = DescribeTopicPartitionsRequest::default();
        assert!(matches!(all.admit(&sees, 0), Admission::Part(_)));
        assert_eq!(all.topics.iter().map(|topic| topic.name.as_str()).collect::<Vec<_>>(), ["seen"]);
        let nothing = judge(cluster(), 75, &[]);
        let mut all = DescribeTopicPartitionsRequest::default();
        let Admission::Denied(response) = all.admit(&nothing, 0) else { panic!("none is left") };
        assert!(response.topics.is_empty() && response.next_cursor.is_none());
        let mut one = DescribeTopicPartitionsRequest::default();
        one.topics = vec![TopicRequest::default()];
        let Admission::Denied(response) = one.admit(&nothing, 0) else { panic!("none is left") };
        assert_eq!(response.topics[0].error_code, DENIED);
    }
}
