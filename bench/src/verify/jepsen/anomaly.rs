//! What may be wrong with a history, by Jepsen's names.

use super::history::{Key, Value};
use core::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// Two values stand at one offset.
    InconsistentOffsets { key: Key, offset: i64, values: Vec<Value> },
    /// A value stands at two offsets.
    Duplicate { key: Key, value: Value, offsets: Vec<i64> },
    /// It was acked, nobody read it, and what is behind it was read.
    LostWrite { key: Key, value: Value },
    /// It was acked, and nobody read it although all was read in the end.
    Unseen { key: Key, value: Value },
    /// A value of a transaction that was aborted was read.
    AbortedRead { key: Key, value: Value },
    /// A value was read that nobody sent: damaged, another run's, or one of an earlier chapter.
    GarbageRead { key: Key, offset: i64, value: Value },
    /// A transaction read what it wrote itself, before it was committed.
    PrecommittedRead { key: Key, value: Value },
    /// A client passed over values that were there.
    PollSkip { process: u32, key: Key, skipped: Vec<Value> },
    /// A client went back.
    NonmonotonicPoll { process: u32, key: Key, from: i64, to: i64 },
    /// What a client sent later stands before what it sent sooner.
    NonmonotonicSend { process: u32, key: Key, from: i64, to: i64 },
    /// Transactions read each other's writes in a circle: by their places in the history.
    Cycle { operations: Vec<usize> },
}

impl Anomaly {
    pub fn name(&self) -> &'static str {
        match self {
            Self::InconsistentOffsets { .. } => "inconsistent-offsets",
            Self::Duplicate { .. } => "duplicate",
            Self::LostWrite { .. } => "lost-write",
            Self::Unseen { .. } => "unseen",
            Self::AbortedRead { .. } => "aborted-read",
            Self::GarbageRead { .. } => "garbage-read",
            Self::PrecommittedRead { .. } => "precommitted-read",
            Self::PollSkip { .. } => "poll-skip",
            Self::NonmonotonicPoll { .. } => "nonmonotonic-poll",
            Self::NonmonotonicSend { .. } => "nonmonotonic-send",
            Self::Cycle { .. } => "G1c",
        }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self:?}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anomaly_is_told_by_its_name_and_what_it_is_about() {
        let lost = Anomaly::LostWrite { key: 1, value: 7 };
        assert_eq!(lost.to_string(), "lost-write: LostWrite { key: 1, value: 7 }");
    }
}
