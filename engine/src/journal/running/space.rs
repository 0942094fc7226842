//! A replica without room: a follower says so with its answers, a leader stops sending to it and
//! does not count it as in sync, and one whose own disk is full hands over to one that has room.
//!
//! Nothing here is about the leader's safety: an entry counts where it is durable, and a follower
//! without room acknowledges nothing. It is about not sending a megabyte sixty times a second to
//! somebody who cannot take it, and about clients that need not know whose disk is full.

use crate::clock::Now;
use crate::ids::RaftId;
use crate::journal::effects::Effects;
use crate::journal::phase::Phase;
use crate::journal::running::Journal;
use crate::peer::{RaftKind, RaftMessage, Space};
use crate::port::{Event, Output};
use crate::raft::Follower;
use core::time::Duration;

/// A leader without room looks this often for somebody to hand over to.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Journal {
    /// What this replica says of its disk.
    pub(super) fn space(&self) -> Space {
        // Not what the next segment is: while that is tried again it is neither there nor not.
        match (self.upkeep.reported_full, self.upkeep.turned_away) {
            (false, _) => Space::Room,
            (true, false) => Space::Short,
            (true, true) => Space::Full,
        }
    }

    /// What a follower said of its disk, with its answer to a heartbeat.
    pub(super) fn note_space(&mut self, message: &RaftMessage, fx: &mut Effects) {
        let RaftKind::HeartbeatResponse { space, .. } = message.kind else { return };
        let (journal, node) = (self.id, self.node_of(message.from));
        let Some(lead) = self.quorum.lead.as_mut().filter(|lead| lead.term() == message.term) else { return };
        let before = lead.set_space(message.from, space);
        if let (Some(before), Some(node)) = (before, node)
            && before != space
        {
            fx.out.push(Output::Event(Event::FollowerSpace { journal, node, space }));
            fx.leaders_changed = true;
        }
    }

    /// Whether an entry is worth sending there: who has no place for it says when that changes.
    pub(super) fn has_room(&self, follower: RaftId) -> bool {
        self.quorum.lead.as_ref().is_none_or(|lead| lead.space(follower) != Space::Full)
    }

    /// Whether a follower could go on leading.
    pub(super) fn is_roomy(&self, follower: RaftId) -> bool {
        self.quorum.lead.as_ref().is_some_and(|lead| lead.space(follower) == Space::Room)
    }

    /// A leader whose next segment cannot be prepared hands over, while there is still room in this
    /// one, to whoever has room.
    pub(super) fn hand_over_when_full(&mut self, now: Now, fx: &mut Effects) {
        let is_full = self.upkeep.reported_full && self.phase == Phase::Running;
        if !is_full || self.is_alone() {
            return;
        }
        let Some(lead) = self.quorum.lead.as_mut().filter(|lead| now.mono_ns >= lead.full_until_ns) else {
            return;
        };
        lead.full_until_ns = now.plus(LOOK_AGAIN);
        let commit = self.quorum.replica.commit();
        let may_lead = |follower: &Follower| {
            let keeps_up = follower.matched >= commit;
            follower.is_voter && follower.is_active && keeps_up && self.is_roomy(follower.id)
        };
        let best = self.quorum.replica.followers().filter(may_lead).map(|follower| follower.id).max();
        let Some(to) = best.and_then(|best| self.node_of(best)) else { return };
        if self.hand_over(Some(to), now, fx) {
            fx.out.push(Output::Event(Event::HandsOver { journal: self.id, to, why: "its disk is full" }));
        }
    }
}
