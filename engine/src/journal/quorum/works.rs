//! Raft's work that waits for the disk: what peers are told of it is held until all of it is durable.
//!
//! ```text
//! hold 1 ── hold 2 ── hold 3        durable: entries of 1 and 2, the vote of 2
//!   └─────────┴──▶ released in this order; 3 waits, whatever of it is durable
//! ```
//! Invariants:
//! - Works are released in the order of their numbers, each once.
//! - Nothing is told of an entry that was cut before it was durable.

use crate::ids::Index;
use crate::journal::log::vote_file::VoteNumber;
use crate::raft::Outgoing;
use std::collections::VecDeque;

/// A Ready that waits for its entries or its vote to be durable.
#[derive(Debug)]
pub struct HeldWork {
    pub number: u64,
    /// Its last entry.
    pub last: Option<Index>,
    pub vote: Option<VoteNumber>,
    /// What peers are told once it is durable.
    pub hold: Vec<Outgoing>,
}

/// Those that wait.
#[derive(Debug, Default)]
pub struct Works(VecDeque<HeldWork>);

impl Works {
    pub fn hold(&mut self, work: HeldWork) {
        let before = self.0.back().map_or(0, |before| before.number);
        assert!(work.number > before, "work {} comes behind {before}", work.number);
        self.0.push_back(work);
    }

    /// The log ends behind `last`: nobody is told that what stood there is durable.
    pub fn cut(&mut self, last: Index) {
        for work in &mut self.0 {
            work.last = work.last.map(|entry| entry.min(last));
            work.hold.retain(|outgoing| !outgoing.acknowledges_beyond(last));
        }
    }

    /// The next one, once its entries and its vote are durable.
    pub fn release(
        &mut self,
        durable: Index,
        is_vote_durable: impl Fn(VoteNumber) -> bool,
    ) -> Option<HeldWork> {
        let front = self.0.front()?;
        let is_durable =
            front.last.is_none_or(|last| last <= durable) && front.vote.is_none_or(is_vote_durable);
        is_durable.then(|| self.0.pop_front().expect("there is a front"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{RaftId, Term};
    use crate::peer::{RaftKind, RaftMessage};

    fn acknowledges(index: u64) -> Outgoing {
        let index = Index(index);
        let kind = RaftKind::AppendResponse {
            index,
            commit: Index(0),
            reject: false,
            hint: index,
            hint_term: Term(1),
        };
        let message = RaftMessage { from: RaftId(1), to: RaftId(2), term: Term(1), kind };
        Outgoing { message, entry: None }
    }

    fn work(number: u64, last: u64, vote: Option<VoteNumber>) -> HeldWork {
        HeldWork { number, last: Some(Index(last)), vote, hold: vec![acknowledges(last)] }
    }

    fn released(works: &mut Works, durable: u64, votes: VoteNumber) -> Vec<u64> {
        core::iter::from_fn(|| works.release(Index(durable), |vote| vote <= votes).map(|work| work.number))
            .collect()
    }

    #[test]
    fn a_later_work_never_releases_an_earlier_one() {
        let mut works = Works::default();
        [work(1, 5, None), work(2, 6, Some(1)), work(3, 7, None)]
            .into_iter()
            .for_each(|work| works.hold(work));
        assert_eq!(released(&mut works, 4, 1), [0; 0]);
        assert_eq!(released(&mut works, 7, 0), [1], "its entries are durable, and its vote is not");
        assert_eq!(released(&mut works, 7, 1), [2, 3]);
        assert_eq!(released(&mut works, 7, 1), [0; 0], "each once");
    }

    #[test]
    fn what_is_cut_is_not_acknowledged() {
        let mut works = Works::default();
        [work(1, 5, None), work(2, 9, None)].into_iter().for_each(|work| works.hold(work));
        works.cut(Index(6));
        let first = works.release(Index(6), |_| true).expect("it is durable");
        let second = works.release(Index(6), |_| true).expect("what is left of it is");
        assert_eq!((first.hold.len(), second.hold.len(), second.last), (1, 0, Some(Index(6))));
    }

    #[test]
    #[should_panic(expected = "comes behind")]
    fn works_come_in_order() {
        let mut works = Works::default();
        works.hold(work(2, 5, None));
        works.hold(work(2, 6, None));
    }
}
