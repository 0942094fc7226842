//! Static members (KIP-345): one that comes back under its instance id takes the place it had, if
//! it may without a rebalance.

use super::error::GroupError;
use super::group::Group;
use super::member::refuse_join;
use super::pending::Pending;
use super::request::{Answer, Join, Joined};
use super::state::State;
use super::words::Turn;
use crate::port::RequestId;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Group {
    /// The member `old` of this instance id becomes `new`.
    pub fn replace_static(
        &mut self,
        request: RequestId,
        old: &Arc<str>,
        new: &Arc<str>,
        join: &Join,
        turn: &mut Turn<'_>,
    ) {
        let was_leader = self.is_leader(old);
        self.rename(old, new, turn);
        self.update_member(new, join);
        let same_protocol = self.protocol.is_some() && self.select_protocol() == self.protocol;
        if self.state == State::Stable && same_protocol {
            self.renew_session(new, turn);
            return self.store_static(request, old, new, was_leader, join, turn);
        }
        self.wait_for_rebalance(request, new, turn);
        self.begin_rebalance(turn);
    }

    /// Whoever still uses the old id is fenced.
    fn rename(&mut self, old: &Arc<str>, new: &Arc<str>, turn: &mut Turn<'_>) {
        let mut member = self.members.remove(old).expect("an instance id is a member's");
        if let Some(request) = member.joining.take() {
            turn.answer(request, refuse_join(GroupError::FencedInstanceId, Arc::clone(old)));
        }
        if let Some(request) = member.syncing.take() {
            turn.answer(request, Answer::Synced(Err(GroupError::FencedInstanceId)));
        }
        if self.is_leader(old) {
            self.leader = Some(Arc::clone(new));
        }
        let instance = member.instance.clone().expect("a static member");
        self.statics.insert(instance, Arc::clone(new));
        member.id = Arc::clone(new);
        // Its timer has the old name.
        member.expires_ns = 0;
        member.is_new = false;
        self.members.insert(Arc::clone(new), member);
    }

    /// The new id is committed before it is told, so that another coordinator knows it.
    fn store_static(
        &mut self,
        request: RequestId,
        old: &Arc<str>,
        new: &Arc<str>,
        was_leader: bool,
        join: &Join,
        turn: &mut Turn<'_>,
    ) {
        let mut answer = self.joined(new);
        if was_leader && join.may_skip_assignment {
            answer.skip_assignment = true;
        } else if was_leader {
            // It would assign anew, and nobody asks for that: it must not know that it leads.
            answer = Joined { leader: Arc::clone(old), members: Vec::new(), ..answer };
        }
        let assignments: BTreeMap<_, _> = self
            .members
            .values()
            .map(|member| (Arc::clone(&member.id), Arc::clone(&member.assignment)))
            .collect();
        let value = self.value(&assignments).encode();
        let pending = Pending::StaticJoin {
            group: Arc::clone(&self.id),
            value: value.as_slice().into(),
            member: Arc::clone(new),
            request,
            answer,
        };
        self.store(value, pending, turn);
    }
}
