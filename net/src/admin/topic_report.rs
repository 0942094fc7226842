//! What there is to say of topics: read by Metadata, DescribeConfigs, ListOffsets and
//! DescribeLogDirs, shown as a table.

use crate::admin::connection::Connection;
use crate::admin::kafka_error::check;
use crate::admin::offsets::{self, Spread};
use crate::admin::out;
use crate::admin::reach::Reach;
use crate::kafka::codec::wire::{StrBytes, Uuid};
use crate::observe::health_row::utc;
use crate::process::refusal::Refusal;
use engine::port::RewriteStatus;
use kafka_wire::describe_configs_request::DescribeConfigsResource;
use kafka_wire::metadata_request::MetadataRequestTopic;
use kafka_wire::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use kafka_wire::{DescribeConfigsRequest, MetadataRequest, MetadataResponse};
use serde::Serialize;
use std::collections::BTreeMap;

/// Of Kafka's sources of a setting: the topic itself.
const SOURCE_TOPIC: i8 = 1;

/// Metadata of these topics, or of all; nothing is created by asking, which needs version 4.
pub fn metadata(connection: &mut Connection, names: Option<&[&str]>) -> Result<MetadataResponse, Refusal> {
    let named = |name: &&str| {
        let mut topic = MetadataRequestTopic::default();
        topic.name = Some(StrBytes::from(*name));
        topic
    };
    let mut request = MetadataRequest::default();
    request.topics = names.map(|names| names.iter().map(named).collect());
    request.allow_auto_topic_creation = false;
    connection.call(4, &request)
}

/// A topic's id as Kafka's tools write it would be base64; hexadecimal is what the broker's own
/// tools show.
pub fn id_text(id: Uuid) -> String {
    id.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Serialize, Debug, PartialEq, Eq)]
pub struct TopicRow {
    name: String,
    partitions: usize,
    replication_factor: usize,
    internal: bool,
}

pub fn list(metadata: &MetadataResponse, internal: bool) -> Vec<TopicRow> {
    let shown = metadata.topics.iter().filter(|topic| internal || !topic.is_internal);
    let mut rows: Vec<TopicRow> = shown.map(row).collect();
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    rows
}

fn row(topic: &MetadataResponseTopic) -> TopicRow {
    let replicas = topic.partitions.iter().map(|partition| partition.replica_nodes.len());
    TopicRow {
        name: topic.name.as_deref().unwrap_or_default().to_owned(),
        partitions: topic.partitions.len(),
        replication_factor: replicas.max().unwrap_or(0),
        internal: topic.is_internal,
    }
}

pub fn list_table(rows: &[TopicRow]) -> String {
    if rows.is_empty() {
        return "no topics".to_owned();
    }
    let cells = rows.iter().map(|row| {
        let internal = if row.internal { "yes" } else { "" };
        [
            row.name.clone(),
            row.partitions.to_string(),
            row.replication_factor.to_string(),
            internal.to_owned(),
        ]
    });
    out::table(["topic", "partitions", "replication", "internal"], cells)
}

#[derive(Serialize)]
pub struct TopicReport {
    name: String,
    id: String,
    internal: bool,
    partitions: Vec<PartitionRow>,
    settings: Vec<SettingRow>,
}

#[derive(Serialize)]
struct PartitionRow {
    partition: i32,
    /// A broker id: node × stride + shard on Duramen; `None` while there is no leader.
    leader: Option<i32>,
    leader_epoch: i32,
    replicas: Vec<i32>,
    in_sync: Vec<i32>,
    /// `None` where the leader did not answer.
    first_offset: Option<i64>,
    next_offset: Option<i64>,
    bytes: Option<u64>,
    /// Where compaction is asked for.
    compaction: Option<CompactionRow>,
}

/// How compaction stands in a partition's journal, since its leader began.
#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
struct CompactionRow {
    journal: u64,
    clean_bytes: u64,
    dirty_bytes: u64,
    dirty_percent: u32,
    run_bytes: u64,
    passes: u64,
    read_bytes: u64,
    written_bytes: u64,
    freed_bytes: u64,
    /// Milliseconds since 1970; none before the first.
    last_pass_ms: Option<i64>,
    why_not_now: &'static str,
}

#[derive(Serialize)]
struct SettingRow {
    key: String,
    value: Option<String>,
    /// Set on the topic itself.
    own: bool,
}

impl TopicReport {
    pub fn ask(connection: &mut Connection, reach: &Reach, name: &str) -> Result<Self, Refusal> {
        let metadata = metadata(connection, Some(&[name]))?;
        let topic = metadata.topics.first().ok_or_else(|| left_out(connection))?;
        check(&format!("topic '{name}'"), topic.error_code, None)?;
        let spread = offsets::ask(reach, &metadata, topic);
        let mut partitions: Vec<PartitionRow> =
            topic.partitions.iter().map(|partition| partition_row(partition, &spread)).collect();
        partitions.sort_by_key(|row| row.partition);
        Ok(Self {
            name: name.to_owned(),
            id: id_text(topic.topic_id),
            internal: topic.is_internal,
            partitions,
            settings: settings(connection, name)?,
        })
    }

    pub fn text(&self) -> String {
        let (name, id, count) = (&self.name, &self.id, self.partitions.len());
        let internal = if self.internal { ", internal" } else { "" };
        let mut text = format!("{name}: {count} partition(s), id {id}{internal}\n");
        let own = self.settings.iter().filter(|setting| setting.own);
        for SettingRow { key, value, .. } in own {
            text.push_str(&format!("  {key}={}\n", value.as_deref().unwrap_or_default()));
        }
        let header =
            ["partition", "leader", "epoch", "replicas", "in sync", "first offset", "next offset", "bytes"];
        text.push_str(&out::table(header, self.partitions.iter().map(PartitionRow::cells)));
        let compacted: BTreeMap<u64, &CompactionRow> = self
            .partitions
            .iter()
            .filter_map(|row| row.compaction.as_ref())
            .map(|row| (row.journal, row))
            .collect();
        if !compacted.is_empty() {
            let header = ["journal", "dirty", "of", "run", "last pass", "freed", "no pass now, because"];
            text.push_str("\n\ncompaction, by journal:\n");
            text.push_str(&out::table(header, compacted.into_values().map(CompactionRow::cells)));
        }
        text
    }
}

impl CompactionRow {
    fn of(journal: u64, status: &RewriteStatus) -> Self {
        Self {
            journal,
            clean_bytes: status.clean_bytes,
            dirty_bytes: status.dirty_bytes,
            dirty_percent: status.dirty_ppm() / 10_000,
            run_bytes: status.run_bytes,
            passes: status.passes,
            read_bytes: status.input_bytes,
            written_bytes: status.output_bytes,
            freed_bytes: status.freed_bytes(),
            last_pass_ms: (status.last_ms > 0).then_some(status.last_ms),
            why_not_now: status.why_not.text(),
        }
    }

    fn cells(&self) -> [String; 7] {
        [
            self.journal.to_string(),
            format!("{} %", self.dirty_percent),
            out::bytes(self.clean_bytes + self.dirty_bytes),
            out::bytes(self.run_bytes),
            out::or_dash(self.last_pass_ms.map(utc)),
            out::bytes(self.freed_bytes),
            self.why_not_now.to_owned(),
        ]
    }
}

fn partition_row(partition: &MetadataResponsePartition, spread: &Spread) -> PartitionRow {
    let at = spread.get(&partition.partition_index);
    PartitionRow {
        partition: partition.partition_index,
        leader: (partition.leader_id >= 0).then_some(partition.leader_id),
        leader_epoch: partition.leader_epoch,
        replicas: partition.replica_nodes.clone(),
        in_sync: partition.isr_nodes.clone(),
        first_offset: at.and_then(|at| at.first),
        next_offset: at.and_then(|at| at.next),
        bytes: at.and_then(|at| at.bytes),
        compaction: at
            .and_then(|at| at.rewriting)
            .map(|(journal, status)| CompactionRow::of(journal, &status)),
    }
}

impl PartitionRow {
    fn cells(&self) -> [String; 8] {
        [
            self.partition.to_string(),
            out::or_dash(self.leader),
            self.leader_epoch.to_string(),
            out::list(&self.replicas),
            out::list(&self.in_sync),
            out::or_dash(self.first_offset),
            out::or_dash(self.next_offset),
            self.bytes.map_or_else(|| "-".to_owned(), out::bytes),
        ]
    }
}

fn settings(connection: &mut Connection, name: &str) -> Result<Vec<SettingRow>, Refusal> {
    let mut resource = DescribeConfigsResource::default();
    (resource.resource_type, resource.resource_name) = (RESOURCE_TOPIC, name.into());
    resource.configuration_keys = None;
    let mut request = DescribeConfigsRequest::default();
    request.resources.push(resource);
    let response = connection.call(1, &request)?;
    let described = response.results.into_iter().next().ok_or_else(|| left_out(connection))?;
    check(&format!("topic '{name}'"), described.error_code, described.error_message.as_deref())?;
    let rows = described.configs.into_iter().map(|config| SettingRow {
        key: config.name.as_str().to_owned(),
        value: config.value.map(|value| value.as_str().to_owned()),
        own: config.config_source == SOURCE_TOPIC,
    });
    Ok(rows.collect())
}

/// Of Kafka's kinds of resource in the configuration APIs.
pub const RESOURCE_TOPIC: i8 = 2;

/// The broker answered, but not about what it was asked for.
pub fn left_out(connection: &Connection) -> Refusal {
    let what = format!("{} left out of its answer what it was asked for", connection.address());
    Refusal::refused(what, "see the broker's log")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str, internal: bool, replicas: &[i32]) -> MetadataResponseTopic {
        let mut partition = MetadataResponsePartition::default();
        partition.replica_nodes = replicas.to_vec();
        let mut topic = MetadataResponseTopic::default();
        (topic.name, topic.is_internal) = (Some(name.into()), internal);
        topic.partitions.push(partition);
        topic
    }

    #[test]
    fn topics_are_listed_by_name_and_internal_ones_on_demand() {
        let mut metadata = MetadataResponse::default();
        metadata.topics =
            vec![topic("b", false, &[0]), topic("__i", true, &[0]), topic("a", false, &[0, 1000])];
        let shown = list(&metadata, false);
        let names: Vec<(&str, usize)> =
            shown.iter().map(|row| (row.name.as_str(), row.replication_factor)).collect();
        assert_eq!(names, [("a", 2), ("b", 1)]);
        assert_eq!(list(&metadata, true).len(), 3);
        assert_eq!(list_table(&[]), "no topics");
    }
}
