//! The replicas of a journal: who leads, what followers have, and what goes to them.

pub mod health;
pub mod holding;
pub mod lead;
pub mod members;
pub mod pace;
pub mod supply;
pub mod works;

use crate::clock::Now;
use crate::ids::{Index, NodeId, RaftId, Term};
use crate::journal::log::vote_file::VoteNumber;
use crate::raft::{Follower, Outgoing, Replica, ReplicaStart};
use core::time::Duration;
use health::Refusals;
use lead::{Caught, Lead};
use members::Members;
use supply::Supply;
use works::Works;

/// A follower that was not heard for so long keeps nothing from being deleted: longer than a restart
/// or a stalled disk.
const AWAY: Duration = Duration::from_secs(10);

/// A follower this close behind the commit counts for what headers say of it; one that is further
/// behind waits with its writes instead.
const KEEPS_UP_ENTRIES: u64 = 256;

/// This replica among the others of its journal.
///
/// Invariants:
/// - `lead` is there exactly as long as this replica leads.
/// - `held_by_all` only rises: no leader's word need be taken back.
pub struct Quorum {
    pub(in crate::journal) replica: Replica,
    pub(in crate::journal) members: Members,
    /// While it leads.
    pub(in crate::journal) lead: Option<Lead>,
    /// The term and leader that were last told.
    pub(in crate::journal) leader_seen: (Term, Option<RaftId>),
    /// What is told to raft, and to peers, once it is durable.
    pub(in crate::journal) works: Works,
    /// Entries for followers that raft does not have at hand.
    pub(in crate::journal) supply: Supply,
    /// Followers whose message could not be sent.
    pub(in crate::journal) unsent: Vec<RaftId>,
    /// What a leader said that all voters hold.
    pub(in crate::journal) held_by_all: Index,
    /// Messages that were not believed.
    pub(in crate::journal) refusals: Refusals,
}

impl Quorum {
    /// A replica that goes on from what recovery found; `members` tell which node has which.
    pub fn new(start: &ReplicaStart, members: Vec<(RaftId, NodeId)>) -> Self {
        Self {
            replica: Replica::new(start),
            members: Members::new(members),
            lead: None,
            leader_seen: (Term(0), None),
            works: Works::default(),
            supply: Supply::default(),
            unsent: Vec::new(),
            held_by_all: Index::NONE,
            refusals: Refusals::default(),
        }
    }

    /// Tells raft what is durable; gives what peers are told now, or nothing where nothing was.
    pub fn told_durable(
        &mut self,
        durable: Index,
        is_vote_durable: impl Fn(VoteNumber) -> bool,
    ) -> Option<Vec<Outgoing>> {
        let (mut released, mut hold) = (None, Vec::new());
        while let Some(work) = self.works.release(durable, &is_vote_durable) {
            released = Some(work.number);
            hold.extend(work.hold);
        }
        self.replica.persisted(released?);
        Some(hold)
    }

    /// Tells raft of messages that could not be sent. True when there were any.
    pub fn report_unsent(&mut self) -> bool {
        let unsent = core::mem::take(&mut self.unsent);
        unsent.iter().for_each(|to| self.replica.report_unreachable(*to));
        !unsent.is_empty()
    }

    /// How many replicas are in sync, this one among them; nobody while it does not lead.
    pub fn in_sync_count(&self, now: Now) -> u16 {
        let Some(lead) = &self.lead else { return 0 };
        1 + lead.followers.values().filter(|caught| caught.is_in_sync(now.mono_ns)).count() as u16
    }

    /// What voters have, as far as this leader knows, besides itself.
    pub fn copies(&self) -> impl Iterator<Item = Index> + '_ {
        self.lead.iter().flat_map(|lead| lead.voters().map(Caught::matched_index))
    }

    /// A leader's word that all voters hold all up to `index`: nobody needs it from here.
    pub fn note_held_by_all(&mut self, index: Index) {
        let before = self.held_by_all;
        self.held_by_all = before.max(index);
        assert!(self.held_by_all >= before && self.held_by_all >= index, "it only rises");
    }

    /// What every follower that is there holds durably: what is above it somebody may still need
    /// from here. One that is away for long gets the start of the log instead. It only rises, so
    /// that of a former leader's word none need be taken back. `own` is what is durable here: a leader's own disk may
    /// be the slowest of all, and then it is the first that may lack an entry.
    pub fn held_by_all(&self, own: Index) -> Index {
        let Some(lead) = &self.lead else { return self.held_by_all };
        let away_ns = AWAY.as_nanos() as u64;
        let is_there = |caught: &&Caught| lead.noted_ns.saturating_sub(caught.heard_ns()) <= away_ns;
        let there = lead.followers.values().filter(is_there).map(Caught::matched_index);
        self.held_by_all.max(there.min().unwrap_or(own).min(own))
    }

    /// What an entry's header says to be committed: what is durable here, up to `own`, and on every follower
    /// that keeps up, so that none of them has to wait with its write.
    pub fn told_commit(&self, own: Index) -> Index {
        let commit = self.replica.commit().min(own);
        let keeps_up =
            |follower: &Follower| follower.is_active && follower.matched.0 + KEEPS_UP_ENTRIES >= commit.0;
        let slowest = self.replica.followers().filter(keeps_up).map(|follower| follower.matched).min();
        let told = slowest.map_or(commit, |matched| matched.min(commit));
        assert!(told <= self.replica.commit(), "{told} is told to be committed");
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::Membership;
    use holding::Holding;
    use std::collections::BTreeMap;
    use works::HeldWork;

    const S: u64 = 1_000_000_000;

    fn at(seconds: u64) -> Now {
        Now { mono_ns: seconds * S, wall_ms: 0 }
    }

    fn quorum(voters: &[u64]) -> Quorum {
        let voters: Vec<RaftId> = voters.iter().copied().map(RaftId).collect();
        let start = ReplicaStart {
            id: RaftId(1),
            members: Membership::first(&voters),
            term: Term(0),
            vote: None,
            commit: Index(0),
            first: Index(1),
            last: Index(0),
            terms: vec![],
            window: vec![],
            window_entries: 64,
            floor: None,
            seed: 7,
        };
        Quorum::new(&start, voters.iter().map(|id| (*id, NodeId(id.0 as u32))).collect())
    }

    /// It leads from 100 s on; its followers have so much.
    fn leading(matched: [(u64, u64); 2]) -> Quorum {
        let mut quorum = quorum(&[1, 2, 3]);
        let caught = |(id, matched)| {
            let mut caught = Caught::new(true, Index(0), at(100));
            caught.note(Index(matched), Index(10), at(100));
            (RaftId(id), caught)
        };
        let followers: BTreeMap<RaftId, Caught> = matched.into_iter().map(caught).collect();
        quorum.lead = Some(Lead {
            term: Term(1),
            followers,
            hand_over_ns: None,
            full_until_ns: 0,
            noted_ns: 100 * S,
            holding: Holding::new(at(100)),
        });
        quorum
    }

    #[test]
    fn raft_is_told_what_is_durable_once() {
        let mut quorum = quorum(&[1]);
        quorum.replica.campaign();
        while let Some(work) = quorum.replica.work() {
            let last = work.entries.last().map(|meta| meta.index);
            let vote = work.vote.map(|_| 1);
            quorum.works.hold(HeldWork { number: work.number, last, vote, hold: work.hold });
        }
        assert!(quorum.told_durable(Index(0), |_| false).is_none(), "its vote is not");
        assert!(quorum.told_durable(Index(1), |vote| vote <= 1).is_some());
        assert!(quorum.told_durable(Index(1), |vote| vote <= 1).is_none());
        while quorum.replica.work().is_some() {}
        assert_eq!(quorum.replica.commit(), Index(1));
        assert_eq!((quorum.told_commit(Index(0)), quorum.told_commit(Index(9))), (Index(0), Index(1)));
    }

    #[test]
    fn held_by_all_is_the_least_of_those_that_are_there_and_never_falls() {
        let mut quorum = leading([(2, 9), (3, 4)]);
        assert_eq!(quorum.held_by_all(Index(10)), Index(4));
        assert_eq!(quorum.held_by_all(Index(3)), Index(3), "its own disk is the slowest");
        quorum.lead.as_mut().expect("it leads").noted_ns = 111 * S;
        assert_eq!(quorum.held_by_all(Index(10)), Index(10), "nobody was heard for long");
        quorum.lead = None;
        assert_eq!(quorum.held_by_all(Index(10)), Index(0));
        quorum.note_held_by_all(Index(6));
        quorum.note_held_by_all(Index(5));
        assert_eq!(quorum.held_by_all(Index(10)), Index(6));
    }

    #[test]
    fn copies_and_who_is_in_sync_are_known_to_a_leader_alone() {
        let mut quorum = leading([(2, 10), (3, 4)]);
        assert_eq!(quorum.copies().collect::<Vec<_>>(), [Index(10), Index(4)]);
        assert_eq!((quorum.in_sync_count(at(101)), quorum.in_sync_count(at(111))), (3, 1));
        quorum.lead = None;
        assert_eq!((quorum.in_sync_count(at(101)), quorum.copies().count()), (0, 0));
    }

    #[test]
    fn what_could_not_be_sent_is_reported_once() {
        let mut quorum = quorum(&[1, 2, 3]);
        assert!(!quorum.report_unsent());
        quorum.unsent.push(RaftId(2));
        assert!(quorum.report_unsent() && !quorum.report_unsent());
    }
}
