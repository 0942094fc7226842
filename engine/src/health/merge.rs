//! What several shards or nodes found, as one list: said once, by whoever knows most.

use super::finding::{Finding, Kind};
use crate::ids::{JournalId, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    pub kind: Kind,
    pub node: Option<NodeId>,
    pub journal: Option<JournalId>,
    pub since_ms: i64,
}

impl Subject {
    pub fn of(finding: &Finding) -> Self {
        let Finding { node, journal, since_ms, .. } = *finding;
        Self { kind: finding.what.kind(), node, journal, since_ms }
    }
}

/// One finding is kept for each: its group of kinds, its journal, its node.
type Place = (Kind, Option<JournalId>, Option<NodeId>);

/// Keeps of all findings about the same the one that says most, and of those the oldest; and nothing of
/// replicas that only says again that their node is down.
pub fn merge<T>(findings: impl IntoIterator<Item = T>, subject: impl Fn(&T) -> Subject) -> Vec<T> {
    let mut kept: BTreeMap<Place, (Subject, T)> = BTreeMap::new();
    for one in findings {
        let of_one = subject(&one);
        let group = if of_one.kind.is_of_replica() { Kind::ReplicaNotMember } else { of_one.kind };
        let key = (group, of_one.journal, of_one.node);
        let is_better =
            |(before, _): &(Subject, T)| (of_one.kind, of_one.since_ms) < (before.kind, before.since_ms);
        if kept.get(&key).is_none_or(is_better) {
            kept.insert(key, (of_one, one));
        }
    }
    let is_down = |(subject, _): &&(Subject, T)| subject.kind == Kind::NodeDown;
    let down: BTreeSet<Option<NodeId>> =
        kept.values().filter(is_down).map(|(subject, _)| subject.node).collect();
    // What its leader sees of a replica follows from its node's absence; what it said itself does not.
    let follows = |subject: &Subject| {
        matches!(subject.kind, Kind::ReplicaBehind | Kind::ReplicaCatchingUp) && down.contains(&subject.node)
    };
    let mut left: Vec<(Subject, T)> = kept.into_values().filter(|(subject, _)| !follows(subject)).collect();
    left.sort_by_key(|(subject, _)| (subject.kind, subject.journal, subject.node));
    left.into_iter().map(|(_, one)| one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(kind: Kind, node: u32, journal: Option<u64>, since_ms: i64) -> Subject {
        Subject { kind, node: Some(NodeId(node)), journal: journal.map(JournalId), since_ms }
    }

    #[test]
    fn each_thing_is_said_once_by_whoever_knows_most() {
        let down = about(Kind::NodeDown, 3, None, 20);
        let quarantined = about(Kind::ReplicaQuarantined, 2, Some(4), 90);
        let said = [
            about(Kind::NodeDown, 3, None, 30),
            down,
            about(Kind::ReplicaBehind, 3, Some(4), 10),
            about(Kind::ReplicaBehind, 2, Some(4), 10),
            quarantined,
            about(Kind::ReplicaBehind, 2, Some(5), 10),
        ];
        let merged = merge(said, |subject| *subject);
        assert_eq!(merged, [down, quarantined, about(Kind::ReplicaBehind, 2, Some(5), 10)]);
    }
}
