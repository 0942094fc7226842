//! A replica that counts as one whose log ends further on than it can show: what it may have
//! acknowledged there must go on counting.
//!
//! It votes as that log would, by raft's order, and stands for no election. Its own entries, and
//! its acknowledgements of them, are those that it has.

use super::replica::Replica;
use crate::ids::{Index, LogEnd, RaftId, Term};
use crate::peer::{RaftKind, RaftMessage};
use crate::planted::{Bug, is_planted};
use raft::StateRole;

impl Replica {
    /// From now on this replica counts as one whose log ends here at least, or as what it is.
    pub fn count_as(&mut self, end: Option<LogEnd>) {
        assert!(end.is_none() || !self.is_leader(), "a leader's log is the one that counts");
        self.floor = end;
    }

    /// The end of the log that it counts as, where it cannot show that.
    pub fn floor(&self) -> Option<LogEnd> {
        self.floor
    }

    /// Where the log ends, durable or not.
    pub fn log_end(&self) -> LogEnd {
        let index = self.last_index();
        LogEnd { term: self.term_at(index).unwrap_or_default(), index }
    }

    /// Whether the log that this replica counts as forbids what a message asks for. Nothing comes of
    /// such a one: the sender may as well not have been heard.
    pub(super) fn withholds(&self, kind: &RaftKind) -> bool {
        let Some(floor) = self.floor else { return false };
        match kind {
            RaftKind::Vote { last, .. } | RaftKind::PreVote { last, .. }
                if is_planted(Bug::VoteByIndexAlone) =>
            {
                *last < floor.index
            }
            RaftKind::Vote { last, last_term, .. } | RaftKind::PreVote { last, last_term, .. } => {
                LogEnd { term: *last_term, index: *last } < floor
            }
            RaftKind::TimeoutNow => true,
            _ => false,
        }
    }

    /// A message as it is to be judged and stepped: a leader that does not know yet what was lost here
    /// calls that committed. What it says of the rest holds.
    pub fn tempered(&self, mut message: RaftMessage) -> RaftMessage {
        let (last, commit) = (self.last_index(), self.commit());
        if self.floor.is_some()
            && let RaftKind::Heartbeat { commit: told } = &mut message.kind
            && *told > last
        {
            *told = commit;
        }
        message
    }

    /// [`Replica::tick`] of a member that does not stand for election, or must not lead now. Time passes for it all
    /// the same: others whom it hears no more of must get its vote, and a leader that is not heard is forgotten.
    pub fn tick_without_standing(&mut self) {
        assert!(!self.is_leader(), "a leader ticks as such");
        let raft = &mut self.node.raft;
        raft.election_elapsed += 1;
        if raft.election_elapsed >= raft.election_timeout() && raft.state == StateRole::Follower {
            raft.leader_id = 0;
        }
    }

    /// Nothing of a term below this one is taken any more once it is durable. Not while a leader is
    /// heard: it need not be deposed.
    pub fn raise_term(&mut self, term: Term) {
        if self.leader().is_none() && self.term() < term {
            self.node.raft.become_follower(term.0, 0);
            self.fix_time_out();
        }
    }

    /// A follower's log ends with entry `last`, whatever it acknowledged before it was started anew: it is
    /// sent again what follows.
    pub fn forget_beyond(&mut self, follower: RaftId, last: Index) {
        if !self.is_leader() || is_planted(Bug::MatchedKeptOverStart) {
            return;
        }
        let Some(progress) = self.node.raft.mut_prs().get_mut(follower.0) else { return };
        if progress.matched > last.0 {
            progress.become_probe();
            progress.matched = 0;
            progress.next_idx = last.0 + 1;
        }
    }
}
