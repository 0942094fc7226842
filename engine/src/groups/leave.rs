//! How members go: LeaveGroup, sessions that end, ids that were given and not used.

use super::error::GroupError;
use super::group::Group;
use super::request::Leave;
use super::state::State;
use super::timers::Timer;
use super::words::Turn;
use std::sync::Arc;

impl Group {
    /// One result for each member named.
    pub fn leave(
        &mut self,
        leave: &Leave,
        turn: &mut Turn<'_>,
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        if self.state == State::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        let mut results = Vec::with_capacity(leave.members.len());
        for (member, instance) in &leave.members {
            results.push(self.leave_one(member, instance.as_deref(), turn));
        }
        Ok(results)
    }

    fn leave_one(
        &mut self,
        member: &str,
        instance: Option<&str>,
        turn: &mut Turn<'_>,
    ) -> Result<(), GroupError> {
        // An administrator removes static members by their instance id alone.
        let by_instance = instance.filter(|_| member.is_empty());
        let id = match by_instance {
            Some(instance) => self.statics.get(instance).cloned().ok_or(GroupError::UnknownMemberId)?,
            None if self.given.remove(member).is_some() => {
                self.end_rebalance_if_all_joined(turn);
                return Ok(());
            }
            None => self.check_member(member, instance)?,
        };
        self.remove_member(&id, turn);
        Ok(())
    }

    fn remove_member(&mut self, id: &Arc<str>, turn: &mut Turn<'_>) {
        self.drop_member(id, turn);
        match self.state {
            State::Empty | State::Dead => {}
            State::Stable | State::CompletingRebalance => self.begin_rebalance(turn),
            State::PreparingRebalance => self.end_rebalance_if_all_joined(turn),
        }
    }

    /// A member's timer went off.
    pub fn member_due(&mut self, id: &Arc<str>, turn: &mut Turn<'_>) {
        let now_ns = turn.now.mono_ns;
        if self.given.get(id).is_some_and(|expires_ns| *expires_ns <= now_ns) {
            self.given.remove(id);
            return self.end_rebalance_if_all_joined(turn);
        }
        let Some(member) = self.members.get_mut(id) else { return };
        if member.expires_ns > now_ns {
            let timer = Timer::Member { group: Arc::clone(&self.id), member: Arc::clone(id) };
            return turn.timers.set(member.expires_ns, timer);
        }
        if member.waits() {
            member.expires_ns = 0;
            return self.renew_session(id, turn);
        }
        self.remove_member(id, turn);
    }
}
