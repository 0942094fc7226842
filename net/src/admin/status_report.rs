//! What `duramen cluster status` shows: the cluster as a table, and what is wrong. The findings are the
//! nodes' own; only what a client alone can see is added.

use super::followers::{self, FollowerRow};
use super::health::{self, JournalRow};
use super::out;
use crate::observe::health_row::{HealthRow, now_ms};
use engine::health::{Kind, Severity, Subject, merge};
use engine::ids::BrokerIds;
use kafka_wire::MetadataResponse;
use kafka_wire::metadata_response::MetadataResponsePartition;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Findings of the same kind about the same node that are written out; the others are only counted.
const ALIKE_MAX: usize = 3;

#[derive(Serialize)]
pub struct ClusterReport {
    pub cluster: String,
    pub controller: Option<i32>,
    pub topics: usize,
    pub partitions: usize,
    pub without_leader: usize,
    pub under_replicated: usize,
    pub brokers: Vec<BrokerRow>,
    /// From the metrics pages that were named.
    pub journals: Vec<JournalRow>,
    pub followers: Vec<FollowerRow>,
    /// What is wrong; empty when all is well.
    pub findings: Vec<HealthRow>,
}

/// One shard of a node: a broker to clients.
#[derive(Serialize)]
pub struct BrokerRow {
    pub broker: i32,
    pub node: u32,
    pub shard: u16,
    pub address: String,
    pub rack: Option<String>,
    /// It answered in time.
    pub answers: bool,
    /// Partitions that it leads, and those that it keeps a copy of.
    pub leads: usize,
    pub replicas: usize,
    /// `None` when it did not answer.
    pub space: Option<Space>,
    /// Until its node's certificate ends, where it has one; less than 0 behind that.
    pub certificate_days: Option<i64>,
}

#[derive(Serialize, Clone, Copy)]
pub struct Space {
    /// Of the partitions that the shard leads.
    pub partition_bytes: u64,
    /// Of the data folder's file system.
    pub free_bytes: u64,
    pub total_bytes: u64,
}

impl ClusterReport {
    /// What the metadata says; the rest is to be asked for.
    pub fn of(metadata: &MetadataResponse, brokers: Vec<BrokerRow>) -> Self {
        Self {
            cluster: metadata.cluster_id.as_deref().unwrap_or_default().to_owned(),
            controller: (metadata.controller_id >= 0).then_some(metadata.controller_id),
            topics: metadata.topics.len(),
            partitions: partitions(metadata).count(),
            without_leader: partitions(metadata).filter(|one| one.leader_id < 0).count(),
            under_replicated: partitions(metadata).filter(|one| is_under_replicated(one)).count(),
            brokers,
            journals: Vec::new(),
            followers: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// What the nodes told, once each, and what only the asker sees.
    pub fn judge(&mut self, told: Vec<HealthRow>) {
        let (known, mut strange): (Vec<_>, Vec<_>) =
            told.into_iter().partition(|row| row.subject().is_some());
        let subject = |row: &HealthRow| -> Subject { row.subject().expect("just seen") };
        let mut findings = merge(known, subject);
        // Of a newer node's kinds: shown as they are.
        let mut seen = BTreeSet::new();
        strange.retain(|row| seen.insert(row.text.clone()));
        findings.append(&mut strange);
        findings.extend(self.own_findings(&findings));
        self.findings = findings;
    }

    fn own_findings(&self, told: &[HealthRow]) -> Vec<HealthRow> {
        let mut own = Vec::new();
        if self.controller.is_none() {
            let meaning = "topics, settings and groups cannot be changed until one is elected";
            own.push(row("no_controller", None, "there is no controller".to_owned(), meaning, SEE_NODES));
        }
        let is_down =
            |node: u32| told.iter().any(|row| row.what == Kind::NodeDown.name() && row.node == Some(node));
        for broker in self.brokers.iter().filter(|broker| !broker.answers && !is_down(broker.node)) {
            let text = format!("broker {} ({}) does not answer", broker.broker, broker.address);
            let meaning = "clients of the partitions that it leads wait, unless they reach it otherwise";
            own.push(row(
                "no_answer",
                Some(broker.node),
                text,
                meaning,
                "see that it runs, its log, and the way there",
            ));
        }
        if self.without_leader > 0 {
            let text = format!("{} partition(s) without a leader", self.without_leader);
            own.push(row("no_leader", None, text, "nothing can be written to them or read", SEE_NODES));
        }
        if self.under_replicated > 0 {
            let text = format!("{} partition(s) under-replicated", self.under_replicated);
            let meaning = "they have fewer copies that keep up than they are to have";
            own.push(row("under_replicated", None, text, meaning, SEE_NODES));
        }
        own
    }

    pub fn text(&self) -> String {
        let controller = out::or_dash(self.controller);
        let (cluster, topics, partitions) = (&self.cluster, self.topics, self.partitions);
        let mut text = format!(
            "cluster {cluster}, controller {controller}, {topics} topic(s), {partitions} partition(s), \
             {} without a leader, {} under-replicated\n\n",
            self.without_leader, self.under_replicated
        );
        let header = [
            "broker", "node", "shard", "address", "rack", "answers", "leads", "replicas", "bytes", "free",
            "of",
        ];
        text.push_str(&out::table(header, self.brokers.iter().map(BrokerRow::cells)));
        text.push_str(&self.certificates());
        if !self.journals.is_empty() {
            text.push_str("\n\n");
            text.push_str(&health::table(&self.journals));
        }
        if !self.followers.is_empty() {
            text.push_str("\n\n");
            text.push_str(&followers::table(&self.followers));
        }
        if self.findings.is_empty() {
            return text + "\n\nall is well\n";
        }
        text.push_str("\n\nwhat is wrong:\n\n");
        text.push_str(&list(&self.findings, now_ms()));
        text
    }
}

impl ClusterReport {
    /// A line for each node that has one.
    fn certificates(&self) -> String {
        let days: BTreeMap<u32, i64> =
            self.brokers.iter().filter_map(|row| Some((row.node, row.certificate_days?))).collect();
        let line = |(node, days): (&u32, &i64)| match *days {
            days if days < 0 => format!("the certificate of node {node} has expired"),
            days => format!("the certificate of node {node} ends in {days} day(s)"),
        };
        let lines: Vec<String> = days.iter().map(line).collect();
        if lines.is_empty() { String::new() } else { format!("\n\n{}", lines.join("\n")) }
    }
}

const SEE_NODES: &str = "see what else is wrong here";

fn row(what: &str, node: Option<u32>, text: String, meaning: &str, remedy: &str) -> HealthRow {
    HealthRow {
        what: what.to_owned(),
        severity: Severity::Error.name().to_owned(),
        node,
        journal: None,
        topics: Vec::new(),
        since_ms: None,
        text,
        meaning: meaning.to_owned(),
        remedy: remedy.to_owned(),
    }
}

/// Of a page that cannot be had.
pub fn page_silent(text: String, remedy: &str) -> HealthRow {
    row("no_metrics", None, text, "what this page would tell is not known here", remedy)
}

/// All findings in words; of many that are alike, a few.
fn list(findings: &[HealthRow], now_ms: i64) -> String {
    let mut text = String::new();
    let mut alike: BTreeMap<(&str, Option<u32>), Vec<u64>> = BTreeMap::new();
    for finding in findings {
        let journals = alike.entry((finding.what.as_str(), finding.node)).or_default();
        journals.extend(finding.journal);
        if journals.len() <= ALIKE_MAX {
            text.push_str(&finding.text(now_ms));
        }
    }
    for ((what, node), journals) in alike.iter().filter(|(_, journals)| journals.len() > ALIKE_MAX) {
        let others: Vec<String> = journals[ALIKE_MAX..].iter().map(u64::to_string).collect();
        let node = node.map_or_else(String::new, |node| format!(" of node {node}"));
        let (count, others) = (others.len(), others.join(", "));
        text.push_str(&format!("{what}{node}: the same of {count} more journal(s): {others}\n"));
    }
    text
}

fn partitions(metadata: &MetadataResponse) -> impl Iterator<Item = &MetadataResponsePartition> {
    metadata.topics.iter().flat_map(|topic| &topic.partitions)
}

fn is_under_replicated(partition: &MetadataResponsePartition) -> bool {
    partition.isr_nodes.len() < partition.replica_nodes.len()
}

impl BrokerRow {
    /// Before it was asked.
    pub fn of(
        metadata: &MetadataResponse,
        (id, ids): (i32, BrokerIds),
        address: String,
        rack: Option<String>,
    ) -> Self {
        let (node, shard) = ids.place(id).unwrap_or_default();
        Self {
            broker: id,
            node: node.0,
            shard: shard.0,
            address,
            rack,
            answers: false,
            leads: partitions(metadata).filter(|one| one.leader_id == id).count(),
            replicas: partitions(metadata).filter(|one| one.replica_nodes.contains(&id)).count(),
            space: None,
            certificate_days: None,
        }
    }

    fn cells(&self) -> [String; 11] {
        let of_space = |figure: fn(Space) -> u64| {
            self.space.map_or_else(|| "-".to_owned(), |space| out::bytes(figure(space)))
        };
        [
            self.broker.to_string(),
            self.node.to_string(),
            self.shard.to_string(),
            self.address.clone(),
            out::or_dash(self.rack.as_deref()),
            if self.answers { "yes" } else { "no" }.to_owned(),
            self.leads.to_string(),
            self.replicas.to_string(),
            of_space(|space| space.partition_bytes),
            of_space(|space| space.free_bytes),
            of_space(|space| space.total_bytes),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> ClusterReport {
        let space = Some(Space { partition_bytes: 1, free_bytes: 2, total_bytes: 3 });
        let broker = |broker, node, shard| BrokerRow {
            broker,
            node,
            shard,
            address: format!("h:{}", 9092 + broker),
            rack: None,
            answers: true,
            leads: 1,
            replicas: 1,
            space,
            certificate_days: None,
        };
        ClusterReport {
            cluster: "c".to_owned(),
            controller: Some(0),
            topics: 1,
            partitions: 1,
            without_leader: 0,
            under_replicated: 0,
            brokers: vec![broker(1001, 1, 1), broker(3000, 3, 0)],
            journals: Vec::new(),
            followers: Vec::new(),
            findings: Vec::new(),
        }
    }

    fn told(kind: Kind, node: Option<u32>, journal: Option<u64>, since_ms: i64) -> HealthRow {
        let text = format!("{} {node:?} {journal:?}", kind.name());
        HealthRow { journal, since_ms: Some(since_ms), ..row(kind.name(), node, text, "", "") }
    }

    fn whats(report: &ClusterReport) -> Vec<&str> {
        report.findings.iter().map(|row| row.what.as_str()).collect()
    }

    #[test]
    fn what_only_the_asker_sees_is_named() {
        let mut report = report();
        report.judge(Vec::new());
        assert!(report.findings.is_empty() && report.text().contains("all is well"));
        (report.controller, report.brokers[0].answers, report.without_leader) = (None, false, 3);
        report.judge(Vec::new());
        assert_eq!(whats(&report), ["no_controller", "no_answer", "no_leader"]);
        let text = report.text();
        assert!(text.contains("broker 1001 (h:10093) does not answer"), "{text}");
        assert!(text.contains("3 partition(s) without a leader") && !text.contains("all is well"), "{text}");
    }

    #[test]
    fn what_two_nodes_tell_is_said_once_and_a_node_that_is_down_does_not_answer_anyway() {
        let mut report = report();
        report.brokers[1].answers = false;
        report.judge(vec![
            told(Kind::NodeDown, Some(3), None, 500),
            told(Kind::NodeDown, Some(3), None, 400),
            told(Kind::ReplicaBehind, Some(3), Some(4), 100),
            HealthRow { what: "newer".to_owned(), ..told(Kind::NodeDown, None, None, 0) },
        ]);
        assert_eq!(whats(&report), ["node_down", "newer"]);
        assert_eq!(report.findings[0].since_ms, Some(400));
    }

    #[test]
    fn certificates_have_a_line_for_each_node_that_has_one() {
        let mut report = report();
        assert!(!report.text().contains("certificate"));
        (report.brokers[0].certificate_days, report.brokers[1].certificate_days) = (Some(89), Some(-1));
        let text = report.text();
        assert!(text.contains("the certificate of node 1 ends in 89 day(s)\n"), "{text}");
        assert!(text.contains("the certificate of node 3 has expired\n"), "{text}");
    }

    #[test]
    fn many_that_are_alike_are_counted() {
        let rows: Vec<HealthRow> = (1..=9).map(|id| told(Kind::NoQuorum, None, Some(id), 0)).collect();
        let text = list(&rows, 1000);
        assert_eq!(text.matches("means:").count(), ALIKE_MAX);
        assert!(text.contains("no_quorum: the same of 6 more journal(s): 4, 5, 6, 7, 8, 9\n"), "{text}");
    }
}
