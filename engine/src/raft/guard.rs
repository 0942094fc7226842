//! Judges every raft message before raft-rs sees it: each kind refused here makes raft-rs 0.7
//! panic, forget a vote or take a foreign log for its own.
//!
//! Only kinds in [`RaftKind`] can come at all. Whether an entry's bytes are good and belong in
//! its place is judged by the journal, which knows its log's layout.

use crate::ids::{Index, RaftId, Term};
use crate::peer::{RaftKind, RaftMessage};

/// What is refused of one that is no member: its node's folder may be an old one.
pub const NO_MEMBER: &str = "the sender is no member";
/// Leader epochs are 31 bits and follow the term.
pub const TERM_MAX: Term = Term(1 << 30);
/// 2^48 entries of a block are 2^60 bytes.
pub const INDEX_MAX: Index = Index(1 << 48);

/// Why a message is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Dropped: the sender tries again, or is wrong.
    #[error("{0}")]
    Drop(&'static str),
    /// It says that this replica held, and acknowledged, what it does not hold: whatever was lost,
    /// this replica must neither vote nor ack any more.
    #[error("{0}")]
    Lost(&'static str),
}

/// What the replica is, as far as a message is judged by it.
pub struct Facts<'a> {
    pub id: RaftId,
    pub term: Term,
    pub leader: Option<RaftId>,
    pub is_leader: bool,
    pub commit: Index,
    pub first: Index,
    pub last: Index,
    pub is_member: &'a dyn Fn(RaftId) -> bool,
    pub term_at: &'a dyn Fn(Index) -> Option<Term>,
}

/// Checks a message against what this replica knows.
pub fn check(message: &RaftMessage, facts: &Facts<'_>) -> Result<(), Refused> {
    check_sender(message, facts)?;
    check_numbers(message)?;
    match &message.kind {
        RaftKind::Append { .. } => check_append(message, facts),
        RaftKind::Heartbeat { commit } => {
            check_leader(message, facts)?;
            if message.term >= facts.term && *commit > facts.last {
                return Err(Refused::Lost("a leader says that more was durable here than there is"));
            }
            Ok(())
        }
        RaftKind::AppendResponse { index, reject, hint, .. } => {
            if message.term >= facts.term && !reject && *index > facts.last {
                return Err(Refused::Drop("an acknowledgement beyond the log"));
            }
            if *reject && hint > index {
                return Err(Refused::Drop("a hint above what was rejected"));
            }
            Ok(())
        }
        RaftKind::TimeoutNow if message.term != facts.term || facts.leader != Some(message.from) => {
            Err(Refused::Drop("a hand-over from one that does not lead"))
        }
        _ => Ok(()),
    }
}

fn check_sender(message: &RaftMessage, facts: &Facts<'_>) -> Result<(), Refused> {
    if message.to != facts.id || message.from == facts.id {
        return Err(Refused::Drop("not addressed to this replica"));
    }
    if !(facts.is_member)(message.from) {
        return Err(Refused::Drop(NO_MEMBER));
    }
    // Term 0 would pass for a message of our own, and make a candidate forget its vote.
    if message.term == Term(0) || message.term > TERM_MAX {
        return Err(Refused::Drop("a term that cannot be"));
    }
    Ok(())
}

fn check_numbers(message: &RaftMessage) -> Result<(), Refused> {
    let (indexes, terms) = match &message.kind {
        RaftKind::Append { previous, previous_term, commit, .. } => {
            if (*previous == Index::NONE) != (*previous_term == Term(0)) {
                return Err(Refused::Drop("an entry without a term"));
            }
            ([*previous, *commit], [*previous_term, Term(0)])
        }
        RaftKind::AppendResponse { index, hint, hint_term, commit, .. } => {
            ([(*index).max(*hint), *commit], [*hint_term, Term(0)])
        }
        RaftKind::Heartbeat { commit } | RaftKind::HeartbeatResponse { commit, .. } => {
            ([*commit, Index::NONE], [Term(0); 2])
        }
        RaftKind::Vote { last, last_term, commit, commit_term, .. }
        | RaftKind::PreVote { last, last_term, commit, commit_term } => {
            ([*last, *commit], [*last_term, *commit_term])
        }
        RaftKind::VoteResponse { commit, commit_term, .. }
        | RaftKind::PreVoteResponse { commit, commit_term, .. } => {
            ([*commit, Index::NONE], [*commit_term, Term(0)])
        }
        RaftKind::TimeoutNow => ([Index::NONE; 2], [Term(0); 2]),
    };
    if indexes.iter().any(|index| *index > INDEX_MAX) {
        return Err(Refused::Drop("an index that cannot be"));
    }
    if terms.iter().any(|term| *term > message.term) {
        return Err(Refused::Drop("a term in the log above the sender's"));
    }
    Ok(())
}

/// Of one term there is one leader.
fn check_leader(message: &RaftMessage, facts: &Facts<'_>) -> Result<(), Refused> {
    let other = facts.leader.is_some_and(|leader| leader != message.from);
    if message.term == facts.term && (facts.is_leader || other) {
        return Err(Refused::Drop("a second leader in one term"));
    }
    Ok(())
}

fn check_append(message: &RaftMessage, facts: &Facts<'_>) -> Result<(), Refused> {
    check_leader(message, facts)?;
    let RaftKind::Append { previous, previous_term, entry, .. } = &message.kind else {
        unreachable!("only appends come here")
    };
    let Some(entry) = entry else { return Ok(()) };
    let (index, term) = (entry.header().index(), entry.header().term());
    if index != previous.next() || term < *previous_term || term > message.term || term == Term(0) {
        return Err(Refused::Drop("an entry out of its place"));
    }
    let is_committed = index <= facts.commit && index >= facts.first;
    if message.term >= facts.term && is_committed && (facts.term_at)(index) != Some(term) {
        return Err(Refused::Lost("a leader has another entry where this replica's is committed"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
