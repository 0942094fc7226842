//! ConsumerGroupHeartbeat: how a member comes, stays, and learns what it is assigned.

use super::assignor::Assignor;
use super::group::ConsumerGroup;
use super::member::{AWAY, ConsumerMember, CurrentAssignment, LEAVES, Wish};
use super::partitions::Partitions;
use super::settings;
use crate::groups::config::{GROUP_METADATA_BYTES_MAX, LIVE_BYTES_MAX, MEMBERS_MAX};
use crate::groups::error::GroupError;
use crate::groups::group::Group;
use crate::groups::request::{Answer, Beat, ConsumerHeartbeat};
use crate::groups::words::Turn;
use crate::port::RequestId;
use std::sync::Arc;

/// Of a member that joins: nothing, or its rebalance timeout and what it subscribes to.
pub fn check_request(beat: &ConsumerHeartbeat) -> Result<(), GroupError> {
    let refused = |why| Err(GroupError::InvalidRequest(why));
    if beat.instance.as_deref() == Some("") {
        return refused("InstanceId can't be empty.");
    }
    if beat.rack.as_deref() == Some("") {
        return refused("RackId can't be empty.");
    }
    let subscribes = beat.topics.as_ref().is_some_and(|topics| !topics.is_empty())
        || beat.pattern.as_deref().is_some_and(|pattern| !pattern.is_empty());
    match beat.epoch {
        1.. | LEAVES | AWAY if beat.member.is_empty() => refused("MemberId can't be empty."),
        AWAY if beat.instance.is_none() => refused("InstanceId can't be null."),
        0 if beat.rebalance_timeout_ms.is_none() => {
            refused("RebalanceTimeoutMs must be provided in first request.")
        }
        0 if beat.owned.as_ref().is_none_or(|owned| !owned.is_empty()) => {
            refused("TopicPartitions must be empty when (re-)joining.")
        }
        0 if !subscribes => {
            refused("Either SubscribedTopicNames or SubscribedTopicRegex must be set in first request.")
        }
        0.. | LEAVES | AWAY => match beat.assignor.as_deref().map(Assignor::of) {
            Some(None) => Err(GroupError::UnsupportedAssignor),
            _ => Ok(()),
        },
        _ => refused("MemberEpoch is invalid."),
    }
}

impl Group {
    /// Answered when all that it says is committed.
    pub fn consumer_heartbeat(&mut self, request: RequestId, beat: ConsumerHeartbeat, turn: &mut Turn<'_>) {
        let result = self.try_heartbeat(&beat, turn);
        self.flush(turn);
        self.reply(request, Answer::Beat(result), turn);
    }

    fn try_heartbeat(&mut self, beat: &ConsumerHeartbeat, turn: &mut Turn<'_>) -> Result<Beat, GroupError> {
        check_request(beat)?;
        if beat.epoch < 0 {
            return self.consumer_leave(beat, turn);
        }
        let joins = beat.epoch == 0;
        if joins {
            self.check_room(beat, turn)?;
            self.become_consumer(turn)?;
        }
        let consumer = self.consumer.as_deref_mut().ok_or(GroupError::GroupIdNotFound)?;
        let id = match joins {
            true => consumer.joining(beat)?,
            false => consumer.known(beat)?,
        };
        let beat_answer = consumer.beaten(&id, beat, turn);
        self.follow_consumer(turn.now);
        Ok(beat_answer)
    }

    /// Whether a member may be one more, or say more than before.
    fn check_room(&self, beat: &ConsumerHeartbeat, turn: &Turn<'_>) -> Result<(), GroupError> {
        let (known, members, bytes) = match &self.consumer {
            Some(consumer) => {
                let known = consumer.find(&beat.member, beat.instance.as_deref()).is_some();
                (known, consumer.members.len(), consumer.wish_bytes())
            }
            None => (false, self.members.len(), 0),
        };
        if !known && members >= turn.config.consumer_group_size_max.min(MEMBERS_MAX) {
            return Err(GroupError::GroupMaxSizeReached);
        }
        if !known && turn.log.live_bytes > LIVE_BYTES_MAX {
            return Err(GroupError::GroupMaxSizeReached);
        }
        if bytes + beat.bytes() > GROUP_METADATA_BYTES_MAX {
            return Err(GroupError::GroupTooLarge);
        }
        let accepts = |pattern: &str| match &self.consumer {
            Some(consumer) => consumer.accepts_pattern(pattern),
            None => ConsumerGroup::default().accepts_pattern(pattern),
        };
        if beat.pattern.as_deref().is_some_and(|pattern| !accepts(pattern)) {
            return Err(GroupError::InvalidRegularExpression);
        }
        Ok(())
    }
}

impl ConsumerGroup {
    pub fn find(&self, member: &str, instance: Option<&str>) -> Option<&ConsumerMember> {
        let by_instance = instance.and_then(|instance| self.statics.get(instance));
        self.members.get(by_instance.map_or(member, |id| &**id))
    }

    /// The id of a member that comes, or comes back with nothing.
    fn joining(&mut self, beat: &ConsumerHeartbeat) -> Result<Arc<str>, GroupError> {
        let id: Arc<str> = beat.member.as_str().into();
        let by_instance = beat.instance.as_deref().and_then(|instance| self.statics.get(instance)).cloned();
        if let Some(old) = by_instance.filter(|old| *old != id) {
            let member = &self.members[&old];
            if member.wish.classic.is_none() && member.current.epoch != AWAY {
                return Err(GroupError::UnreleasedInstanceId);
            }
            self.replace(&old, &id);
            return Ok(id);
        }
        // It says that it has nothing: whatever it had is free.
        let member = self.members.get(&id).filter(|member| member.current.epoch != AWAY);
        if member.is_some_and(|member| member.wish.classic.is_none()) {
            self.set_current(&id, CurrentAssignment::default());
        }
        Ok(id)
    }

    /// A static member under a new id has what the old one had, and begins at epoch 0.
    pub fn replace(&mut self, old: &Arc<str>, new: &Arc<str>) {
        let before = self.members[old].current.clone();
        let member = self.take_member(old);
        self.put_wish(new, member.wish);
        let assigned = before.assigned;
        self.set_current(
            new,
            CurrentAssignment { epoch: 0, previous_epoch: 0, assigned, ..CurrentAssignment::default() },
        );
        self.members.get_mut(new).expect("just put").target = member.target;
    }

    /// The id of a member that is there, at its epoch or at the one before.
    fn known(&self, beat: &ConsumerHeartbeat) -> Result<Arc<str>, GroupError> {
        if let Some(instance) = beat.instance.as_deref() {
            match self.statics.get(instance) {
                None => return Err(GroupError::UnknownMemberId),
                Some(known) if **known != *beat.member => return Err(GroupError::FencedInstanceId),
                Some(_) => {}
            }
        }
        let member = self.members.get(beat.member.as_str()).ok_or(GroupError::UnknownMemberId)?;
        let current = &member.current;
        // The answer that told of the new epoch may be lost: then it has no more than it was told.
        let has_no_more = || beat.owned.as_ref().is_some_and(|owned| owned.is_within(&current.assigned));
        let is_before = beat.epoch == current.previous_epoch && beat.epoch < current.epoch && has_no_more();
        if beat.epoch != current.epoch && !is_before {
            return Err(GroupError::FencedMemberEpoch);
        }
        if beat.pattern.as_deref().is_some_and(|pattern| !self.accepts_pattern(pattern)) {
            return Err(GroupError::InvalidRegularExpression);
        }
        let more = beat.topics.as_ref().map_or(0, |_| beat.bytes());
        if more > 0 && self.wish_bytes() - member.wish.bytes() + more > GROUP_METADATA_BYTES_MAX {
            return Err(GroupError::GroupTooLarge);
        }
        Ok(Arc::clone(&member.id))
    }

    /// Takes in what a member said and tells it where it is.
    fn beaten(&mut self, id: &Arc<str>, beat: &ConsumerHeartbeat, turn: &mut Turn<'_>) -> Beat {
        let wish = beat.wish(self.members.get(id).map(|member| &member.wish));
        let pattern = Arc::clone(&wish.pattern);
        let before = self.members.get(id).map(|member| member.current.assigned.clone());
        let mut changed = self.put_wish(id, wish);
        let may_see = |topic: &str| beat.sees.as_ref().is_none_or(|sees| sees.topic(turn.view, topic));
        changed |= self.resolve(&pattern, may_see, turn);
        self.settle(id, changed, beat.owned.as_ref(), turn);
        self.renew_session(id, turn);
        let member = &self.members[id];
        let tells = beat.is_full() || before.as_ref() != Some(&member.current.assigned);
        Beat {
            member: Arc::clone(id),
            epoch: member.current.epoch,
            interval_ms: settings::interval_ms(turn, &self.id),
            assignment: tells.then(|| member.current.assigned.clone()),
        }
    }

    /// Raises the epoch where something changed, assigns, and brings the member nearer.
    pub fn settle(&mut self, id: &Arc<str>, changed: bool, owned: Option<&Partitions>, turn: &mut Turn<'_>) {
        if self.look_at_topics(changed, turn) || changed {
            self.raise_epoch();
        }
        self.assign(turn);
        self.reconcile(id, owned, changed, turn);
    }

    pub fn renew_session(&mut self, id: &Arc<str>, turn: &mut Turn<'_>) {
        let session_ms = match &self.members[id].wish.classic {
            Some(classic) => classic.session_timeout_ms,
            None => settings::session_ms(turn, &self.id),
        };
        let expires_ns = turn.after_ms(session_ms.max(0) as u64);
        let member = self.members.get_mut(id).expect("a member of this group");
        // A timer that is set goes off earlier and is set again then.
        let arm = member.expires_ns == 0 || expires_ns < member.expires_ns;
        member.expires_ns = expires_ns;
        if arm {
            self.set_timer(expires_ns, id, turn);
        }
    }
}

impl ConsumerHeartbeat {
    /// It says everything: because it joins, or because it does not know whether it was heard.
    fn is_full(&self) -> bool {
        let subscribes = self.topics.is_some() || self.pattern.is_some();
        self.epoch == 0 || (self.rebalance_timeout_ms.is_some() && subscribes && self.owned.is_some())
    }

    /// Of what it says about itself.
    fn bytes(&self) -> usize {
        self.wish(None).bytes()
    }

    /// What is not said is as before.
    fn wish(&self, before: Option<&Wish>) -> Wish {
        let before = before.cloned().unwrap_or_default();
        let arc = |text: &String| Arc::from(text.as_str());
        Wish {
            instance: self.instance.as_ref().map(arc).or(before.instance),
            rack: self.rack.as_ref().map(arc).or(before.rack),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            topics: self.topics.as_ref().map_or(before.topics, |topics| topics.iter().map(arc).collect()),
            pattern: self.pattern.as_ref().map_or(before.pattern, arc),
            rebalance_timeout_ms: self.rebalance_timeout_ms.unwrap_or(before.rebalance_timeout_ms),
            assignor: self.assignor.as_deref().map_or(before.assignor, Assignor::of),
            classic: None,
        }
    }
}
