//! How the journal begins and ends to lead, and how it hands over.

use super::Journal;
use crate::clock::Now;
use crate::ids::{Index, NodeId, RaftId};
use crate::journal::effects::Effects;
use crate::journal::ledger::waiters::{REPLICAS_INLINE, Reached};
use crate::journal::phase::Phase;
use crate::journal::quorum::holding::{Bounds, Holding};
use crate::journal::quorum::lead::{Caught, FollowerStanding, Lead};
use crate::planted::{Bug, is_planted};
use crate::port::{Event, MarkerAnswer, Output, Refusal};
use crate::raft::Follower;
use core::time::Duration;
use smallvec::SmallVec;

/// A stopping leader waits this long for another to take over: two elections.
const HAND_OVER: Duration = Duration::from_secs(1);

/// Followers lag by that all the time, whatever their entries' length.
const FEW_ENTRIES: u64 = 2;

impl Journal {
    /// Notices that this replica came to lead, or ceased to.
    pub(super) fn follow_role(&mut self, now: Now, fx: &mut Effects) {
        let leads = self.quorum.replica.is_leader();
        let term = self.quorum.replica.term();
        let led = self.quorum.lead.as_ref().map(|lead| lead.term);
        if led.is_some() && (!leads || led != Some(term)) {
            self.step_down(fx);
        }
        if leads && self.quorum.lead.is_none() {
            self.begin_to_lead(now, fx);
        }
        let seen = (term, self.quorum.replica.leader());
        if self.quorum.leader_seen != seen {
            self.quorum.leader_seen = seen;
            fx.leaders_changed = true;
        }
    }

    /// Folds the uncommitted tail, once; the term start that raft has just made is not in it yet.
    fn begin_to_lead(&mut self, now: Now, fx: &mut Effects) {
        if is_planted(Bug::ProducersLost) {
            self.ledger.state.fold.forget_all_producers();
        }
        let term = self.quorum.replica.term();
        self.ledger.speculate(self.log.cursor.next);
        self.upkeep.settled = false;
        let last = self.log.last();
        let caught = |follower: Follower| (follower.id, Caught::new(follower.is_voter, last, now));
        let followers = self.quorum.replica.followers().map(caught).collect();
        let noted_ns = now.mono_ns;
        self.quorum.lead = Some(Lead {
            term,
            followers,
            hand_over_ns: None,
            full_until_ns: 0,
            noted_ns,
            holding: Holding::new(now),
        });
        self.counts.elections += 1;
        self.heal.runs.holders.forget();
        fx.out.push(Output::Event(Event::Leading { journal: self.id, term }));
        fx.partitions_changed = true;
        fx.leaders_changed = true;
    }

    /// No longer the leader: everything speculative goes, everybody who waits is told.
    pub(super) fn step_down(&mut self, fx: &mut Effects) {
        if let Some(Lead { term, .. }) = self.quorum.lead.take() {
            fx.out.push(Output::Event(Event::LeadsNoMore { journal: self.id, term }));
        }
        self.upkeep.settled = false;
        let unanswered = self.ledger.forget_speculation(self.is_alone());
        self.quorum.supply.clear();
        self.quorum.replica.forget_all_fetched();
        fx.out.extend(unanswered.waiters.into_iter().map(|waiter| waiter.refuse(Refusal::NotLeader)));
        let commands = unanswered.commands.into_iter();
        fx.commands.extend(commands.map(|asker| (asker, Err(crate::control::ControlRefusal::NotController))));
        unanswered.markers.into_iter().for_each(|queued| queued.answer(MarkerAnswer::Moved, &mut fx.out));
        self.ledger.waiters.fail(Refusal::NotLeader, fx);
        fx.leaders_changed = true;
        fx.out.push(Output::Room);
    }

    /// Takes what raft knows of the followers.
    pub(super) fn note_followers(&mut self, now: Now) {
        let Some(lead) = &mut self.quorum.lead else { return };
        let last = self.log.last();
        lead.noted_ns = now.mono_ns;
        let mut count = 0;
        for follower in self.quorum.replica.followers() {
            count += 1;
            let new = || Caught::new(follower.is_voter, last, now);
            let caught = lead.followers.entry(follower.id).or_insert_with(new);
            caught.is_voter = follower.is_voter;
            caught.is_replaced = self.quorum.members.is_replaced(follower.id);
            caught.lacks_runs = self.heal.runs.holders.lacking_of(follower.id);
            if follower.is_active {
                caught.heard_ns = now.mono_ns;
            }
            caught.note(follower.matched, last, now);
        }
        if lead.followers.len() > count {
            let members = self.quorum.replica.members();
            lead.followers.retain(|id, _| members.contains(*id));
        }
        let bounds = Bounds::of(self.log.limits.bytes);
        let nearly_keeps_up = |caught: &Caught| {
            let lags = caught.matched.to.0 + FEW_ENTRIES < last.0 && !caught.matched.is_still(now);
            lags && caught.is_in_sync(now.mono_ns)
                && bounds.wait_for(
                    self.log.segments.bytes_from(caught.matched.to.next(), self.log.cursor.position),
                )
        };
        let is_wanted = lead.followers.values().any(nearly_keeps_up);
        self.counts.held_back_ns += lead.holding.note(is_wanted, now);
    }

    /// Producers wait for a follower that nearly keeps up.
    pub(super) fn is_held_back(&self) -> bool {
        self.quorum.lead.as_ref().is_some_and(|lead| lead.holding.holds())
    }

    /// The nodes whose replicas are in sync, this one first; nobody when it does not lead.
    pub fn in_sync(&self, now: Now) -> Vec<NodeId> {
        if self.serves_around_loss() {
            return self.node_of(self.quorum.replica.id()).into_iter().collect();
        }
        let Some(lead) = &self.quorum.lead else { return Vec::new() };
        let followers =
            lead.followers.iter().filter(|(_, caught)| caught.is_in_sync(now.mono_ns)).map(|(id, _)| *id);
        core::iter::once(self.quorum.replica.id())
            .chain(followers)
            .filter_map(|id| self.node_of(id))
            .collect()
    }

    /// Those who wait for more replicas than are in sync any more are told: their entry stays.
    pub(super) fn refuse_short(&mut self, now: Now, fx: &mut Effects) {
        if self.quorum.lead.is_some() && !self.is_alone() {
            self.ledger.waiters.refuse_short(self.quorum.in_sync_count(now), &mut fx.out);
        }
    }

    /// How far entries are: durable here, committed, and durable on so many replicas.
    pub(super) fn reached(&self) -> Reached {
        let durable = self.log.appender.durable().index;
        let mut copies: SmallVec<[Index; REPLICAS_INLINE]> = SmallVec::new();
        copies.push(durable);
        copies.extend(self.quorum.copies());
        copies.sort_unstable_by(|a, b| b.cmp(a));
        Reached { durable, committed: self.ledger.state.fold.applied, copies }
    }

    /// Every follower's standing; of a node that is back on a new disk, that of the new replica.
    pub fn follower_standings(&self, now_ns: u64) -> Vec<FollowerStanding> {
        let Some(lead) = &self.quorum.lead else { return Vec::new() };
        let last = self.log.last().0;
        let standing = |(id, caught): (RaftId, &Caught)| {
            let lag_entries = last - caught.matched.to.0.min(last);
            let lag_ns = if lag_entries == 0 { 0 } else { now_ns.saturating_sub(caught.caught_up_ns) };
            Some(FollowerStanding {
                node: self.node_of(id)?,
                matched: caught.matched.to,
                lag_entries,
                lag_bytes: self.log.segments.bytes_from(caught.matched.to.next(), self.log.cursor.position),
                lag_ns,
                in_sync: caught.is_in_sync(now_ns),
                space: caught.space,
            })
        };
        lead.current().filter_map(standing).collect()
    }

    /// What no other replica needs from here any more.
    pub fn held_by_all(&self) -> Index {
        if self.is_alone() { Index(u64::MAX) } else { self.quorum.held_by_all(self.log.durable()) }
    }

    /// Begins to hand over to the voter that has most, or to `preferred`. False when nobody can.
    pub fn hand_over(&mut self, preferred: Option<NodeId>, now: Now, fx: &mut Effects) -> bool {
        if !self.quorum.replica.is_leader() || self.quorum.replica.is_transferring() {
            return self.quorum.replica.is_transferring();
        }
        let fits = |id: RaftId| preferred.is_none() || preferred == self.node_of(id);
        let best = self
            .quorum
            .replica
            .followers()
            .filter(|follower| follower.is_voter && follower.is_active && fits(follower.id))
            .max_by_key(|follower| (follower.matched, follower.id));
        let Some(best) = best else { return false };
        self.seal_open(now, fx);
        self.quorum.replica.transfer_to(best.id);
        self.pump(now, fx);
        true
    }

    /// Another replica was asked to lead, and did not begin to yet.
    pub fn hands_over(&self) -> bool {
        self.quorum.replica.is_transferring()
    }

    /// A stopping leader hands over first. True once that is done, or in vain.
    pub(super) fn handed_over(&mut self, now: Now, fx: &mut Effects) -> bool {
        if self.is_alone() || self.phase != Phase::Running || !self.quorum.replica.is_leader() {
            return true;
        }
        let Some(lead) = &mut self.quorum.lead else { return true };
        let deadline = *lead.hand_over_ns.get_or_insert(now.plus(HAND_OVER));
        if now.mono_ns >= deadline {
            return true;
        }
        let begun = self.hand_over(None, now, fx);
        !begun || !self.quorum.replica.is_leader()
    }

    /// The preferred leader takes over when it has caught up but for a few entries, for which
    /// produce then waits: leaders drift back to their spread. False when it cannot yet.
    pub fn drift(&mut self, preferred: NodeId, lag_entries_max: u64, now: Now, fx: &mut Effects) -> bool {
        let last = Index(self.log.last().0.saturating_sub(lag_entries_max));
        let is_there = |follower: Follower| {
            let is_it = self.node_of(follower.id) == Some(preferred);
            // Whose disk is full has handed over itself.
            is_it && follower.is_active && follower.matched >= last && self.is_roomy(follower.id)
        };
        let may = self.is_settled() && self.ledger.queued_items.is_empty();
        may && self.quorum.replica.followers().any(is_there) && self.hand_over(Some(preferred), now, fx)
    }
}
