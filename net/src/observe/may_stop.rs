//! Whether nodes may be stopped: no journal may lose its quorum by it, nor its only whole copy. Each node tells what
//! it knows of every journal; who asks several nodes believes a journal's leader first.

use engine::health::{Finding, Kind};
use kafka_wire_core::{TaggedField, TaggedFields};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// `dura` + 1: beside the findings in the answer of DescribeCluster.
const TAG: u32 = u32::from_be_bytes(*b"dura") + 1;

/// What a node knows of the cluster's journals.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownJournals {
    /// Who tells.
    pub node: u32,
    /// All nodes of the cluster.
    pub nodes: Vec<u32>,
    pub journals: Vec<KnownJournal>,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct KnownJournal {
    pub journal: u64,
    /// Some of its topics.
    pub topics: Vec<String>,
    pub replicas: Vec<u32>,
    pub leader: Option<u32>,
    /// The nodes whose replica keeps up with the leader, and that were there for long enough to know.
    pub whole: Vec<u32>,
}

/// A replica that something is wrong with: of this journal, or of all of its node.
pub type Unwell = BTreeSet<(u32, Option<u64>)>;

/// Why nodes may not be stopped.
#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub journal: Option<u64>,
    pub topics: Vec<String>,
    pub text: String,
}

impl KnownJournals {
    /// In the answer of DescribeCluster, behind the findings.
    pub fn append_to(&self, tags: TaggedFields) -> TaggedFields {
        let mut fields: Vec<TaggedField> = tags.iter().cloned().collect();
        let bytes = serde_json::to_vec(self).expect("standings are plain values");
        fields.push(TaggedField::new(TAG, bytes.into()));
        fields.sort_by_key(TaggedField::tag);
        TaggedFields::from_sorted(fields).expect("just sorted")
    }

    /// None of a broker that does not know of it.
    pub fn read(tags: &TaggedFields) -> Option<Self> {
        serde_json::from_slice(tags.iter().find(|field| field.tag() == TAG)?.data()).ok()
    }
}

/// What of these is about replicas that count for nothing.
pub fn unwell<'a>(findings: impl IntoIterator<Item = (Kind, Option<u32>, Option<u64>)> + 'a) -> Unwell {
    let of_one = |(kind, node, journal): (Kind, Option<u32>, Option<u64>)| match kind {
        Kind::NodeDown => Some((node?, None)),
        kind if kind.is_of_replica() => Some((node?, Some(journal?))),
        _ => None,
    };
    findings.into_iter().filter_map(of_one).collect()
}

/// The same of a node's own list.
pub fn unwell_here(findings: &[Finding]) -> Unwell {
    unwell(
        findings
            .iter()
            .map(|one| (one.what.kind(), one.node.map(|node| node.0), one.journal.map(|journal| journal.0))),
    )
}

/// Of what several nodes tell: of each journal its leader's word, else anybody's.
pub fn merged(standings: &[KnownJournals]) -> KnownJournals {
    let mut journals: BTreeMap<u64, (bool, KnownJournal)> = BTreeMap::new();
    for standing in standings {
        for journal in &standing.journals {
            let is_leader = journal.leader == Some(standing.node);
            let known = journals.get(&journal.journal);
            if known.is_none_or(|(was_leader, _)| is_leader && !was_leader) {
                journals.insert(journal.journal, (is_leader, journal.clone()));
            }
        }
    }
    assert!(journals.len() <= standings.iter().map(|one| one.journals.len()).sum(), "each was told");
    let nodes: BTreeSet<u32> = standings.iter().flat_map(|one| one.nodes.iter().copied()).collect();
    let journals = journals.into_values().map(|(_, journal)| journal).collect();
    KnownJournals { node: 0, nodes: nodes.into_iter().collect(), journals }
}

/// Why these nodes may not be stopped, all of them at once; nothing where they may.
pub fn reasons(standing: &KnownJournals, unwell: &Unwell, stopping: &BTreeSet<u32>) -> Vec<Reason> {
    let whole_cluster = |text: String| Reason { journal: None, topics: Vec::new(), text };
    if standing.journals.is_empty() {
        return vec![whole_cluster("nothing is known of the cluster's journals yet".to_owned())];
    }
    let stranger = |node: &&u32| !standing.nodes.contains(node);
    let mut reasons: Vec<Reason> = stopping
        .iter()
        .filter(stranger)
        .map(|node| whole_cluster(format!("the cluster has no node {node}")))
        .collect();
    let concerned =
        standing.journals.iter().filter(|one| one.replicas.iter().any(|node| stopping.contains(node)));
    reasons.extend(concerned.filter_map(|journal| {
        let text = journal.reason(unwell, stopping)?;
        Some(Reason { journal: Some(journal.journal), topics: journal.topics.clone(), text })
    }));
    reasons
}

impl KnownJournal {
    fn reason(&self, unwell: &Unwell, stopping: &BTreeSet<u32>) -> Option<String> {
        let stops: Vec<u32> = self.replicas.iter().copied().filter(|node| stopping.contains(node)).collect();
        if self.replicas.iter().all(|node| stopping.contains(node)) {
            return Some(match self.replicas.as_slice() {
                [node] => format!("node {node} has its only copy"),
                _ => "all of its replicas are on these nodes".to_owned(),
            });
        }
        if self.leader.is_none() {
            return Some("nobody is known to lead it".to_owned());
        }
        let is_unwell =
            |node: &u32| unwell.contains(&(*node, None)) || unwell.contains(&(*node, Some(self.journal)));
        let left: Vec<u32> =
            self.whole.iter().copied().filter(|node| !stops.contains(node) && !is_unwell(node)).collect();
        let needed = self.replicas.len() / 2 + 1;
        assert!(left.iter().all(|node| !stopping.contains(node)), "who stops is none that is left");
        if left.len() >= needed {
            return None;
        }
        let of = self.replicas.len();
        Some(match left.as_slice() {
            [] => format!("no whole replica would be left of {of}"),
            left => {
                let nodes: Vec<String> = left.iter().map(u32::to_string).collect();
                format!(
                    "whole replicas would be left on node(s) {} of {of}, and it needs {needed}",
                    nodes.join(", ")
                )
            }
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.journal, self.topics.as_slice()) {
            (None, _) => {}
            (Some(0), _) => write!(f, "journal 0 (the cluster's metadata): ")?,
            (Some(journal), []) => write!(f, "journal {journal}: ")?,
            (Some(journal), topics) => write!(f, "journal {journal} ({}): ", topics.join(", "))?,
        }
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(journal: u64, replicas: &[u32], leader: Option<u32>, whole: &[u32]) -> KnownJournal {
        let topics = vec!["t".to_owned()];
        KnownJournal { journal, topics, replicas: replicas.to_vec(), leader, whole: whole.to_vec() }
    }

    fn told(journals: Vec<KnownJournal>) -> KnownJournals {
        KnownJournals { node: 1, nodes: vec![1, 2, 3], journals }
    }

    fn said(standing: &KnownJournals, unwell: &Unwell, stopping: &[u32]) -> Vec<String> {
        reasons(standing, unwell, &stopping.iter().copied().collect()).iter().map(Reason::to_string).collect()
    }

    #[test]
    fn one_of_three_may_stop_and_two_may_not() {
        let all = told(vec![journal(0, &[1, 2, 3], Some(1), &[1, 2, 3])]);
        let well = Unwell::new();
        assert_eq!(said(&all, &well, &[3]), [""; 0]);
        assert_eq!(
            said(&all, &well, &[2, 3]),
            [
                "journal 0 (the cluster's metadata): whole replicas would be left on node(s) 1 of 3, and it needs 2"
            ]
        );
        assert_eq!(said(&all, &well, &[1, 2, 3]).len(), 1);
        assert_eq!(said(&all, &well, &[4]), ["the cluster has no node 4"]);
        let behind = told(vec![journal(4, &[1, 2, 3], Some(1), &[1, 3])]);
        assert_eq!(said(&behind, &well, &[2]), [""; 0], "who is behind may stop");
        assert_eq!(said(&behind, &well, &[3]).len(), 1);
        let unknown = told(vec![journal(4, &[1, 2, 3], None, &[])]);
        assert_eq!(said(&unknown, &well, &[3]), ["journal 4 (t): nobody is known to lead it"]);
        assert_eq!(said(&told(Vec::new()), &well, &[3]).len(), 1);
    }

    #[test]
    fn an_only_copy_stays_and_damage_counts_where_it_is() {
        let only = told(vec![journal(5, &[2], Some(2), &[2])]);
        assert_eq!(said(&only, &Unwell::new(), &[2]), ["journal 5 (t): node 2 has its only copy"]);
        assert_eq!(said(&only, &Unwell::new(), &[1]), [""; 0]);
        let all = told(vec![journal(4, &[1, 2, 3], Some(1), &[1, 2, 3])]);
        let damaged =
            unwell([(Kind::ReplicaDamaged, Some(2), Some(4)), (Kind::DiskNearlyFull, Some(1), None)]);
        assert_eq!(said(&all, &damaged, &[3]).len(), 1);
        assert_eq!(said(&all, &damaged, &[2]), [""; 0], "the damaged one may stop");
        assert_eq!(said(&all, &unwell([(Kind::ReplicaDamaged, Some(2), Some(9))]), &[3]), [""; 0]);
        assert_eq!(said(&all, &unwell([(Kind::NodeDown, Some(2), None)]), &[3]).len(), 1);
    }

    #[test]
    fn a_leader_knows_best_and_what_is_told_survives_its_way() {
        let stale = KnownJournals { node: 2, ..told(vec![journal(4, &[1, 2, 3], Some(3), &[1, 2, 3])]) };
        let own = told(vec![journal(4, &[1, 2, 3], Some(1), &[1])]);
        for order in [[stale.clone(), own.clone()], [own.clone(), stale]] {
            assert_eq!(merged(&order).journals, own.journals);
        }
        let tags = own.append_to(TaggedFields::default());
        assert_eq!(KnownJournals::read(&tags), Some(own));
        assert_eq!(KnownJournals::read(&TaggedFields::default()), None);
    }
}
