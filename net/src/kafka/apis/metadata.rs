//! Metadata: brokers, topics and who leads their partitions; creates topics where allowed.

use super::operations;
use crate::kafka::codec::wire::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use crate::kafka::codec::wire::{self, StrBytes, Uuid};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::{code, control_error};
use crate::kafka::repeats;
use crate::kafka::request_context::RequestContext;
use crate::shard::pace::Pace;
use core::ops::RangeInclusive;
use engine::control::propose;
use engine::control::view::{PartitionView, TopicView};
use engine::control::{CommandError, ControlRefusal, View, names};
use engine::ids::TopicId;
use kafka_wire::{MetadataRequest, MetadataResponse};
use std::sync::Arc;
use std::time::Duration;

pub struct Metadata;

/// How long an answer waits for the leaders of a topic that it has just created; then their
/// partitions are LEADER_NOT_AVAILABLE and the client asks again.
const NEW_LEADER_WAIT_MAX: Duration = Duration::from_secs(2);

impl Handler for Metadata {
    type Request = MetadataRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=13;

    fn named(request: &Self::Request) -> usize {
        request.topics.as_ref().map_or(0, Vec::len)
    }

    fn merge(request: &mut Self::Request) {
        if let Some(topics) = &mut request.topics {
            repeats::keep_first(topics, |topic| (topic.name.clone(), topic.topic_id));
        }
    }

    async fn handle(
        context: &Context,
        RequestContext { version, peer, .. }: &RequestContext,
        request: MetadataRequest,
    ) -> MetadataResponse {
        let version = *version;
        let topics = match wanted(version, &request) {
            Wanted::All => {
                let view = context.view();
                let mut topics = Vec::with_capacity(view.topics.len());
                let mut pace = Pace::begin();
                for topic in view.topics.values() {
                    pace.rest_if_late().await;
                    topics.push(describe(context, &view, topic));
                }
                topics
            }
            Wanted::Some(wanted) => {
                let create = version < 4 || request.allow_auto_topic_creation;
                let mut topics = Vec::with_capacity(wanted.len());
                let mut pace = Pace::begin();
                for one in wanted {
                    pace.rest_if_late().await;
                    topics.push(one_topic(context, one, create).await);
                }
                topics
            }
        };
        let mut response = MetadataResponse::default();
        response.brokers = context.brokers(&peer.listener).into_iter().map(broker).collect();
        response.cluster_id = Some(cluster_id(&context.view()).into());
        response.controller_id = context.controller_id();
        response.topics = topics;
        let cluster = request.include_cluster_authorized_operations;
        response.cluster_authorized_operations = operations::if_asked(cluster, operations::CLUSTER);
        for topic in response.topics.iter_mut().filter(|topic| topic.error_code == code::NONE) {
            let asked = request.include_topic_authorized_operations;
            topic.topic_authorized_operations = operations::if_asked(asked, operations::TOPIC);
        }
        if !peer.listener.is_plain() {
            hide_leaders_without_address(&mut response, version);
        }
        response
    }
}

/// A leader whose node has not this listener leads nobody who asks here: an error says so, as Kafka's does
/// (KIP-302). A client that is told of a leader without an address may wait for minutes.
fn hide_leaders_without_address(response: &mut MetadataResponse, version: i16) {
    let error_code = if version >= 6 { code::LISTENER_NOT_FOUND } else { code::LEADER_NOT_AVAILABLE };
    let has_address = |id| response.brokers.iter().any(|broker| broker.node_id == id);
    for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        if partition.error_code == code::NONE && !has_address(partition.leader_id) {
            (partition.error_code, partition.leader_id) = (error_code, -1);
        }
    }
}

/// The cluster id as clients see it: 22 characters of base64, as Kafka's.
pub fn cluster_id(view: &View) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..22)
        .map(|at| {
            // 128 bits in groups of six from the top; the last group has two bits and four zeros.
            let shift = 128 - 6 * (at + 1);
            let bits = if shift >= 0 { view.cluster.0 >> shift } else { view.cluster.0 << -shift };
            char::from(ALPHABET[(bits & 63) as usize])
        })
        .collect()
}

enum Wanted {
    All,
    Some(Vec<WantedTopic>),
}

enum WantedTopic {
    Named(String),
    Numbered(TopicId),
}

/// Version 0 asks for all topics with an empty list, later ones with none at all.
fn wanted(version: i16, request: &MetadataRequest) -> Wanted {
    match &request.topics {
        None => Wanted::All,
        Some(topics) if version == 0 && topics.is_empty() => Wanted::All,
        Some(topics) => Wanted::Some(
            topics
                .iter()
                .map(|topic| match &topic.name {
                    Some(name) if !name.is_empty() || topic.topic_id.is_zero() => {
                        WantedTopic::Named(name.as_str().to_owned())
                    }
                    _ => WantedTopic::Numbered(wire::topic_id(topic.topic_id)),
                })
                .collect(),
        ),
    }
}

async fn one_topic(context: &Context, wanted: WantedTopic, create: bool) -> MetadataResponseTopic {
    let view = context.view();
    match wanted {
        WantedTopic::Numbered(id) => match context.topic(&view, "", id) {
            Some(topic) => describe(context, &view, &topic),
            None => failed(None, id, code::UNKNOWN_TOPIC_ID),
        },
        WantedTopic::Named(name) => {
            if let Some(topic) = view.topics.get(name.as_str()) {
                return describe(context, &view, topic);
            }
            if names::check_name(&name).is_err() {
                return failed(Some(&name), TopicId(0), code::INVALID_TOPIC_EXCEPTION);
            }
            let is_just_deleted = || context.shard.just_deleted.borrow().contains(&name, context.shard.now());
            if !create || !context.settings.auto_create_topics || is_just_deleted() {
                return failed(Some(&name), TopicId(0), code::UNKNOWN_TOPIC_OR_PARTITION);
            }
            create_topic(context, &name).await
        }
    }
}

/// Waits until these topics can be used on every shard of this node, or a while has passed.
pub async fn wait_until_usable(context: &Context, names: &[&str]) {
    let view = context.view();
    let ids: Arc<[TopicId]> =
        names.iter().filter_map(|&name| view.topics.get(name)).map(|topic| topic.id).collect();
    if !ids.is_empty() {
        context.shard.settle(&ids, context.shard.now().plus(NEW_LEADER_WAIT_MAX)).await;
    }
}

async fn create_topic(context: &Context, name: &str) -> MetadataResponseTopic {
    let new = context.new_topic(name);
    let made = match propose::create_topic(&context.view(), &context.statics, new) {
        Ok(command) => context.control(command).await,
        Err(error) => Err(ControlRefusal::Command(error)),
    };
    match made {
        // Another request may have been first.
        Ok(_) | Err(ControlRefusal::Command(CommandError::TopicExists(_))) => {}
        Err(refusal) => return failed(Some(name), TopicId(0), control_error(&refusal).0),
    }
    wait_until_usable(context, &[name]).await;
    let view = context.view();
    match view.topics.get(name) {
        Some(topic) => describe(context, &view, topic),
        None => failed(Some(name), TopicId(0), code::UNKNOWN_TOPIC_OR_PARTITION),
    }
}

fn describe(context: &Context, view: &View, topic: &Arc<TopicView>) -> MetadataResponseTopic {
    let mut described = failed(Some(&topic.name), topic.id, code::NONE);
    let partitions = topic.partitions.iter().enumerate();
    described.is_internal = names::is_internal(&topic.name);
    described.partitions =
        partitions.map(|(number, one)| partition(context, view, number as i32, one)).collect();
    described
}

fn partition(
    context: &Context,
    view: &View,
    number: i32,
    view_of: &PartitionView,
) -> MetadataResponsePartition {
    let mut partition = MetadataResponsePartition::default();
    partition.partition_index = number;
    let placed = context.placed(view, view_of);
    partition.replica_nodes = placed.replicas;
    partition.isr_nodes = placed.in_sync;
    partition.offline_replicas = placed.offline;
    match placed.leader {
        Some(leader) => {
            partition.leader_id = leader.broker;
            partition.leader_epoch = leader.epoch;
        }
        None => {
            partition.error_code = code::LEADER_NOT_AVAILABLE;
            partition.leader_id = -1;
            partition.leader_epoch = -1;
        }
    }
    partition
}

pub fn failed(name: Option<&str>, id: TopicId, error_code: i16) -> MetadataResponseTopic {
    let mut topic = MetadataResponseTopic::default();
    topic.error_code = error_code;
    topic.name = name.map(StrBytes::from);
    topic.topic_id = if id == TopicId(0) { Uuid::ZERO } else { wire::uuid(id) };
    topic.topic_authorized_operations = operations::UNKNOWN;
    topic
}

fn broker(broker: crate::kafka::broker::Broker) -> MetadataResponseBroker {
    let mut response = MetadataResponseBroker::default();
    response.node_id = broker.id;
    response.host = broker.host.into();
    response.port = i32::from(broker.port);
    response.rack = broker.rack.map(StrBytes::from);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::ids::ClusterId;

    #[test]
    fn a_leader_without_an_address_on_the_listener_is_an_error_and_no_leader() {
        let led = |id| {
            let mut partition = MetadataResponsePartition::default();
            partition.leader_id = id;
            partition
        };
        let mut response = MetadataResponse::default();
        let here = crate::kafka::broker::Broker { id: 1, host: "h".into(), port: 9, rack: None };
        response.brokers = vec![broker(here)];
        response.topics = vec![failed(Some("a"), TopicId(1), code::NONE)];
        response.topics[0].partitions = vec![led(1), led(2)];
        hide_leaders_without_address(&mut response, 9);
        let told = response.topics[0].partitions.iter().map(|one| (one.error_code, one.leader_id));
        assert_eq!(told.collect::<Vec<_>>(), [(code::NONE, 1), (code::LISTENER_NOT_FOUND, -1)]);
    }

    #[test]
    fn the_cluster_id_is_base64_of_its_bits() {
        let id = |bits| cluster_id(&View { cluster: ClusterId(bits), ..View::default() });
        assert_eq!(id(0), "A".repeat(22));
        assert_eq!(id(u128::MAX), format!("{}w", "_".repeat(21)));
        assert_eq!(id(1), format!("{}Q", "A".repeat(21)));
    }
}
