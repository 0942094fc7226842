//! What a node says of its disk is so: an entry that it acknowledges is durable there at that
//! moment, one that a leader calls committed is durable on a quorum, and a vote is written down.
//!
//! Whoever promises too early mostly keeps the promise a little later, and loses acknowledged
//! records only when the power fails in between. Here it is caught as it speaks.

use super::node::Node;
use super::survey::{hard_state, identity};
use super::world::World;
use engine::ids::{JournalId, NodeId, RaftId};
use engine::peer::{PeerMessage, RaftKind, RaftMessage};

impl World {
    /// Judges what a node says in a message, before it is sent.
    pub(super) fn judge_promises(&mut self, node: usize, message: &PeerMessage) {
        match message {
            PeerMessage::Raft { journal, message } => self.judge_promise(node, *journal, message),
            PeerMessage::Heartbeats(all) => {
                all.iter().for_each(|one| self.judge_promise(node, one.journal, &one.message));
            }
            _ => {}
        }
    }

    fn judge_promise(&mut self, node: usize, journal: JournalId, message: &RaftMessage) {
        match message.kind {
            RaftKind::AppendResponse { index, reject: false, .. } => {
                let Node { promises, disk, .. } = &mut self.nodes[node];
                let broken = promises.first_broken(disk, journal, index.0);
                assert_eq!(
                    broken, None,
                    "n{node} acknowledged journal {journal} up to {index}: this entry is not durable there"
                );
                self.counts.add("acknowledgement checked on the disk");
            }
            RaftKind::VoteResponse { reject: false, .. } => self.judge_vote(node, journal, message),
            RaftKind::Append { commit, .. } | RaftKind::Heartbeat { commit } => {
                self.judge_commit(node, journal, commit.0);
            }
            _ => {}
        }
    }

    fn judge_vote(&self, node: usize, journal: JournalId, message: &RaftMessage) {
        let here = &self.nodes[node];
        let identity = identity(here, journal).expect("it votes");
        let state = hard_state(here, &identity).expect("it votes, and nothing breaks that");
        let is_kept = state.term > message.term || (state.term, state.vote) == (message.term, message.to);
        assert!(
            is_kept,
            "n{node} votes for {} in term {} of journal {journal}: its disk says {} in term {}",
            message.to, message.term, state.vote, state.term
        );
    }

    fn judge_commit(&mut self, node: usize, journal: JournalId, commit: u64) {
        let told = self.committed.entry(journal).or_default();
        if *told >= commit {
            return;
        }
        *told = commit;
        let mut replicas = self.nodes[node].shards.iter().filter_map(|slot| slot.shard.journal(journal));
        let members = replicas.next().expect("it leads").membership();
        if members.is_joint() {
            return;
        }
        let view = self.nodes[node].view();
        let Some(of_journal) = view.journals.get(&journal) else { return };
        let has_it = |node: &&NodeId, id: &RaftId| of_journal.raft_id_of(&view.nodes[*node]) == *id;
        let node_of = |id: &RaftId| of_journal.replicas.iter().find(|node| has_it(node, id)).copied();
        let has = |id: NodeId| {
            let Node { promises, disk, .. } = &self.nodes[id.0 as usize];
            promises.has(disk, journal, commit)
        };
        let known: Option<Vec<bool>> = members.voters.iter().map(|id| node_of(id).and_then(has)).collect();
        let Some(known) = known else { return };
        let holders = known.iter().filter(|has| **has).count();
        assert!(
            holders > known.len() / 2,
            "n{node} calls entry {commit} of journal {journal} committed: {holders} of {} disks have it",
            known.len()
        );
        self.counts.add("commit checked on the disks");
    }
}
