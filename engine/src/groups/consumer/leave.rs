//! How members of a consumer group go: they say so, or are not heard of in time.

use super::member::{AWAY, CurrentAssignment};
use crate::groups::error::GroupError;
use crate::groups::group::Group;
use crate::groups::request::{Beat, ConsumerHeartbeat};
use crate::groups::words::Turn;
use std::sync::Arc;

impl Group {
    pub(super) fn consumer_leave(
        &mut self,
        beat: &ConsumerHeartbeat,
        turn: &mut Turn<'_>,
    ) -> Result<Beat, GroupError> {
        let consumer = self.consumer.as_deref_mut().ok_or(GroupError::GroupIdNotFound)?;
        if let Some(instance) = beat.instance.as_deref() {
            match consumer.statics.get(instance) {
                None => return Err(GroupError::UnknownMemberId),
                Some(known) if **known != *beat.member => return Err(GroupError::FencedInstanceId),
                Some(_) => {}
            }
        }
        let (id, _) =
            consumer.members.get_key_value(beat.member.as_str()).ok_or(GroupError::UnknownMemberId)?;
        let id = Arc::clone(id);
        if beat.epoch == AWAY {
            // It keeps what it has until its session ends, or somebody comes with its instance id.
            let member = consumer.members.get_mut(&id).expect("just found");
            member.revoke_by_ns = None;
            let before = member.current.clone();
            let assigned = before.assigned;
            let away = CurrentAssignment {
                epoch: AWAY,
                previous_epoch: before.epoch,
                assigned,
                ..CurrentAssignment::default()
            };
            consumer.set_current(&id, away);
        } else {
            self.remove_consumer(&id, turn);
        }
        Ok(Beat { member: id, epoch: beat.epoch, interval_ms: 0, assignment: None })
    }

    /// It is gone; what it had is free. The next heartbeat of anybody assigns anew.
    pub fn remove_consumer(&mut self, id: &Arc<str>, turn: &mut Turn<'_>) {
        let consumer = self.consumer.as_deref_mut().expect("a consumer group");
        consumer.take_member(id);
        consumer.raise_epoch();
        self.follow_consumer(turn.now);
        self.downgrade_if_classic(turn);
    }

    /// A member's timer went off.
    pub fn consumer_due(&mut self, id: &Arc<str>, turn: &mut Turn<'_>) {
        let consumer = self.consumer.as_deref_mut().expect("a consumer group");
        let Some(member) = consumer.members.get(id) else { return };
        let ends = [Some(member.expires_ns), member.revoke_by_ns, member.must_act_by_ns];
        let next_ns = ends.into_iter().flatten().min().expect("a session ends");
        if next_ns > turn.now.mono_ns {
            return consumer.set_timer(next_ns, id, turn);
        }
        self.remove_consumer(id, turn);
        self.flush(turn);
    }
}
