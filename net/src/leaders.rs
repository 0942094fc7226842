//! Who leads which journal, as far as this shard was told. The highest term wins.

use engine::collections::Map;
use engine::ids::{JournalId, LeaderEpoch, ShardId, Term};

/// The leader of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    pub term: Term,
    pub shard: ShardId,
}

impl Leader {
    /// A partition's leader epoch: its span's epoch base + the journal's term.
    pub fn epoch(&self, epoch_base: i32) -> LeaderEpoch {
        LeaderEpoch(epoch_base.saturating_add(i32::try_from(self.term.0).unwrap_or(i32::MAX)))
    }
}

/// One entry per journal that has been led since the start.
#[derive(Default)]
pub struct Leaders {
    by_journal: Map<JournalId, Leader>,
    changes: u64,
}

impl Leaders {
    pub fn leads(&mut self, journal: JournalId, term: Term, shard: ShardId) {
        let leader = Leader { term, shard };
        self.changes += 1;
        let known = self.by_journal.entry(journal).or_insert(leader);
        if known.term < term {
            *known = leader;
        }
    }

    pub fn get(&self, journal: JournalId) -> Option<Leader> {
        self.by_journal.get(&journal).copied()
    }

    /// The term in which this shard leads the journal, if it does.
    pub fn term_led_by(&self, shard: ShardId, journal: JournalId) -> Option<Term> {
        self.get(journal).filter(|leader| leader.shard == shard).map(|leader| leader.term)
    }

    /// Grows whenever something was told.
    pub fn changes(&self) -> u64 {
        self.changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_of_an_older_term_are_no_news() {
        let mut leaders = Leaders::default();
        leaders.leads(JournalId(1), Term(3), ShardId(1));
        leaders.leads(JournalId(1), Term(2), ShardId(0));
        assert_eq!(leaders.get(JournalId(1)), Some(Leader { term: Term(3), shard: ShardId(1) }));
        assert_eq!(leaders.get(JournalId(1)).map(|leader| leader.epoch(4)), Some(LeaderEpoch(7)));
        assert_eq!(leaders.get(JournalId(2)), None);
    }
}
