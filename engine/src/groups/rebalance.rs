//! Rebalances: how one begins, whom it waits for, and how it ends.

use super::error::GroupError;
use super::group::{Group, Rebalance};
use super::member::{Member, refuse_join};
use super::pending::Pending;
use super::request::Answer;
use super::state::State;
use super::timers::Timer;
use super::words::Turn;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Group {
    /// Begins a rebalance, unless one is being prepared; ends it when all are there.
    pub fn begin_rebalance(&mut self, turn: &mut Turn<'_>) {
        if self.state != State::PreparingRebalance {
            self.prepare_rebalance(turn);
        }
        self.end_rebalance_if_all_joined(turn);
    }

    fn prepare_rebalance(&mut self, turn: &mut Turn<'_>) {
        self.refuse_syncs(GroupError::RebalanceInProgress, turn);
        self.sync_deadline_ns = None;
        let timeout_ms = self.rebalance_timeout_ms();
        let (wait_ms, initial_left_ms) = if self.state == State::Empty {
            let delay_ms = turn.config.initial_rebalance_delay_ms;
            self.grew = false;
            (delay_ms, Some(timeout_ms.saturating_sub(delay_ms)))
        } else {
            (timeout_ms, None)
        };
        self.wait_until_rebalanced(wait_ms, initial_left_ms, turn);
        self.set_state(State::PreparingRebalance, turn.now);
    }

    fn wait_until_rebalanced(&mut self, wait_ms: u64, initial_left_ms: Option<u64>, turn: &mut Turn<'_>) {
        let deadline_ns = turn.after_ms(wait_ms);
        self.rebalance = Some(Rebalance { deadline_ns, initial_left_ms });
        turn.timers.set(deadline_ns, Timer::Rebalance { group: Arc::clone(&self.id) });
    }

    /// As long as the slowest member may take.
    fn rebalance_timeout_ms(&self) -> u64 {
        let timeouts = self.members.values().map(|member| member.rebalance_timeout_ms);
        timeouts.max().unwrap_or(0).max(0) as u64
    }

    /// Ends the rebalance when nobody is missing. The first one of an empty group waits out its
    /// delay instead: more members are about to come.
    pub fn end_rebalance_if_all_joined(&mut self, turn: &mut Turn<'_>) {
        let Some(Rebalance { initial_left_ms: None, .. }) = self.rebalance else { return };
        let all = self.members.values().all(|member| member.joining.is_some());
        if all && self.given.is_empty() {
            self.end_rebalance(turn);
        }
    }

    /// The rebalance's timer went off.
    pub fn rebalance_due(&mut self, turn: &mut Turn<'_>) {
        let Some(rebalance) = self.rebalance else { return };
        if rebalance.deadline_ns > turn.now.mono_ns {
            return;
        }
        match rebalance.initial_left_ms {
            Some(left_ms) if left_ms > 0 && core::mem::replace(&mut self.grew, false) => {
                let wait_ms = turn.config.initial_rebalance_delay_ms.min(left_ms);
                self.wait_until_rebalanced(wait_ms, Some(left_ms - wait_ms), turn);
            }
            _ => self.end_rebalance(turn),
        }
    }

    /// A new generation of those who joined. Dynamic members that did not are gone; static ones
    /// keep their place until their session ends.
    fn end_rebalance(&mut self, turn: &mut Turn<'_>) {
        let missing = |member: &&Member| member.joining.is_none() && member.instance.is_none();
        let missing: Vec<Arc<str>> =
            self.members.values().filter(missing).map(|member| Arc::clone(&member.id)).collect();
        for id in missing {
            self.drop_member(&id, turn);
        }
        if !self.members.is_empty() && !self.elect_joined_leader() {
            // Static members alone, and none of them came back: who would assign?
            let wait_ms = self.rebalance_timeout_ms();
            return self.wait_until_rebalanced(wait_ms, None, turn);
        }
        self.rebalance = None;
        self.generation += 1;
        if self.members.is_empty() {
            self.became_empty(turn);
        } else {
            self.next_generation(turn);
        }
    }

    /// The leader is one who is there.
    fn elect_joined_leader(&mut self) -> bool {
        let joined = |id: &Arc<str>| self.members.get(id).is_some_and(|member| member.joining.is_some());
        if self.leader.as_ref().is_some_and(joined) {
            return true;
        }
        let other = self.members.values().find(|member| member.joining.is_some());
        match other.map(|member| Arc::clone(&member.id)) {
            Some(id) => {
                self.leader = Some(id);
                true
            }
            None => false,
        }
    }

    fn became_empty(&mut self, turn: &mut Turn<'_>) {
        self.protocol = None;
        self.set_state(State::Empty, turn.now);
        let value = self.value(&BTreeMap::new()).encode();
        let pending = Pending::Group { group: Arc::clone(&self.id), value: value.as_slice().into() };
        self.store(value, pending, turn);
    }

    fn next_generation(&mut self, turn: &mut Turn<'_>) {
        self.protocol = self.select_protocol();
        assert!(self.protocol.is_some(), "group {}: nobody is let in without a common protocol", self.id);
        self.set_state(State::CompletingRebalance, turn.now);
        let members: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in members {
            let answer = Answer::Joined(Ok(self.joined(&id)));
            let member = self.members.get_mut(&id).expect("listed above");
            if let Some(request) = member.joining.take() {
                member.is_new = false;
                member.must_sync = true;
                turn.answer(request, answer);
                self.renew_session(&id, turn);
            }
        }
        let deadline_ns = turn.after_ms(self.rebalance_timeout_ms());
        self.sync_deadline_ns = Some(deadline_ns);
        turn.timers.set(deadline_ns, Timer::Sync { group: Arc::clone(&self.id) });
    }

    /// Members that joined and never asked for their assignment are gone.
    pub fn sync_due(&mut self, turn: &mut Turn<'_>) {
        if self.sync_deadline_ns.is_none_or(|deadline_ns| deadline_ns > turn.now.mono_ns) {
            return;
        }
        self.sync_deadline_ns = None;
        let late: Vec<Arc<str>> = self
            .members
            .values()
            .filter(|member| member.must_sync)
            .map(|member| Arc::clone(&member.id))
            .collect();
        for id in &late {
            self.drop_member(id, turn);
        }
        if !late.is_empty() {
            self.begin_rebalance(turn);
        }
    }

    /// Takes a member out, and answers what it waits for.
    pub fn drop_member(&mut self, id: &Arc<str>, turn: &mut Turn<'_>) {
        let member = self.members.remove(id).expect("a member of this group");
        if let Some(request) = member.joining {
            turn.answer(request, refuse_join(GroupError::UnknownMemberId, Arc::clone(id)));
        }
        if let Some(request) = member.syncing {
            turn.answer(request, Answer::Synced(Err(GroupError::UnknownMemberId)));
        }
        if let Some(instance) = &member.instance {
            self.statics.remove(instance);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    /// Answers all who wait for their assignment.
    pub fn refuse_syncs(&mut self, error: GroupError, turn: &mut Turn<'_>) {
        for member in self.members.values_mut() {
            if let Some(request) = member.syncing.take() {
                turn.answer(request, Answer::Synced(Err(error)));
            }
        }
    }
}
