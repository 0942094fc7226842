//! DescribeTopicPartitions (KIP-966): topics with their partitions, in pages.

use super::operations;
use crate::kafka::codec::wire::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use crate::kafka::codec::wire::{self, StrBytes};
use crate::kafka::context::{Context, Placed};
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::control::view::{PartitionView, TopicView};
use engine::control::{View, names};
use kafka_wire::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
use std::collections::BTreeSet;

pub struct DescribeTopicPartitions;

/// The most partitions in one answer, whatever the client asks for; Kafka's
/// `max.request.partition.size.limit`.
const PARTITIONS_MAX: usize = 2000;

impl Handler for DescribeTopicPartitions {
    type Request = DescribeTopicPartitionsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;

    fn named(request: &Self::Request) -> usize {
        request.topics.len()
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: DescribeTopicPartitionsRequest,
    ) -> DescribeTopicPartitionsResponse {
        let view = context.view();
        respond(&view, &request, |partition| context.placed(&view, partition))
    }
}

fn respond(
    view: &View,
    request: &DescribeTopicPartitionsRequest,
    placed: impl Fn(&PartitionView) -> Placed,
) -> DescribeTopicPartitionsResponse {
    let mut response = DescribeTopicPartitionsResponse::default();
    response.next_cursor = None;
    let named = || request.topics.iter().map(|topic| topic.name.as_str());
    if request.cursor.as_ref().is_some_and(|cursor| cursor.partition_index < 0) {
        response.topics = named().map(|name| failed(name, code::INVALID_REQUEST)).collect();
        return response;
    }
    // Sorted by name, so that a cursor has one meaning; no names are all.
    let mut wanted: BTreeSet<&str> = if request.topics.is_empty() {
        view.topics.keys().map(|name| &**name).collect()
    } else {
        named().collect()
    };
    let start =
        request.cursor.as_ref().map(|cursor| (cursor.topic_name.as_str(), cursor.partition_index as usize));
    if let Some((topic, _)) = start {
        wanted = wanted.split_off(topic);
    }
    let mut left = usize::try_from(request.response_partition_limit).unwrap_or(0).clamp(1, PARTITIONS_MAX);
    for name in wanted {
        let Some(topic) = view.topics.get(name) else {
            response.topics.push(failed(name, unknown(name)));
            continue;
        };
        let first = start.filter(|(at, _)| *at == name).map_or(0, |(_, first)| first);
        if left == 0 {
            response.next_cursor = Some(cursor(name, first));
            return response;
        }
        let described = describe(topic, first, left, &placed);
        let next = first + described.partitions.len();
        left -= described.partitions.len();
        response.topics.push(described);
        if next < topic.partitions.len() {
            response.next_cursor = Some(cursor(name, next));
            return response;
        }
    }
    response
}

fn unknown(name: &str) -> i16 {
    match names::check_name(name) {
        Ok(()) => code::UNKNOWN_TOPIC_OR_PARTITION,
        Err(_) => code::INVALID_TOPIC_EXCEPTION,
    }
}

fn cursor(topic: &str, partition: usize) -> Cursor {
    let mut cursor = Cursor::default();
    cursor.topic_name = topic.into();
    cursor.partition_index = partition as i32;
    cursor
}

pub fn failed(name: &str, error_code: i16) -> DescribeTopicPartitionsResponseTopic {
    let mut topic = DescribeTopicPartitionsResponseTopic::default();
    topic.error_code = error_code;
    topic.name = Some(StrBytes::from(name));
    topic.topic_authorized_operations = operations::UNKNOWN;
    topic
}

/// At most `max` of a topic's partitions, from `first` on.
fn describe(
    topic: &TopicView,
    first: usize,
    max: usize,
    placed: impl Fn(&PartitionView) -> Placed,
) -> DescribeTopicPartitionsResponseTopic {
    let mut described = failed(&topic.name, code::NONE);
    described.topic_id = wire::uuid(topic.id);
    // This API tells them always.
    described.topic_authorized_operations = operations::TOPIC;
    described.is_internal = names::is_internal(&topic.name);
    for (number, view_of) in topic.partitions.iter().enumerate().skip(first).take(max) {
        described.partitions.push(partition(number as i32, placed(view_of)));
    }
    described
}

fn partition(number: i32, placed: Placed) -> DescribeTopicPartitionsResponsePartition {
    let mut partition = DescribeTopicPartitionsResponsePartition::default();
    partition.partition_index = number;
    // A quorum always holds all that is committed, so there is no such list to keep.
    (partition.eligible_leader_replicas, partition.last_known_elr) = (Some(Vec::new()), Some(Vec::new()));
    match placed.leader {
        Some(leader) => (partition.leader_id, partition.leader_epoch) = (leader.broker, leader.epoch),
        None => {
            partition.error_code = code::LEADER_NOT_AVAILABLE;
            (partition.leader_id, partition.leader_epoch) = (-1, -1);
        }
    }
    partition.replica_nodes = placed.replicas;
    partition.isr_nodes = placed.in_sync;
    partition.offline_replicas = placed.offline;
    partition
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;
    use crate::kafka::context::PartitionLeader;
    use kafka_wire::describe_topic_partitions_request as request;

    fn ask(topics: &[&str], limit: i32, cursor: Option<(&str, i32)>) -> DescribeTopicPartitionsResponse {
        let mut cluster = Cluster::new(1).with_topic("a", 1, 3).with_topic("b", 2, 2);
        let mut asked = DescribeTopicPartitionsRequest::default();
        for &name in topics {
            let mut topic = request::TopicRequest::default();
            topic.name = name.into();
            asked.topics.push(topic);
        }
        asked.response_partition_limit = limit;
        asked.cursor = cursor.map(|(topic, partition)| {
            let mut cursor = request::Cursor::default();
            cursor.topic_name = topic.into();
            cursor.partition_index = partition;
            cursor
        });
        let leader = Some(PartitionLeader { broker: 0, epoch: 4 });
        let placed = Placed { leader, replicas: vec![0], in_sync: vec![0], ..Placed::default() };
        let response = respond(&cluster.view(), &asked, |_| placed.clone());
        wire::encode(&mut wire::BytesMut::new(), &response, 0).expect("encodable");
        response
    }

    /// Topics with the partitions given of each, and where the next page begins.
    type Page = (Vec<(String, Vec<i32>)>, Option<(String, i32)>);

    fn page(response: &DescribeTopicPartitionsResponse) -> Page {
        let topics = response.topics.iter().map(|topic| {
            let numbers = topic.partitions.iter().map(|partition| partition.partition_index).collect();
            (topic.name.as_ref().unwrap().as_str().to_owned(), numbers)
        });
        let next = response.next_cursor.as_ref();
        (topics.collect(), next.map(|next| (next.topic_name.as_str().to_owned(), next.partition_index)))
    }

    #[test]
    fn pages_follow_each_other_by_the_cursor() {
        let text = str::to_owned;
        let first = page(&ask(&[], 2, None));
        assert_eq!(first, (vec![(text("a"), vec![0, 1])], Some((text("a"), 2))));
        let second = page(&ask(&[], 2, Some(("a", 2))));
        assert_eq!(second, (vec![(text("a"), vec![2]), (text("b"), vec![0])], Some((text("b"), 1))));
        let last = page(&ask(&[], 2, Some(("b", 1))));
        assert_eq!(last, (vec![(text("b"), vec![1])], None));
        let full = page(&ask(&[], 3, None));
        assert_eq!(full, (vec![(text("a"), vec![0, 1, 2])], Some((text("b"), 0))));
        assert_eq!(page(&ask(&["b"], 0, None)).0[0].1, [0], "at least one");
        assert_eq!(page(&ask(&["b", "a"], i32::MAX, None)).1, None);
    }

    #[test]
    fn each_mistake_has_kafkas_code() {
        let codes = |response: DescribeTopicPartitionsResponse| -> Vec<i16> {
            response.topics.iter().map(|topic| topic.error_code).collect()
        };
        assert_eq!(codes(ask(&["c"], 9, None)), [code::UNKNOWN_TOPIC_OR_PARTITION]);
        assert_eq!(codes(ask(&["c d"], 9, None)), [code::INVALID_TOPIC_EXCEPTION]);
        assert_eq!(codes(ask(&["a"], 9, Some(("a", -1)))), [code::INVALID_REQUEST]);
        let unled = partition(0, Placed { replicas: vec![0], ..Placed::default() });
        assert_eq!((unled.error_code, unled.leader_id), (code::LEADER_NOT_AVAILABLE, -1));
    }
}
