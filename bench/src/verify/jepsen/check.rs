//! Judges a whole history.

use super::anomaly::Anomaly;
use super::history::{Key, Operation, Outcome, Value};
use super::versions::Versions;
use super::{cycle, order};
use std::collections::{BTreeMap, BTreeSet};

/// All that is wrong with a history at whose end somebody read every key to its end.
pub fn check(history: &[Operation]) -> Vec<Anomaly> {
    let versions = Versions::of(history);
    let mut found = versions.check();
    found.extend(missing(history, &versions));
    found.extend(aborted(history, &versions));
    found.extend(garbage(history, history));
    found.extend(precommitted(history));
    found.extend(order::check(history, &versions));
    found.extend(cycle::find(history).map(|operations| Anomaly::Cycle { operations }));
    found
}

/// The same for those who read what is not committed, too, beside the history of the others: they may see what is
/// aborted, but each value stands at one offset for everybody, and they pass over nothing.
pub fn check_uncommitted(history: &[Operation], dirty: &[Operation]) -> Vec<Anomaly> {
    // Where the broker said that something stands it does, whatever became of the transaction.
    let sent = |operation: &Operation| Operation { outcome: Outcome::Ok, ..operation.clone() };
    let all: Vec<Operation> = history.iter().map(sent).chain(dirty.iter().cloned()).collect();
    let versions = Versions::of(&all);
    let mut sent = BTreeMap::<(Key, Value), usize>::new();
    let sends = history.iter().flat_map(Operation::sends);
    sends.for_each(|(key, value, _)| *sent.entry((key, value)).or_default() += 1);
    // What an aborted transaction sent may be sent again by the next one.
    let is_honest = |anomaly: &Anomaly| match anomaly {
        Anomaly::Duplicate { key, value, .. } => sent.get(&(*key, *value)).is_some_and(|times| *times > 1),
        _ => false,
    };
    let mut found = versions.check();
    found.retain(|anomaly| !is_honest(anomaly));
    found.extend(garbage(history, dirty));
    found.extend(order::check(dirty, &versions));
    found
}

fn garbage(history: &[Operation], read: &[Operation]) -> Vec<Anomaly> {
    let sent: BTreeSet<(Key, Value)> =
        history.iter().flat_map(Operation::sends).map(|(key, value, _)| (key, value)).collect();
    let unknown: BTreeSet<(Key, i64, Value)> = read
        .iter()
        .flat_map(Operation::reads)
        .filter(|(key, _, value)| !sent.contains(&(*key, *value)))
        .collect();
    unknown.into_iter().map(|(key, offset, value)| Anomaly::GarbageRead { key, offset, value }).collect()
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
    let sends = |failed: bool| {
        let operations =
            history.iter().filter(move |operation| (operation.outcome == Outcome::Failed) == failed);
        operations.flat_map(Operation::sends).map(|(key, value, _)| (key, value))
    };
    // What a client sends again, in another transaction, is that one's.
    let others: BTreeSet<(Key, Value)> = sends(false).collect();
    let read = sends(true)
        .filter(|(key, value)| versions.was_read(*key, *value) && !others.contains(&(*key, *value)));
    read.map(|(key, value)| Anomaly::AbortedRead { key, value }).collect()
}

fn precommitted(history: &[Operation]) -> Vec<Anomaly> {
    let own = |operation: &Operation| {
        let sent: BTreeSet<(Key, Value)> = operation.sends().map(|(key, value, _)| (key, value)).collect();
        let read = operation.reads().filter(move |(key, _, value)| sent.contains(&(*key, *value)));
        read.map(|(key, _, value)| Anomaly::PrecommittedRead { key, value }).collect::<Vec<_>>()
    };
    history.iter().filter(|operation| operation.steps.len() > 1).flat_map(own).collect()
}
