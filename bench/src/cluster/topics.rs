//! Topics are made when they are missing; those that are there must have enough partitions.

use super::cold::Cold;
use super::directory::Directory;
use super::errors;
use crate::trouble::{Outcome, Trouble};
use crate::workload::Workload;
use kafka_wire::CreateTopicsRequest;
use kafka_wire::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use std::collections::BTreeMap;
use std::time::Duration;

const CREATE_TOPICS_VERSION: i16 = 5;
const TOPIC_ALREADY_EXISTS: i16 = 36;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
/// Partitions asked for in one request: brokers bound what one may make.
const PARTITIONS_PER_REQUEST: u32 = 5_000;
/// Making 10,000 partitions takes a while.
const MAKING_MAX: Duration = Duration::from_secs(60);
const LEADERS_MAX: Duration = Duration::from_secs(60);

fn cluster(what: impl std::fmt::Display) -> Trouble {
    Trouble::Cluster(what.to_string())
}

/// Makes what is missing and waits until all partitions have leaders.
pub fn prepare(directory: &Directory, workload: &Workload) -> Outcome<()> {
    let missing = missing(directory, workload)?;
    let per_request = (PARTITIONS_PER_REQUEST / workload.partitions).max(1) as usize;
    for names in missing.chunks(per_request) {
        create(directory, workload, names)?;
    }
    directory.wait_for_leaders(LEADERS_MAX)
}

/// For commands that only read.
pub fn require(directory: &Directory, workload: &Workload) -> Outcome<()> {
    match &missing(directory, workload)?[..] {
        [] => directory.wait_for_leaders(LEADERS_MAX),
        [first, ..] => Err(cluster(format!("topic {first} does not exist"))),
    }
}

/// How many partitions an existing topic has.
pub fn partitions_of(directory: &Directory, topic: &str) -> Outcome<u32> {
    let response = directory.metadata(&[topic.to_owned()]).map_err(cluster)?;
    match response.topics.first() {
        Some(found) if found.error_code == 0 || !found.partitions.is_empty() => {
            Ok(found.partitions.len() as u32)
        }
        Some(found) => Err(cluster(format!("topic {topic}: {}", errors::name(found.error_code)))),
        None => Err(cluster(format!("topic {topic}: the broker says nothing of it"))),
    }
}

fn missing(directory: &Directory, workload: &Workload) -> Outcome<Vec<String>> {
    let response = directory.metadata(directory.topics()).map_err(cluster)?;
    let mut there = BTreeMap::new();
    for topic in &response.topics {
        let name = topic.name.as_ref().map_or("", |name| name.as_str());
        match topic.error_code {
            UNKNOWN_TOPIC_OR_PARTITION => {}
            // 5: it is there and about to have leaders.
            0 | 5 => {
                there.insert(name.to_owned(), topic.partitions.len());
            }
            code => return Err(cluster(format!("topic {name}: {}", errors::name(code)))),
        }
    }
    let mut missing = Vec::new();
    for name in directory.topics() {
        match there.get(name) {
            None => missing.push(name.clone()),
            Some(partitions) if *partitions < workload.partitions as usize => {
                return Err(cluster(format!(
                    "topic {name} has {partitions} partitions and not {}: choose another --topic or --partitions",
                    workload.partitions
                )));
            }
            Some(_) => {}
        }
    }
    Ok(missing)
}

fn create(directory: &Directory, workload: &Workload, names: &[String]) -> Outcome<()> {
    let mut request = CreateTopicsRequest::default();
    request.timeout_ms = i32::try_from(MAKING_MAX.as_millis()).expect("a minute");
    request.topics = names.iter().map(|name| topic(workload, name)).collect();
    let mut broker = controller(directory)?.at_least(MAKING_MAX);
    let response = broker.call(CREATE_TOPICS_VERSION, &request).map_err(cluster)?;
    for topic in &response.topics {
        if topic.error_code != 0 && topic.error_code != TOPIC_ALREADY_EXISTS {
            let text = topic.error_message.as_ref().map_or("", |text| text.as_str());
            let (name, code) = (topic.name.as_str(), errors::name(topic.error_code));
            return Err(cluster(format!("topic {name} cannot be made: {code}: {text}")));
        }
    }
    Ok(())
}

fn topic(workload: &Workload, name: &str) -> CreatableTopic {
    let mut topic = CreatableTopic::default();
    topic.name = name.into();
    topic.num_partitions = workload.partitions as i32;
    topic.replication_factor =
        if workload.replication_factor == 0 { -1 } else { workload.replication_factor };
    topic.configs = workload
        .topic_config
        .iter()
        .map(|(key, value)| {
            let mut config = CreatableTopicConfig::default();
            config.name = key.as_str().into();
            config.value = Some(value.as_str().into());
            config
        })
        .collect();
    topic
}

/// Topics are made by the controller; a broker that is none says NOT_CONTROLLER.
fn controller(directory: &Directory) -> Outcome<Cold> {
    let response = directory.metadata(&[]).map_err(cluster)?;
    let found = response.brokers.iter().find(|broker| broker.node_id == response.controller_id);
    match found {
        Some(broker) => {
            let address = directory.resolve(&format!("{}:{}", broker.host.as_str(), broker.port));
            address.and_then(|address| directory.connect(&address)).map_err(cluster)
        }
        None => directory.any_broker().map_err(cluster),
    }
}
