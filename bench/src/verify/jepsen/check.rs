//! Judges a whole history.

use super::anomaly::Anomaly;
use super::history::{Key, Operation, Outcome, Value};
use super::versions::Versions;
use super::{cycle, order};
use std::collections::BTreeSet;

/// All that is wrong with a history at whose end somebody read every key to its end.
pub fn check(history: &[Operation]) -> Vec<Anomaly> {
    let versions = Versions::of(history);
    let mut found = versions.check();
    found.extend(missing(history, &versions));
    found.extend(aborted(history, &versions));
    found.extend(precommitted(history));
    found.extend(order::check(history, &versions));
    found.extend(cycle::find(history).map(|operations| Anomaly::Cycle { operations }));
    found
}

/// What was acked must be read. Where nobody answered it may be there, all of it or nothing.
fn missing(history: &[Operation], versions: &Versions) -> Vec<Anomaly> {
    let is_committed = |operation: &&Operation| match operation.outcome {
        Outcome::Ok => true,
        Outcome::Failed => false,
        Outcome::Unknown => operation.sends().any(|(key, value, _)| versions.was_read(key, value)),
    };
    let sends = history.iter().filter(is_committed).flat_map(Operation::sends);
    sends.filter_map(|(key, value, _)| versions.missing(key, value)).collect()
}

fn aborted(history: &[Operation], versions: &Versions) -> Vec<Anomaly> {
    let failed = history.iter().filter(|operation| operation.outcome == Outcome::Failed);
    let read = failed.flat_map(Operation::sends).filter(|(key, value, _)| versions.was_read(*key, *value));
    read.map(|(key, value, _)| Anomaly::AbortedRead { key, value }).collect()
}

fn precommitted(history: &[Operation]) -> Vec<Anomaly> {
    let own = |operation: &Operation| {
        let sent: BTreeSet<(Key, Value)> = operation.sends().map(|(key, value, _)| (key, value)).collect();
        let read = operation.reads().filter(move |(key, _, value)| sent.contains(&(*key, *value)));
        read.map(|(key, _, value)| Anomaly::PrecommittedRead { key, value }).collect::<Vec<_>>()
    };
    history.iter().filter(|operation| operation.steps.len() > 1).flat_map(own).collect()
}
