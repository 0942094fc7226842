//! What one client sees goes forward: it neither passes over what is there, nor goes back, and what it sends stands in
//! the order in which it was sent.

use super::anomaly::Anomaly;
use super::history::{Key, Operation, Outcome, Step};
use super::versions::Versions;
use std::collections::BTreeMap;

/// Where a client is, by key.
#[derive(Default)]
struct Client {
    polled: BTreeMap<Key, i64>,
    sent: BTreeMap<Key, i64>,
}

/// Judges each client's operations by themselves.
pub fn check(history: &[Operation], versions: &Versions) -> Vec<Anomaly> {
    let (mut clients, mut found) = (BTreeMap::<u32, Client>::new(), Vec::new());
    for operation in history {
        let client = clients.entry(operation.process).or_default();
        if operation.outcome != Outcome::Ok {
            // It goes back to what is committed, wherever that is.
            client.polled.clear();
            continue;
        }
        for step in &operation.steps {
            client.step(operation.process, step, versions, &mut found);
        }
    }
    found
}

impl Client {
    fn step(&mut self, process: u32, step: &Step, versions: &Versions, found: &mut Vec<Anomaly>) {
        match step {
            Step::Moved => self.polled.clear(),
            Step::Send { offset: None, .. } => {}
            Step::Send { key, offset: Some(to), .. } => {
                if let Some(from) = self.sent.insert(*key, *to).filter(|from| from >= to) {
                    found.push(Anomaly::NonmonotonicSend { process, key: *key, from, to: *to });
                }
            }
            Step::Poll { read } => {
                for (key, offset) in
                    read.iter().flat_map(|(key, read)| read.iter().map(|(at, _)| (*key, *at)))
                {
                    let Some(from) = self.polled.insert(key, offset) else { continue };
                    let skipped = versions.read_between(key, from, offset);
                    if offset <= from {
                        found.push(Anomaly::NonmonotonicPoll { process, key, from, to: offset });
                    } else if !skipped.is_empty() {
                        found.push(Anomaly::PollSkip { process, key, skipped });
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(outcome: Outcome, offset: i64) -> Operation {
        let read = [(1, vec![(offset, offset as u64)])].into();
        Operation { process: 3, outcome, steps: vec![Step::Poll { read }] }
    }

    #[test]
    fn whoever_was_moved_or_failed_begins_anew() {
        let moved = Operation { process: 3, outcome: Outcome::Ok, steps: vec![Step::Moved] };
        let again = |between: Operation| {
            let history = [poll(Outcome::Ok, 5), between, poll(Outcome::Ok, 5)];
            check(&history, &Versions::of(&history)).len()
        };
        assert_eq!((again(moved), again(poll(Outcome::Unknown, 6))), (0, 0));
        assert_eq!(again(Operation { process: 4, ..poll(Outcome::Ok, 5) }), 1);
    }
}
