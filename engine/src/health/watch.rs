//! Since when findings hold: each is told when it begins and when it ends, and never in between.

use super::finding::{Finding, Kind, What};
use crate::clock::Now;
use crate::ids::{JournalId, NodeId};
use core::time::Duration;
use std::collections::BTreeMap;

/// Members change and replicas begin in moments that nobody needs to hear of.
const PATIENCE: Duration = Duration::from_secs(1);

type Key = (Kind, Option<JournalId>, Option<NodeId>);

/// What was found so far.
#[derive(Debug, Default)]
pub struct Watch {
    seen: BTreeMap<Key, Seen>,
}

#[derive(Debug)]
struct Seen {
    finding: Finding,
    /// Of this process's clock.
    first_ns: u64,
    is_told: bool,
}

/// What a look brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changed {
    pub began: Vec<Finding>,
    pub ended: Vec<Finding>,
    /// Something is to be shown otherwise: one began, ended or has other figures.
    pub differs: bool,
}

impl Watch {
    /// Takes all that is wrong now. `complete` adds to a finding that begins what costs a search.
    pub fn see(&mut self, found: Vec<Finding>, now: Now, complete: impl Fn(&mut Finding)) -> Changed {
        let mut changed = Changed::default();
        let mut before = core::mem::take(&mut self.seen);
        for mut finding in found {
            let key = (finding.what.kind(), finding.journal, finding.node);
            let mut seen = match before.remove(&key).or_else(|| self.seen.remove(&key)) {
                Some(seen) => {
                    // The facts may forget since when; the first word stays.
                    if finding.what.is_about_what(&seen.finding.what) {
                        finding.since_ms = seen.finding.since_ms;
                        finding.topics = seen.finding.topics.clone();
                    } else {
                        complete(&mut finding);
                    }
                    changed.differs |= seen.is_told && seen.finding != finding;
                    Seen { finding, ..seen }
                }
                None => Seen { finding, first_ns: now.mono_ns, is_told: false },
            };
            if !seen.is_told && now.mono_ns - seen.first_ns >= patience(&seen.finding.what).as_nanos() as u64
            {
                seen.is_told = true;
                complete(&mut seen.finding);
                changed.began.push(seen.finding.clone());
            }
            self.seen.insert(key, seen);
        }
        changed.ended = before.into_values().filter(|seen| seen.is_told).map(|seen| seen.finding).collect();
        changed.differs |= !changed.began.is_empty() || !changed.ended.is_empty();
        changed
    }

    /// All that holds now.
    pub fn findings(&self) -> Vec<Finding> {
        self.seen.values().filter(|seen| seen.is_told).map(|seen| seen.finding.clone()).collect()
    }
}

fn patience(what: &What) -> Duration {
    match what {
        What::ReplicaCatchingUp { .. }
        | What::ReplicaLacksRuns { .. }
        | What::ReplicaSilent
        | What::ReplicaNotMember => PATIENCE,
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Topics;
    use super::*;

    fn finding(what: What, since_ms: i64) -> Finding {
        let (node, journal) = (Some(NodeId(3)), None);
        Finding { what, node, journal, since_ms, unready: false, topics: Topics::default() }
    }

    fn at(ms: u64) -> Now {
        Now { mono_ns: ms * 1_000_000, wall_ms: ms as i64 }
    }

    #[test]
    fn a_finding_is_told_once_when_it_begins_and_once_when_it_ends() {
        let mut watch = Watch::default();
        let down = |since_ms| vec![finding(What::NodeDown, since_ms)];
        let began = watch.see(down(4000), at(5000), |finding| finding.topics.more = 7);
        assert_eq!(began.began.len(), 1);
        assert_eq!((began.began[0].since_ms, began.began[0].topics.more), (4000, 7));
        // A fact that forgot since when changes nothing.
        assert_eq!(watch.see(down(5200), at(5200), |_| panic!("it did not begin")), Changed::default());
        assert_eq!(watch.findings()[0].since_ms, 4000);
        let ended = watch.see(Vec::new(), at(6000), |_| {});
        assert_eq!((ended.began.len(), ended.ended.len()), (0, 1));
        assert!(watch.findings().is_empty());
    }

    #[test]
    fn what_passes_by_itself_within_a_moment_is_not_told() {
        let mut watch = Watch::default();
        let joining = |entries| vec![finding(What::ReplicaCatchingUp { entries }, 0)];
        assert_eq!(watch.see(joining(9), at(0), |_| {}), Changed::default());
        assert_eq!(watch.see(Vec::new(), at(500), |_| {}), Changed::default());
        assert_eq!(watch.see(joining(9), at(1000), |_| {}), Changed::default());
        assert_eq!(watch.see(joining(8), at(2000), |_| {}).began.len(), 1);
        let nearer = watch.see(joining(2), at(2100), |_| {});
        assert!(nearer.differs && nearer.began.is_empty() && nearer.ended.is_empty());
    }
}
