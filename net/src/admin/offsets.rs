//! First and next offsets and bytes of a topic's partitions, each from the broker that leads it.

use super::connection::Connection;
use super::reach::Reach;
use crate::kafka::rewrite_tag;
use crate::process::refusal::Refusal;
use engine::port::RewriteStatus;
use kafka_wire::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_wire::describe_log_dirs_response::DescribeLogDirsPartition;
use kafka_wire::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_wire::metadata_response::{MetadataResponseBroker, MetadataResponseTopic};
use kafka_wire::{DescribeLogDirsRequest, ListOffsetsRequest, MetadataResponse};
use std::collections::BTreeMap;

/// By partition.
pub type Spread = BTreeMap<i32, Extent>;

/// What a leader said; `None` where it did not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    pub first: Option<i64>,
    pub next: Option<i64>,
    pub bytes: Option<u64>,
    /// Its journal, and how compaction stands there, where it is asked for.
    pub rewriting: Option<(u64, RewriteStatus)>,
}

const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

/// Asks every leader; one that does not answer leaves its partitions out, so that a description
/// of a cluster that is unwell is still one.
pub fn ask(reach: &Reach, metadata: &MetadataResponse, topic: &MetadataResponseTopic) -> Spread {
    let name = topic.name.as_deref().unwrap_or_default();
    let mut spread = Spread::new();
    for (broker, led) in leaders(metadata, topic) {
        let Some(mut connection) = connect(reach, broker) else { continue };
        for (partition, offset) in list_offsets(&mut connection, name, &led, EARLIEST) {
            spread.entry(partition).or_default().first = Some(offset);
        }
        for (partition, offset) in list_offsets(&mut connection, name, &led, LATEST) {
            spread.entry(partition).or_default().next = Some(offset);
        }
        for (partition, bytes, rewriting) in log_dirs(&mut connection, name, &led) {
            let extent = spread.entry(partition).or_default();
            (extent.bytes, extent.rewriting) = (Some(bytes), rewriting);
        }
    }
    spread
}

/// The offset of each partition's first record at or after a time; −1 where there is none.
pub fn at(
    reach: &Reach,
    metadata: &MetadataResponse,
    topic: &MetadataResponseTopic,
    time_ms: i64,
) -> BTreeMap<i32, i64> {
    let name = topic.name.as_deref().unwrap_or_default();
    let mut found = BTreeMap::new();
    for (broker, led) in leaders(metadata, topic) {
        if let Some(mut connection) = connect(reach, broker) {
            found.extend(list_offsets(&mut connection, name, &led, time_ms.max(0)));
        }
    }
    found
}

/// Each broker that leads partitions of the topic, with these.
pub fn leaders<'a>(
    metadata: &'a MetadataResponse,
    topic: &MetadataResponseTopic,
) -> Vec<(&'a MetadataResponseBroker, Vec<i32>)> {
    let led = |broker: &MetadataResponseBroker| {
        let led = topic.partitions.iter().filter(|partition| partition.leader_id == broker.node_id);
        led.map(|partition| partition.partition_index).collect()
    };
    let brokers = metadata.brokers.iter().map(|broker| (broker, led(broker)));
    brokers.filter(|(_, led): &(_, Vec<i32>)| !led.is_empty()).collect()
}

/// A connection to a broker of a Metadata answer.
pub fn connect(reach: &Reach, broker: &MetadataResponseBroker) -> Option<Connection> {
    let port = u16::try_from(broker.port).ok()?;
    Connection::open(reach.access().ok()?, &broker.host, port, reach.timeout()).ok()
}

/// The same, where the command is nothing without that broker.
pub fn must_connect(reach: &Reach, broker: &MetadataResponseBroker) -> Result<Connection, Refusal> {
    connect(reach, broker).ok_or_else(|| {
        Refusal::environment(format!("broker {} does not answer", broker.node_id), "check that it runs")
    })
}

fn list_offsets(connection: &mut Connection, name: &str, led: &[i32], timestamp: i64) -> Vec<(i32, i64)> {
    let mut topic = ListOffsetsTopic::default();
    topic.name = name.into();
    topic.partitions = led
        .iter()
        .map(|&number| {
            let mut partition = ListOffsetsPartition::default();
            (partition.partition_index, partition.current_leader_epoch) = (number, -1);
            partition.timestamp = timestamp;
            partition
        })
        .collect();
    let mut request = ListOffsetsRequest::default();
    request.replica_id = -1;
    request.topics.push(topic);
    let Ok(response) = connection.call(1, &request) else { return Vec::new() };
    let partitions = response.topics.into_iter().flat_map(|topic| topic.partitions);
    partitions.filter(|one| one.error_code == 0).map(|one| (one.partition_index, one.offset)).collect()
}

/// A partition, its bytes, and its compaction.
type InFolder = (i32, u64, Option<(u64, RewriteStatus)>);

/// Fields that other clients do not send come from version 2 on.
fn log_dirs(connection: &mut Connection, name: &str, led: &[i32]) -> Vec<InFolder> {
    let mut topic = DescribableLogDirTopic::default();
    (topic.topic, topic.partitions) = (name.into(), led.to_vec());
    let mut request = DescribeLogDirsRequest::default();
    request.topics = Some(vec![topic]);
    request.unknown_tagged_fields = rewrite_tag::question();
    let Ok(response) = connection.call(2, &request) else { return Vec::new() };
    let topics = response.results.into_iter().flat_map(|folder| folder.topics);
    let partitions = topics.flat_map(|topic| topic.partitions);
    let row = |one: DescribeLogDirsPartition| {
        let bytes = u64::try_from(one.partition_size).unwrap_or(0);
        (one.partition_index, bytes, rewrite_tag::read(&one.unknown_tagged_fields))
    };
    partitions.map(row).collect()
}
