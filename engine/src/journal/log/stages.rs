//! How long entries take, stage by stage, on their way from the first batch to the commit.

use crate::ids::Index;
use crate::latency::Latency;
use std::collections::VecDeque;

/// Figures since the start, over entries.
#[derive(Clone, Debug, Default)]
pub struct StageLatencies {
    /// From an entry's first batch to its seal: what group commit costs.
    pub group: Latency,
    /// From the append to the completion of its last write; the sync is in it where an entry is
    /// written through.
    pub write: Latency,
    /// One fdatasync.
    pub sync: Latency,
    /// From the append to all of it, and all before it, being durable here.
    pub durable: Latency,
    /// From the append to the commit.
    pub commit: Latency,
}

impl StageLatencies {
    /// Adds what another journal counted.
    pub fn add(&mut self, other: &Self) {
        self.group.add(&other.group);
        self.write.add(&other.write);
        self.sync.add(&other.sync);
        self.durable.add(&other.durable);
        self.commit.add(&other.commit);
    }
}

/// When the entries that are not committed yet were appended.
#[derive(Debug, Default)]
pub struct Appended(VecDeque<(Index, u64)>);

impl Appended {
    /// An entry was appended; what it replaces is forgotten.
    pub fn push(&mut self, index: Index, now_ns: u64) {
        while self.0.back().is_some_and(|(last, _)| *last >= index) {
            self.0.pop_back();
        }
        self.0.push_back((index, now_ns));
    }

    /// All up to `commit` is committed.
    pub fn committed(&mut self, commit: Index, now_ns: u64, latency: &mut Latency) {
        while let Some((index, appended_ns)) = self.0.front().copied()
            && index <= commit
        {
            latency.record(now_ns.saturating_sub(appended_ns));
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_counts_each_entry_once_from_its_append() {
        let (mut appended, mut latency) = (Appended::default(), Latency::default());
        [(1, 10), (2, 20), (3, 30)].into_iter().for_each(|(index, at)| appended.push(Index(index), at));
        appended.committed(Index(2), 100, &mut latency);
        assert_eq!(appended.0, [(Index(3), 30)]);
        appended.committed(Index(2), 200, &mut latency);
        assert_eq!(latency.count, 2);
    }

    #[test]
    fn what_an_append_replaces_is_forgotten() {
        let mut appended = Appended::default();
        [(1, 10), (2, 20), (3, 30), (2, 40)]
            .into_iter()
            .for_each(|(index, at)| appended.push(Index(index), at));
        assert_eq!(appended.0, [(Index(1), 10), (Index(2), 40)]);
    }
}
