//! Who leads which journal, as far as this shard was told. The highest term wins.

use engine::collections::Map;
use engine::ids::{JournalId, LeaderEpoch, NodeId, Term};

/// Who leads a journal in a term, and who is in sync with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leadership {
    pub term: Term,
    /// Nobody, as far as is known.
    pub leader: Option<NodeId>,
    pub in_sync: Vec<NodeId>,
}

impl Leadership {
    /// A partition's leader epoch: its span's epoch base + the journal's term.
    pub fn epoch(&self, epoch_base: i32) -> LeaderEpoch {
        LeaderEpoch(epoch_base.saturating_add(i32::try_from(self.term.0).unwrap_or(i32::MAX)))
    }
}

/// One item per journal of which something was heard since the start.
#[derive(Default)]
pub struct Leaders {
    by_journal: Map<JournalId, Leadership>,
    changes: u64,
}

impl Leaders {
    /// News of the same term are newer: they come from one shard, in order.
    pub fn learn(&mut self, journal: JournalId, news: Leadership) {
        let known = self.by_journal.get(&journal);
        if known.is_none_or(|known| known.term <= news.term) {
            self.by_journal.insert(journal, news);
            self.changes += 1;
        }
    }

    pub fn get(&self, journal: JournalId) -> Option<&Leadership> {
        self.by_journal.get(&journal)
    }

    /// Grows whenever something was told.
    pub fn changes(&self) -> u64 {
        self.changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leadership(term: u64, leader: Option<u32>) -> Leadership {
        Leadership { term: Term(term), leader: leader.map(NodeId), in_sync: Vec::new() }
    }

    #[test]
    fn news_of_an_older_term_are_no_news() {
        let mut leaders = Leaders::default();
        leaders.learn(JournalId(1), leadership(3, Some(1)));
        leaders.learn(JournalId(1), leadership(2, Some(2)));
        assert_eq!(leaders.get(JournalId(1)), Some(&leadership(3, Some(1))));
        assert_eq!(leaders.get(JournalId(1)).map(|leader| leader.epoch(4)), Some(LeaderEpoch(7)));
        leaders.learn(JournalId(1), leadership(3, None));
        assert_eq!(leaders.get(JournalId(1)), Some(&leadership(3, None)));
        assert_eq!(leaders.get(JournalId(2)), None);
    }
}
