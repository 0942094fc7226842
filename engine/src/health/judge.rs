//! From facts to findings. Nothing here remembers anything.

use super::after::{DOWN_AFTER, LEADERLESS_AFTER};
use super::finding::{Finding, Topics, What};
use super::known::{DiskFacts, JournalFacts, Known, ReplicaState};
use crate::ids::{JournalId, NodeId};
use core::time::Duration;
use std::collections::BTreeSet;

/// All that is wrong, as far as these facts tell it. What follows from another finding is left out: of a
/// node that is down no replica is told to be behind.
pub fn judge(known: &Known) -> Vec<Finding> {
    let mut findings = Vec::new();
    let down: BTreeSet<NodeId> = known
        .nodes
        .iter()
        .filter(|node| is_over(known, node.heard_ns, DOWN_AFTER))
        .map(|node| node.node)
        .collect();
    for node in known.nodes.iter().filter(|node| known.tells_of_nodes && down.contains(&node.node)) {
        findings.push(finding(known, What::NodeDown, Some(node.node), None, Some(node.heard_ns)));
    }
    for journal in &known.journals {
        judge_journal(known, journal, &down, &mut findings);
    }
    if let Some(disk) = known.disk.filter(is_nearly_full) {
        let DiskFacts { free_bytes, total_bytes, .. } = disk;
        let what = What::DiskNearlyFull { free_bytes, total_bytes };
        findings.push(finding(known, what, Some(known.node), None, None));
    }
    if let Some(drift_ms) = known.clock_drift_ms {
        findings.push(finding(known, What::ClockDistrusted { drift_ms }, Some(known.node), None, None));
    }
    findings
}

fn judge_journal(known: &Known, facts: &JournalFacts, down: &BTreeSet<NodeId>, findings: &mut Vec<Finding>) {
    let journal = Some(facts.journal);
    // Whoever is out itself cannot tell whether the others have a leader.
    let takes_part = facts.own < ReplicaState::Refusing { ranges: 0 };
    let leaderless_ns = facts.leaderless_ns.filter(|since_ns| is_over(known, *since_ns, LEADERLESS_AFTER));
    if let Some(since_ns) = leaderless_ns.filter(|_| takes_part) {
        let heard = facts.replicas.iter().filter(|node| !down.contains(node)).count();
        let what = What::NoQuorum { heard, replicas: facts.replicas.len() };
        let unready = facts.is_needed;
        findings.push(Finding { unready, ..finding(known, what, None, journal, Some(since_ns)) });
    }
    if let Some(what) = of_replica(facts.own) {
        findings.push(finding(known, what, Some(known.node), journal, None));
    }
    for follower in facts.followers.iter().filter(|follower| !down.contains(&follower.node)) {
        let is_stranger = facts.strangers.contains(&follower.node);
        if let Some(what) = of_replica(follower.state).filter(|_| !is_stranger) {
            findings.push(finding(known, what, Some(follower.node), journal, follower.since_ns));
        }
    }
    if let Some(open) = facts.open_too_long {
        let found = finding(known, What::StableOffsetStuck(open), None, journal, None);
        findings.push(Finding { since_ms: open.silent_since_ms, ..found });
    }
    if facts.awaits_compaction {
        findings.push(finding(known, What::NotCompacted, None, journal, None));
    }
    for node in &facts.strangers {
        findings.push(finding(known, What::ReplicaNotMember, Some(*node), journal, None));
    }
}

/// The one place that says which state of a replica is which finding.
fn of_replica(state: ReplicaState) -> Option<What> {
    Some(match state {
        ReplicaState::Well => return None,
        ReplicaState::CatchingUp { entries } => What::ReplicaCatchingUp { entries },
        ReplicaState::LacksRuns { runs, bytes } => What::ReplicaLacksRuns { runs, bytes },
        ReplicaState::Behind { entries } => What::ReplicaBehind { entries },
        ReplicaState::Silent => What::ReplicaSilent,
        ReplicaState::Full => What::ReplicaFull,
        ReplicaState::Damaged { ranges } => What::ReplicaDamaged { ranges },
        ReplicaState::InDoubt { first, last } => What::ReplicaInDoubt { first, last },
        ReplicaState::Refusing { ranges } => What::ReplicaRefusing { ranges },
        ReplicaState::Quarantined => What::ReplicaQuarantined,
        ReplicaState::NotMember => What::ReplicaNotMember,
    })
}

/// The next segment and the one after it still fit; a tenth more is for checkpoints and indexes.
fn is_nearly_full(disk: &DiskFacts) -> bool {
    let wanted = disk.segment_bytes.saturating_mul(2);
    disk.free_bytes < wanted.saturating_add(disk.segment_bytes / 10)
}

fn is_over(known: &Known, since_ns: u64, after: Duration) -> bool {
    known.now.mono_ns.saturating_sub(since_ns) >= after.as_nanos() as u64
}

fn finding(
    known: &Known,
    what: What,
    node: Option<NodeId>,
    journal: Option<JournalId>,
    since_ns: Option<u64>,
) -> Finding {
    let ago_ns = since_ns.map_or(0, |since_ns| known.now.mono_ns.saturating_sub(since_ns));
    let since_ms = known.now.wall_ms - (ago_ns / 1_000_000) as i64;
    Finding { what, node, journal, since_ms, unready: false, topics: Topics::default() }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
