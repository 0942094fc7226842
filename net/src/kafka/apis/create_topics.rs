//! CreateTopics: each topic by its own command; answered when every shard of the node knows them
//! and they have leaders.

use super::admin::{self, Failure};
use super::metadata::wait_until_usable;
use crate::kafka::codec::wire::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use crate::kafka::codec::wire::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use crate::kafka::codec::wire::{self, StrBytes};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::request_context::RequestContext;
use crate::shard::pace::Pace;
use core::ops::RangeInclusive;
use engine::control::command::Place;
use engine::control::config::effective::Configs;
use engine::control::config::{BrokerConfigs, Statics, describe_topic};
use engine::control::propose::{self, NewTopic};
use engine::control::{Command, View};
use engine::ids::TopicId;
use kafka_wire::{CreateTopicsRequest, CreateTopicsResponse};
use std::collections::{BTreeMap, BTreeSet};

pub struct CreateTopics;

/// A topic that is made, or only checked, is answered with all its settings, some 4 KiB: it counts
/// as so many things that a request names.
const TOPIC_WEIGHT: usize = 10;

impl Handler for CreateTopics {
    type Request = CreateTopicsRequest;
    const VERSIONS: RangeInclusive<i16> = 2..=7;

    fn named(request: &Self::Request) -> usize {
        let by_hand = |topic: &CreatableTopic| -> usize {
            topic.assignments.iter().map(|one| 1 + one.broker_ids.len()).sum()
        };
        request.topics.iter().map(|topic| TOPIC_WEIGHT + topic.configs.len() + by_hand(topic)).sum()
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: CreateTopicsRequest,
    ) -> CreateTopicsResponse {
        let view = context.view();
        let living = admin::living(context);
        let repeated = admin::repeated(request.topics.iter().map(|topic| topic.name.as_str()));
        let plan = |topic| {
            let random = (context.new_topic_id(), context.random());
            plan((&view, &living), &context.statics, &repeated, topic, random)
        };
        let mut planned = Vec::with_capacity(request.topics.len());
        let mut pace = Pace::begin();
        for topic in &request.topics {
            pace.rest_if_late().await;
            planned.push(plan(topic));
        }
        let mut results: Vec<Result<(), Failure>> =
            planned.iter().map(|one| one.as_ref().map(|_| ()).map_err(Clone::clone)).collect();
        let mut described = Vec::with_capacity(request.topics.len());
        for (planned, topic) in planned.iter().zip(&request.topics) {
            pace.rest_if_late().await;
            described.push(describe(&view, &context.statics, topic, planned));
        }
        if !request.validate_only {
            results = admin::carry_out(context, planned, request.timeout_ms)
                .await
                .into_iter()
                .map(|one| one.map(|_| ()))
                .collect();
            let made = request.topics.iter().zip(&results).filter(|(_, result)| result.is_ok());
            let names: Vec<&str> = made.map(|(topic, _)| topic.name.as_str()).collect();
            wait_until_usable(context, &names).await;
        }
        for (topic, result) in described.iter_mut().zip(&results) {
            if request.validate_only || result.is_err() {
                topic.topic_id = wire::Uuid::ZERO;
            }
            (topic.error_code, topic.error_message) = admin::error_fields(result);
        }
        let mut response = CreateTopicsResponse::default();
        response.topics = described;
        response
    }
}

fn plan(
    (view, living): (&View, &BTreeSet<i32>),
    statics: &Statics,
    repeated: &BTreeSet<&str>,
    topic: &CreatableTopic,
    (topic_id, entropy): (TopicId, u64),
) -> Result<Command, Failure> {
    if repeated.contains(topic.name.as_str()) {
        return Err(Failure::request("Duplicate topic name."));
    }
    let (partitions, replication_factor) = (topic.num_partitions, topic.replication_factor);
    let by_hand = match &topic.assignments[..] {
        [] => Vec::new(),
        assignments => by_hand(view, living, (partitions, replication_factor), assignments)?,
    };
    let mut configs = Vec::with_capacity(topic.configs.len());
    for config in &topic.configs {
        let Some(value) = &config.value else {
            let reason = format!("Null value not supported for topic configs: {}", config.name);
            return Err(Failure::new(code::INVALID_CONFIG, reason));
        };
        configs.push((config.name.as_str().to_owned(), value.as_str().to_owned()));
    }
    let name = topic.name.as_str().to_owned();
    let new = NewTopic { name, partitions, replication_factor, configs, topic_id, entropy, by_hand };
    Ok(propose::create_topic(view, statics, new)?)
}

/// Where a client wants the partitions 0 to n, which it may name in any order.
fn by_hand(
    view: &View,
    living: &BTreeSet<i32>,
    numbers: (i32, i16),
    assignments: &[CreatableReplicaAssignment],
) -> Result<Vec<Place>, Failure> {
    for (number, what) in [(i32::from(numbers.1), "replication factor"), (numbers.0, "numPartitions")] {
        if number != -1 {
            return Err(Failure::request(format!(
                "A manual partition assignment was specified, but {what} was not set to -1."
            )));
        }
    }
    let mut by_partition: BTreeMap<i32, &[i32]> = BTreeMap::new();
    for one in assignments {
        if by_partition.insert(one.partition_index, &one.broker_ids).is_some() {
            let number = one.partition_index;
            let reason = format!("Found multiple manual partition assignments for partition {number}");
            return Err(Failure::new(code::INVALID_REPLICA_ASSIGNMENT, reason));
        }
    }
    if !by_partition.keys().copied().eq(0..by_partition.len() as i32) {
        let reason = "partitions should be a consecutive 0-based integer sequence";
        return Err(Failure::new(code::INVALID_REPLICA_ASSIGNMENT, reason));
    }
    let lists: Vec<&[i32]> = by_partition.into_values().collect();
    admin::places(view, living, &lists, None)
}

/// The answer's fields for a topic that will be made as planned.
fn describe(
    view: &View,
    statics: &Statics,
    topic: &CreatableTopic,
    planned: &Result<Command, Failure>,
) -> CreatableTopicResult {
    let mut result = CreatableTopicResult::default();
    result.name = topic.name.clone();
    result.error_message = None;
    (result.num_partitions, result.replication_factor) = (-1, -1);
    let Ok(Command::CreateTopic { topic_id, partitions, replication_factor, configs, .. }) = planned else {
        return result;
    };
    result.topic_id = wire::uuid(*topic_id);
    result.num_partitions = *partitions as i32;
    result.replication_factor = *replication_factor as i16;
    let configs: Configs = configs.iter().cloned().collect();
    // Which brokers will lead it is not known yet.
    let broker = BrokerConfigs { own: &Configs::new(), all: &view.broker_configs, statics };
    let shown = describe_topic(&configs, broker).into_iter().map(|config| {
        let mut shown = CreatableTopicConfigs::default();
        shown.name = config.name.into();
        shown.value = config.value.map(StrBytes::from);
        shown.read_only = config.read_only;
        shown.config_source = config.source as i8;
        shown
    });
    result.configs = Some(shown.collect());
    result
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;
    use crate::kafka::codec::wire::create_topics_request::CreatableTopicConfig;

    fn topic(name: &str, partitions: i32, factor: i16) -> CreatableTopic {
        let mut topic = CreatableTopic::default();
        topic.name = name.into();
        (topic.num_partitions, topic.replication_factor) = (partitions, factor);
        topic
    }

    fn with_config(name: &str, value: Option<&str>) -> CreatableTopic {
        let mut config = CreatableTopicConfig::default();
        config.name = name.into();
        config.value = value.map(StrBytes::from);
        let mut topic = topic("a", 1, 1);
        topic.configs.push(config);
        topic
    }

    fn assigned(topic: &CreatableTopic, assignments: &[(i32, &[i32])]) -> CreatableTopic {
        let mut topic = topic.clone();
        for (partition, brokers) in assignments {
            let mut one = CreatableReplicaAssignment::default();
            one.partition_index = *partition;
            one.broker_ids = brokers.to_vec();
            topic.assignments.push(one);
        }
        topic
    }

    fn planned(cluster: &mut Cluster, topic: &CreatableTopic) -> Result<Command, i16> {
        let statics = Statics::new(&[("num.partitions".to_owned(), "3".to_owned())]).unwrap();
        let (view, living) = (cluster.view(), BTreeSet::from([0, 1]));
        plan((&view, &living), &statics, &BTreeSet::from(["twice"]), topic, (TopicId(9), 1))
            .map_err(|failure| failure.code)
    }

    #[test]
    fn minus_one_is_the_brokers_default() {
        let mut cluster = Cluster::new(1);
        let command = planned(&mut cluster, &topic("a", -1, -1)).unwrap();
        let Command::CreateTopic { partitions, replication_factor, .. } = command else { panic!() };
        assert_eq!((partitions, replication_factor), (3, 1));
    }

    #[test]
    fn each_mistake_has_kafkas_code() {
        let mut cluster = Cluster::new(1).with_topic("there", 1, 1).with_topic("x.y", 2, 1);
        let mut refused = |topic: CreatableTopic, expected: i16| {
            let name = topic.name.clone();
            assert_eq!(planned(&mut cluster, &topic), Err(expected), "{name}");
        };
        refused(topic("there", 1, 1), code::TOPIC_ALREADY_EXISTS);
        refused(topic("twice", 1, 1), code::INVALID_REQUEST);
        refused(topic("x_y", 1, 1), code::INVALID_TOPIC_EXCEPTION);
        refused(topic("a b", 1, 1), code::INVALID_TOPIC_EXCEPTION);
        refused(topic("", 1, 1), code::INVALID_TOPIC_EXCEPTION);
        refused(topic("a", 0, 1), code::INVALID_PARTITIONS);
        refused(topic("a", -2, 1), code::INVALID_PARTITIONS);
        refused(topic("a", i32::MAX, 1), code::POLICY_VIOLATION);
        refused(topic("a", 1, 0), code::INVALID_REPLICATION_FACTOR);
        refused(topic("a", 1, 2), code::INVALID_REPLICATION_FACTOR);
        refused(topic("a", 1, 3), code::INVALID_REPLICATION_FACTOR);
        refused(with_config("no.such", Some("1")), code::INVALID_CONFIG);
        refused(with_config("retention.ms", Some("soon")), code::INVALID_CONFIG);
        refused(with_config("retention.ms", None), code::INVALID_CONFIG);
        refused(with_config("cleanup.policy", Some("shred")), code::INVALID_CONFIG);
        refused(with_config("compression.type", Some("brotli")), code::INVALID_CONFIG);
    }

    #[test]
    fn a_placement_by_hand_is_taken_and_its_mistakes_have_kafkas_codes() {
        let by_hand = |assignments: &[(i32, &[i32])]| assigned(&topic("a", -1, -1), assignments);
        let mut two = Cluster::new(2);
        let command = planned(&mut two, &by_hand(&[(1, &[0]), (0, &[1])])).unwrap();
        let Command::CreateTopic { partitions, replication_factor, by_hand: places, .. } = command else {
            panic!()
        };
        assert_eq!((partitions, replication_factor), (2, 1));
        assert_eq!(places.iter().map(|place| place.lane.0).collect::<Vec<_>>(), [1, 0], "by partition");
        let refused = Err(code::INVALID_REPLICA_ASSIGNMENT);
        let wrong: [&[(i32, &[i32])]; 6] = [
            &[(0, &[7])],
            &[(0, &[])],
            &[(1, &[0])],
            &[(0, &[0]), (0, &[1])],
            &[(0, &[0, 1])],
            &[(0, &[0]), (1, &[0, 1])],
        ];
        for assignments in wrong {
            assert_eq!(planned(&mut two, &by_hand(assignments)), refused, "{assignments:?}");
        }
        for (partitions, factor) in [(1, -1), (-1, 1)] {
            let both = assigned(&topic("a", partitions, factor), &[(0, &[0])]);
            assert_eq!(planned(&mut two, &both), Err(code::INVALID_REQUEST));
        }
    }

    #[test]
    fn the_answer_shows_numbers_and_settings_and_is_encoded_in_every_version() {
        let mut cluster = Cluster::new(1);
        let topic = with_config("retention.ms", Some("5"));
        let view = cluster.view();
        let known = (&*view, &BTreeSet::new());
        let planned = plan(known, &Statics::default(), &BTreeSet::new(), &topic, (TopicId(9), 1));
        let described = describe(&view, &Statics::default(), &topic, &planned);
        assert_eq!((described.num_partitions, described.replication_factor), (1, 1));
        let configs = described.configs.as_ref().unwrap();
        let retention = configs.iter().find(|config| config.name.as_str() == "retention.ms").unwrap();
        assert_eq!((retention.value.as_deref(), retention.config_source), (Some("5"), 1));
        let mut response = CreateTopicsResponse::default();
        response.topics.push(described);
        for version in CreateTopics::VERSIONS {
            wire::encode(&mut wire::BytesMut::new(), &response, version).expect("encodable");
        }
    }
}
