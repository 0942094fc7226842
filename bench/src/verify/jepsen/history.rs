//! What clients did, and what they were told of it.

use serde::Serialize;
use std::collections::BTreeMap;

/// A partition.
pub type Key = u32;
/// Unique within its key.
pub type Value = u64;

/// Whether it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Ok,
    /// For certain it did not: refused, or aborted.
    Failed,
    /// Nobody answered.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    Send {
        key: Key,
        value: Value,
        /// As the broker said.
        offset: Option<i64>,
    },
    /// What it read, in this order.
    Poll { read: BTreeMap<Key, Vec<(i64, Value)>> },
    /// From here on it reads other partitions, or from other places: by `assign`, or because its group was rebalanced.
    Moved,
}

/// One transaction, or a single send or poll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operation {
    /// The client, which does one thing after the other. One that crashed is replaced by another.
    pub process: u32,
    pub outcome: Outcome,
    pub steps: Vec<Step>,
}

impl Operation {
    pub fn sends(&self) -> impl Iterator<Item = (Key, Value, Option<i64>)> {
        self.steps.iter().filter_map(|step| match step {
            Step::Send { key, value, offset } => Some((*key, *value, *offset)),
            _ => None,
        })
    }

    pub fn reads(&self) -> impl Iterator<Item = (Key, i64, Value)> {
        let polls = self.steps.iter().filter_map(|step| match step {
            Step::Poll { read } => Some(read),
            _ => None,
        });
        polls.flatten().flat_map(|(key, read)| read.iter().map(|(offset, value)| (*key, *offset, *value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operations_steps_are_told_apart() {
        let read = [(1, vec![(5, 50), (6, 60)])].into();
        let send = Step::Send { key: 1, value: 70, offset: Some(7) };
        let steps = vec![Step::Poll { read }, Step::Moved, send];
        let operation = Operation { process: 0, outcome: Outcome::Ok, steps };
        assert_eq!(operation.sends().collect::<Vec<_>>(), [(1, 70, Some(7))]);
        assert_eq!(operation.reads().collect::<Vec<_>>(), [(1, 5, 50), (1, 6, 60)]);
    }
}
