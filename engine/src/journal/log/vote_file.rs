//! The hard state's file: which vote, which bounds and which doubt a crash would find, and what is on its way there.
//!
//! ```text
//! save ──▶ begin ──▶ one write at a time ──▶ written ──▶ the vote may be told
//!            ▲                                  │
//!            └──── a vote was saved meanwhile ◀─┘
//! ```
//! Invariants:
//! - One state is written at a time, each of a higher generation than the last.
//! - The term never falls, and in one term no second replica gets the vote.
//! - A vote is durable once `durable_number` has reached its number, and not before its write is done:
//!   `durable_number` ≤ `number`.

use crate::ids::{FileId, Index, RaftId, Term};
use crate::journal::format::doubt_record::Doubt;
use crate::journal::format::hard_state::{HardState, SyncedBound};

/// Votes of this process, counted.
pub type VoteNumber = u64;

/// The hard state of one journal.
#[derive(Debug)]
pub struct VoteFile {
    file: FileId,
    /// What a crash would find.
    durable: HardState,
    /// What is being written, and the number of the vote in it.
    writing: Option<(HardState, VoteNumber)>,
    /// The vote that is to become durable.
    vote: (Term, RaftId),
    number: VoteNumber,
    durable_number: VoteNumber,
}

impl VoteFile {
    /// As recovery found it.
    pub fn new(file: FileId, durable: HardState) -> Self {
        let vote = (durable.term, durable.vote);
        Self { file, durable, writing: None, vote, number: 0, durable_number: 0 }
    }

    pub fn file(&self) -> FileId {
        self.file
    }

    /// What a crash would find.
    pub fn durable(&self) -> &HardState {
        &self.durable
    }

    /// Takes a vote that is to become durable; its number tells when it is.
    pub fn save(&mut self, term: Term, vote: RaftId) -> VoteNumber {
        let (before, voted) = self.vote;
        assert!(term >= before, "term {} falls to {}", before.0, term.0);
        let is_given_twice = term == before && voted.0 != 0 && vote != voted;
        assert!(
            !is_given_twice,
            "in term {} replica {} has the vote, and {} gets it",
            term.0, voted.0, vote.0
        );
        self.vote = (term, vote);
        self.number += 1;
        self.number
    }

    pub fn is_vote_durable(&self, number: VoteNumber) -> bool {
        assert!(number <= self.number, "vote {number} was never saved, there are {}", self.number);
        number <= self.durable_number
    }

    /// A vote was saved that is not durable.
    pub fn owes_a_vote(&self) -> bool {
        self.durable_number < self.number
    }

    pub fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// What is to be written now: the newest vote with these bounds. Nothing while another write is under way.
    #[must_use]
    pub fn begin(
        &mut self,
        (commit, synced): (Index, SyncedBound),
        doubt: Option<Doubt>,
    ) -> Option<HardState> {
        if self.writing.is_some() {
            return None;
        }
        let (term, vote) = self.vote;
        let generation = self.durable.generation + 1;
        let state = HardState { generation, term, vote, commit, synced, doubt, ..self.durable };
        self.write(state, self.number);
        Some(state)
    }

    /// The same of a synced bound alone; all else stays as a crash would find it.
    pub fn begin_bound(&mut self, synced: SyncedBound) -> HardState {
        let state = HardState { generation: self.durable.generation + 1, synced, ..self.durable };
        self.write(state, self.durable_number);
        state
    }

    fn write(&mut self, state: HardState, number: VoteNumber) {
        assert!(self.writing.is_none(), "one hard state is written at a time");
        assert!(state.generation > self.durable.generation, "generations of hard states rise");
        assert!(state.term >= self.durable.term, "term {} is durable", self.durable.term.0);
        self.writing = Some((state, number));
    }

    /// What was begun is durable.
    pub fn written(&mut self, state: HardState) {
        let (begun, number) = self.writing.take().expect("a hard state was being written");
        assert_eq!(begun, state, "another hard state was being written");
        assert!(self.durable_number <= number && number <= self.number, "votes become durable in order");
        self.durable = state;
        self.durable_number = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_BOUNDS: (Index, SyncedBound) =
        (Index::NONE, SyncedBound { index: Index::NONE, term: Term(0), checksum: 0 });

    fn fresh() -> VoteFile {
        VoteFile::new(FileId(1), HardState { generation: 1, ..HardState::default() })
    }

    #[test]
    fn a_vote_is_durable_once_the_write_with_it_is_done() {
        let mut votes = fresh();
        let first = votes.save(Term(3), RaftId(2));
        let state = votes.begin(NO_BOUNDS, None).expect("nothing is under way");
        assert_eq!((state.generation, state.term, state.vote), (2, Term(3), RaftId(2)));
        let second = votes.save(Term(4), RaftId(0));
        assert_eq!(votes.begin(NO_BOUNDS, None), None, "one at a time");
        votes.written(state);
        assert!(votes.is_vote_durable(first) && !votes.is_vote_durable(second));
        assert!(votes.owes_a_vote() && !votes.is_writing());
        let state = votes.begin(NO_BOUNDS, None).expect("the one before is done");
        votes.written(state);
        assert!(votes.is_vote_durable(second) && !votes.owes_a_vote());
        assert_eq!((votes.durable().generation, votes.durable().term), (3, Term(4)));
    }

    #[test]
    fn a_bound_that_is_lowered_makes_no_vote_durable() {
        let mut votes = fresh();
        let vote = votes.save(Term(3), RaftId(2));
        let synced = SyncedBound { index: Index(7), term: Term(1), checksum: 5 };
        let state = votes.begin_bound(synced);
        votes.written(state);
        assert!(!votes.is_vote_durable(vote));
        assert_eq!((votes.durable().synced, votes.durable().term), (synced, Term(0)));
    }

    #[test]
    #[should_panic(expected = "has the vote")]
    fn a_vote_is_given_once_in_a_term() {
        let mut votes = fresh();
        votes.save(Term(3), RaftId(2));
        votes.save(Term(3), RaftId(1));
    }

    #[test]
    #[should_panic(expected = "falls to")]
    fn a_term_never_falls() {
        let mut votes = fresh();
        votes.save(Term(3), RaftId(2));
        votes.save(Term(2), RaftId(2));
    }

    #[test]
    #[should_panic(expected = "another hard state")]
    fn what_is_durable_is_what_was_begun() {
        let mut votes = fresh();
        let state = votes.begin(NO_BOUNDS, None).expect("nothing is under way");
        votes.written(HardState { commit: Index(9), ..state });
    }
}
