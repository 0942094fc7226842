//! How the journal changes its members.

use super::Journal;
use crate::clock::Now;
use crate::control::View;
use crate::entry::EntryKind;
use crate::ids::{META_JOURNAL, NodeId, RaftId};
use crate::journal::effects::Effects;
use crate::port::{Event, Output};
use crate::raft::{Change, Membership};
use core::time::Duration;

/// A learner takes its place when it had all that the leader then had at some moment of this long:
/// from then on it is no slower than a voter that keeps up.
const CAUGHT_UP: Duration = Duration::from_secs(1);

/// A quorum of more is no safer in practice, and slower.
pub(super) const META_VOTERS_MAX: usize = 5;

impl Journal {
    pub(super) fn node_of(&self, id: RaftId) -> Option<NodeId> {
        self.quorum.members.node_of(id)
    }

    /// Whether this replica is one of the journal's, as far as it knows.
    pub fn is_member(&self) -> bool {
        self.quorum.replica.members().contains(self.quorum.replica.id())
    }

    /// The members as of what is committed here.
    pub fn membership(&self) -> &Membership {
        &self.ledger.state.members
    }

    /// Whether the members known here outlast a crash. Until they do on a majority, those of before
    /// count: should the leader's disk be lost now, the others would wait for the one that left.
    pub fn keeps_members(&self) -> bool {
        self.quorum.members.changed <= self.log.votes.durable().commit
    }

    /// This replica votes and counts like any other, and no crash undoes that.
    pub fn counts_for_good(&self) -> bool {
        let members = &self.ledger.state.members;
        let is_voter = members.voters.contains(&self.quorum.replica.id());
        is_voter && !members.is_joint() && self.keeps_members() && self.lacks_runs() == 0
    }

    /// Learns from the metadata which replica each node is to have.
    pub fn follow_members(&mut self, view: &View) {
        if let Some(journal) = view.journals.get(&self.id) {
            self.quorum.members.follow(view, journal);
        }
    }

    /// A leader's next step towards the members that are wanted, if it is time for one.
    pub(super) fn change_next(&mut self, now: Now, fx: &mut Effects) {
        let knows_all = self.is_settled() && self.ledger.state.fold.applied >= self.quorum.replica.commit();
        if !knows_all || !self.quorum.replica.may_change_members() {
            return;
        }
        let since_ns = now.mono_ns.saturating_sub(CAUGHT_UP.as_nanos() as u64);
        let is_caught_up = |id| self.is_whole(id, since_ns);
        let own = self.quorum.replica.id();
        let change = self.quorum.members.next_change(self.quorum.replica.members(), own, is_caught_up);
        let Some(change) = change else { return };
        let voters = self.quorum.replica.members().voters.len();
        if self.id == META_JOURNAL && voters >= META_VOTERS_MAX && matches!(change, Change::Grow { .. }) {
            // All others learn: more voters would only make each change of the metadata wait for more.
            return;
        }
        if !self.has_place_for_control(2 * crate::disk::BLOCK) {
            return self.prepare_next(now, fx);
        }
        self.seal_open(now, fx);
        if self.quorum.replica.may_change_members() {
            self.propose_items(EntryKind::Membership, 1, &change.encode(), now, fx);
        }
    }

    /// Whether a learner has all that a voter must have: every entry up to some moment since then, with them the
    /// checkpoint that they stand on, and all runs.
    fn is_whole(&self, id: RaftId, since_ns: u64) -> bool {
        let has_entries = self.quorum.lead.as_ref().is_some_and(|lead| lead.was_whole_since(id, since_ns));
        has_entries && self.has_all_runs(id)
    }

    /// A change of members is committed.
    pub(super) fn change_members(&mut self, change: Change, fx: &mut Effects) {
        let was_alone = self.quorum.replica.members().is_only(self.meta.raft_id);
        self.quorum.replica.apply_change(change);
        if was_alone && !self.is_alone() {
            // From now on there may be somebody who has what is damaged here.
            self.heal.damage.clone().iter().for_each(|damage| self.plan_repair(damage));
        }
        self.quorum.members.changed = self.ledger.state.fold.applied;
        if self.is_leader() {
            let node = match change {
                Change::AddLearner(id) | Change::RemoveLearner(id) => self.node_of(id),
                Change::Swap { into, .. } => self.node_of(into),
                Change::Grow { .. } | Change::Shrink { .. } | Change::Leave => None,
            };
            fx.out.push(Output::Event(Event::MembersChanged { journal: self.id, change, node }));
        }
        fx.leaders_changed = true;
    }
}
