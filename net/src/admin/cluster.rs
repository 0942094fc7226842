//! `duramen cluster status`: nodes, shards, leaders, space and what is wrong.

use super::broker_ids;
use super::connection::Connection;
use super::followers::{self, FollowerRow};
use super::health::{self, JournalRow};
use super::offsets;
use super::out::{self, Out};
use super::reach::Reach;
use super::topic_report;
use crate::refusal::{EXIT_DATA, Refusal};
use clap::Subcommand;
use engine::ids::BrokerIds;
use kafka_wire::metadata_response::{MetadataResponseBroker, MetadataResponsePartition};
use kafka_wire::{DescribeLogDirsRequest, MetadataResponse};
use serde::Serialize;
use std::process::ExitCode;

#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Show nodes, shards, leaders, space and what is wrong; ends with 3 when something is
    Status {
        /// Where a broker serves its metrics page (its --http-listen): shows its journals, their
        /// lag and damage, too. May be given once for each node
        #[arg(long, value_name = "HOST:PORT")]
        metrics: Vec<String>,
    },
}

pub fn run(verb: &Verb, reach: &Reach, out: Out) -> Result<ExitCode, Refusal> {
    let Verb::Status { metrics } = verb;
    let mut connection = reach.connect()?;
    let report = ClusterReport::ask(&mut connection, reach, metrics)?;
    out.show(&report, ClusterReport::text)?;
    Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_DATA) })
}

#[derive(Serialize)]
struct ClusterReport {
    cluster: String,
    controller: Option<i32>,
    topics: usize,
    partitions: usize,
    without_leader: usize,
    under_replicated: usize,
    brokers: Vec<BrokerRow>,
    /// From the metrics pages that were named.
    journals: Vec<JournalRow>,
    followers: Vec<FollowerRow>,
    /// For people; empty when all is well.
    problems: Vec<String>,
}

/// One shard of a node: a broker to clients.
#[derive(Serialize)]
struct BrokerRow {
    broker: i32,
    node: u32,
    shard: u16,
    address: String,
    rack: Option<String>,
    /// Partitions that it leads, and those that it keeps a copy of.
    leads: usize,
    replicas: usize,
    /// `None` when it did not answer.
    space: Option<Space>,
}

#[derive(Serialize, Clone, Copy)]
struct Space {
    /// Of the partitions that the shard leads.
    partition_bytes: u64,
    /// Of the data folder's file system.
    free_bytes: u64,
    total_bytes: u64,
}

impl ClusterReport {
    fn ask(connection: &mut Connection, reach: &Reach, metrics: &[String]) -> Result<Self, Refusal> {
        let metadata = topic_report::metadata(connection, None)?;
        let health = health::read(metrics, reach.timeout())?;
        let ids = broker_ids::ask(connection, &metadata)?;
        let row = |broker| BrokerRow::ask(reach, &metadata, ids, broker);
        let brokers: Vec<BrokerRow> = metadata.brokers.iter().map(row).collect();
        let mut report = Self {
            cluster: metadata.cluster_id.as_deref().unwrap_or_default().to_owned(),
            controller: (metadata.controller_id >= 0).then_some(metadata.controller_id),
            topics: metadata.topics.len(),
            partitions: partitions(&metadata).count(),
            without_leader: partitions(&metadata).filter(|one| one.leader_id < 0).count(),
            under_replicated: partitions(&metadata).filter(|one| is_under_replicated(one)).count(),
            brokers,
            journals: health.journals,
            followers: health.followers,
            problems: Vec::new(),
        };
        report.problems = health.silent;
        report.problems.extend(health.joining);
        report.problems.extend(report.find_problems());
        Ok(report)
    }

    fn find_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.controller.is_none() {
            problems.push("there is no controller".to_owned());
        }
        let silent = self.brokers.iter().filter(|broker| broker.space.is_none());
        problems.extend(silent.map(|one| format!("broker {} ({}) does not answer", one.broker, one.address)));
        let counted =
            [(self.without_leader, "without a leader"), (self.under_replicated, "under-replicated")];
        let counted = counted.into_iter().filter(|(count, _)| *count > 0);
        problems.extend(counted.map(|(count, what)| format!("{count} partition(s) {what}")));
        problems.extend(self.journals.iter().flat_map(JournalRow::problems));
        problems.extend(self.followers.iter().filter_map(FollowerRow::problem));
        problems
    }

    fn text(&self) -> String {
        let controller = out::or_dash(self.controller);
        let (cluster, topics, partitions) = (&self.cluster, self.topics, self.partitions);
        let mut text = format!(
            "cluster {cluster}, controller {controller}, {topics} topic(s), {partitions} partition(s), \
             {} without a leader, {} under-replicated\n\n",
            self.without_leader, self.under_replicated
        );
        let header =
            ["broker", "node", "shard", "address", "rack", "leads", "replicas", "bytes", "free", "of"];
        text.push_str(&out::table(header, self.brokers.iter().map(BrokerRow::cells)));
        if !self.journals.is_empty() {
            text.push_str("\n\n");
            text.push_str(&health::table(&self.journals));
        }
        if !self.followers.is_empty() {
            text.push_str("\n\n");
            text.push_str(&followers::table(&self.followers));
        }
        text.push_str(if self.problems.is_empty() { "\n\nall is well\n" } else { "\n\nwhat is wrong:\n" });
        self.problems.iter().for_each(|problem| text.push_str(&format!("  {problem}\n")));
        text
    }
}

fn partitions(metadata: &MetadataResponse) -> impl Iterator<Item = &MetadataResponsePartition> {
    metadata.topics.iter().flat_map(|topic| &topic.partitions)
}

fn is_under_replicated(partition: &MetadataResponsePartition) -> bool {
    partition.isr_nodes.len() < partition.replica_nodes.len()
}

impl BrokerRow {
    fn ask(
        reach: &Reach,
        metadata: &MetadataResponse,
        ids: BrokerIds,
        broker: &MetadataResponseBroker,
    ) -> Self {
        let id = broker.node_id;
        let (node, shard) = ids.place(id).unwrap_or_default();
        let space = offsets::connect(reach, broker).and_then(|mut connection| space(&mut connection));
        Self {
            broker: id,
            node: node.0,
            shard: shard.0,
            address: format!("{}:{}", broker.host.as_str(), broker.port),
            rack: broker.rack.as_deref().map(str::to_owned),
            leads: partitions(metadata).filter(|one| one.leader_id == id).count(),
            replicas: partitions(metadata).filter(|one| one.replica_nodes.contains(&id)).count(),
            space,
        }
    }

    fn cells(&self) -> [String; 10] {
        let of_space = |figure: fn(Space) -> u64| {
            self.space.map_or_else(|| "-".to_owned(), |space| out::bytes(figure(space)))
        };
        [
            self.broker.to_string(),
            self.node.to_string(),
            self.shard.to_string(),
            self.address.clone(),
            out::or_dash(self.rack.as_deref()),
            self.leads.to_string(),
            self.replicas.to_string(),
            of_space(|space| space.partition_bytes),
            of_space(|space| space.free_bytes),
            of_space(|space| space.total_bytes),
        ]
    }
}

/// Version 4 tells the file system's space.
fn space(connection: &mut Connection) -> Option<Space> {
    let mut request = DescribeLogDirsRequest::default();
    request.topics = None;
    let response = connection.call(4, &request).ok()?;
    let folder = response.results.first()?;
    let partitions = folder.topics.iter().flat_map(|topic| &topic.partitions);
    let known = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
    Some(Space {
        partition_bytes: partitions.map(|one| known(one.partition_size)).sum(),
        free_bytes: known(folder.usable_bytes),
        total_bytes: known(folder.total_bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> ClusterReport {
        let broker = BrokerRow {
            broker: 1001,
            node: 1,
            shard: 1,
            address: "h:9093".to_owned(),
            rack: None,
            leads: 1,
            replicas: 1,
            space: Some(Space { partition_bytes: 1, free_bytes: 2, total_bytes: 3 }),
        };
        ClusterReport {
            cluster: "c".to_owned(),
            controller: Some(0),
            topics: 1,
            partitions: 1,
            without_leader: 0,
            under_replicated: 0,
            brokers: vec![broker],
            journals: Vec::new(),
            followers: Vec::new(),
            problems: Vec::new(),
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut report = report();
        assert!(report.find_problems().is_empty() && report.text().contains("all is well"));
        (report.controller, report.brokers[0].space, report.without_leader) = (None, None, 3);
        report.problems = report.find_problems();
        assert_eq!(report.problems.len(), 3);
        let text = report.text();
        assert!(text.contains("broker 1001 (h:9093) does not answer"), "{text}");
        assert!(text.contains("3 partition(s) without a leader") && !text.contains("all is well"), "{text}");
    }
}
