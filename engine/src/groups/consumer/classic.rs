//! Members of the classic protocol in a consumer group: they join, sync and send heartbeats as
//! before, and are told that a rebalance goes on whenever there is something to give up or to get.

use super::convert::version_of;
use super::embedded;
use super::group::ConsumerGroup;
use super::member::{ClassicPart, ConsumerMember, MemberProgress, Wish};
use crate::groups::config::{GROUP_METADATA_BYTES_MAX, MEMBERS_MAX};
use crate::groups::error::GroupError;
use crate::groups::group::{CONSUMER, Group};
use crate::groups::member::refuse_join;
use crate::groups::request::{Answer, Heartbeat, Identity, Join, Joined, Leave, Sync, Synced};
use crate::groups::words::Turn;
use crate::port::RequestId;
use std::sync::Arc;

impl Group {
    /// Answered when what follows is committed: nobody is waited for.
    pub fn join_consumer(&mut self, request: RequestId, join: &Join, turn: &mut Turn<'_>) {
        let answer = match self.try_join_consumer(join, turn) {
            Ok(joined) => Answer::Joined(Ok(joined)),
            Err((error, member)) => refuse_join(error, member),
        };
        self.flush(turn);
        self.reply(request, answer, turn);
    }

    fn try_join_consumer(
        &mut self,
        join: &Join,
        turn: &mut Turn<'_>,
    ) -> Result<Joined, (GroupError, Arc<str>)> {
        let refused = |error| (error, Arc::from(join.member.as_str()));
        let consumer = self.consumer.as_deref_mut().expect("a consumer group");
        consumer.check_join(join, turn).map_err(refused)?;
        if join.member.is_empty() && join.requires_known_member && join.instance.is_none() {
            return Err((GroupError::MemberIdRequired, join.new_id()));
        }
        let id = consumer.classic_id(join).map_err(refused)?;
        let (_, metadata) = join.protocols.first().expect("checked");
        let subscription = embedded::subscription(metadata, turn.view)
            .map_err(|_| refused(GroupError::InconsistentGroupProtocol))?;
        let wish = Wish {
            instance: join.instance.as_deref().map(Arc::from),
            rack: subscription.rack,
            client_id: join.client_id.clone(),
            client_host: join.client_host.clone(),
            topics: subscription.topics,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            classic: Some(ClassicPart {
                session_timeout_ms: join.session_timeout_ms,
                protocols: join.protocols.clone(),
            }),
            ..Wish::default()
        };
        let changed = consumer.put_wish(&id, wish);
        consumer.settle(&id, changed, Some(&subscription.owned), turn);
        consumer.renew_session(&id, turn);
        consumer.must_act(&id, true, turn);
        let joined = consumer.classic_joined(&id);
        self.follow_consumer(turn.now);
        self.downgrade_if_classic(turn);
        Ok(joined)
    }

    pub fn sync_consumer(&mut self, request: RequestId, sync: &Sync, turn: &mut Turn<'_>) {
        let consumer = self.consumer.as_deref_mut().expect("a consumer group");
        let answer = Answer::Synced(consumer.classic_sync(sync, turn));
        self.reply(request, answer, turn);
    }

    pub fn heartbeat_consumer(&mut self, request: RequestId, heartbeat: &Heartbeat, turn: &mut Turn<'_>) {
        let consumer = self.consumer.as_deref_mut().expect("a consumer group");
        let answer = Answer::Heartbeat(consumer.classic_heartbeat(heartbeat, turn));
        self.reply(request, answer, turn);
    }

    /// One result for each member named. A static member of the consumer protocol may be taken out
    /// by its instance id, too.
    pub fn leave_consumer(&mut self, request: RequestId, leave: &Leave, turn: &mut Turn<'_>) {
        let mut results = Vec::with_capacity(leave.members.len());
        for (member, instance) in &leave.members {
            let Some(consumer) = &self.consumer else {
                results.push(Err(GroupError::UnknownMemberId));
                continue;
            };
            let found = consumer.leaving(member, instance.as_deref());
            results.push(found.map(|id| self.remove_consumer(&id, turn)));
        }
        self.flush(turn);
        self.reply(request, Answer::Left(Ok(results)), turn);
    }
}

impl ConsumerGroup {
    fn check_join(&self, join: &Join, turn: &Turn<'_>) -> Result<(), GroupError> {
        let session = turn.config.session_timeout_min_ms..=turn.config.session_timeout_max_ms;
        if !session.contains(&join.session_timeout_ms) {
            return Err(GroupError::InvalidSessionTimeout);
        }
        let known = self.find(&join.member, join.instance.as_deref());
        let size_max = turn.config.consumer_group_size_max.min(MEMBERS_MAX);
        if known.is_none() && self.members.len() >= size_max {
            return Err(GroupError::GroupMaxSizeReached);
        }
        let bytes: usize =
            join.protocols.iter().map(|(name, metadata)| name.len() + 2 * metadata.len()).sum();
        if self.wish_bytes() + bytes > GROUP_METADATA_BYTES_MAX {
            return Err(GroupError::GroupTooLarge);
        }
        // Were the group to be a classic one again, its members would need a protocol that all have.
        let others = self.members.values().filter(|member| known.is_none_or(|known| known.id != member.id));
        let has =
            |classic: &ClassicPart, name: &str| classic.protocols.iter().any(|(known, _)| known == name);
        let others: Vec<&ClassicPart> = others.filter_map(|member| member.wish.classic.as_ref()).collect();
        let is_common = |(name, _): &&(String, Arc<[u8]>)| others.iter().all(|classic| has(classic, name));
        if join.protocol_type != CONSUMER || join.protocols.iter().find(is_common).is_none() {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn classic_id(&mut self, join: &Join) -> Result<Arc<str>, GroupError> {
        let by_instance = join.instance.as_deref().map(|instance| self.statics.get(instance).cloned());
        let known = match by_instance {
            Some(Some(old)) if join.member.is_empty() => {
                let new = join.new_id();
                self.replace(&old, &new);
                return Ok(new);
            }
            Some(Some(old)) if *old == *join.member => Some(old),
            Some(Some(_)) => return Err(GroupError::FencedInstanceId),
            Some(None) if !join.member.is_empty() => return Err(GroupError::UnknownMemberId),
            _ => None,
        };
        let given = || (!join.member.is_empty()).then(|| Arc::from(join.member.as_str()));
        Ok(known.or_else(given).unwrap_or_else(|| join.new_id()))
    }

    fn classic_joined(&self, id: &Arc<str>) -> Joined {
        let member = &self.members[id];
        let classic = member.wish.classic.as_ref().expect("it joined by the classic protocol");
        Joined {
            member: Arc::clone(id),
            generation: member.current.epoch,
            protocol_type: Some(CONSUMER.to_owned()),
            protocol: classic.protocols.first().map(|(name, _)| name.clone()),
            // The coordinator assigns: nobody leads.
            leader: Arc::default(),
            skip_assignment: false,
            members: Vec::new(),
        }
    }

    fn classic_member(&self, identity: &Identity) -> Result<(&ConsumerMember, &ClassicPart), GroupError> {
        if let Some(instance) = identity.instance.as_deref() {
            match self.statics.get(instance) {
                None => return Err(GroupError::UnknownMemberId),
                Some(known) if **known != *identity.member => return Err(GroupError::FencedInstanceId),
                Some(_) => {}
            }
        }
        let member = self.members.get(identity.member.as_str()).ok_or(GroupError::UnknownMemberId)?;
        let classic = member.wish.classic.as_ref().ok_or(GroupError::UnknownMemberId)?;
        if member.current.epoch != identity.generation {
            return Err(GroupError::IllegalGeneration);
        }
        Ok((member, classic))
    }

    fn classic_sync(&mut self, sync: &Sync, turn: &mut Turn<'_>) -> Result<Synced, GroupError> {
        let (member, classic) = self.classic_member(&sync.member)?;
        let id = Arc::clone(&member.id);
        let protocol = classic.protocols.first().map(|(name, _)| name.clone());
        let differs =
            |given: &Option<String>, ours: Option<&str>| given.is_some() && given.as_deref() != ours;
        if differs(&sync.protocol_type, Some(CONSUMER)) || differs(&sync.protocol, protocol.as_deref()) {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        if self.epoch > member.current.epoch && member.current.progress != MemberProgress::Unrevoked {
            self.must_act(&id, false, turn);
            return Err(GroupError::RebalanceInProgress);
        }
        let bytes = embedded::write_assignment(version_of(classic), &member.current.assigned, turn.view);
        let assignment = bytes.into();
        self.members.get_mut(&id).expect("found above").must_act_by_ns = None;
        self.renew_session(&id, turn);
        Ok(Synced { protocol_type: Some(CONSUMER.to_owned()), protocol, assignment })
    }

    fn classic_heartbeat(&mut self, heartbeat: &Heartbeat, turn: &mut Turn<'_>) -> Result<(), GroupError> {
        let (member, _) = self.classic_member(&heartbeat.member)?;
        let (id, current) = (Arc::clone(&member.id), &member.current);
        let gets_more = || current.progress == MemberProgress::Unreleased && !self.waits_for_others(member);
        let must_join =
            current.epoch < self.epoch || current.progress == MemberProgress::Unrevoked || gets_more();
        self.renew_session(&id, turn);
        if must_join {
            self.must_act(&id, false, turn);
            return Err(GroupError::RebalanceInProgress);
        }
        Ok(())
    }

    /// Some of its share is not given up by others.
    fn waits_for_others(&self, member: &ConsumerMember) -> bool {
        let missing = member.target.iter().filter(|one| !member.current.assigned.contains(*one));
        missing.into_iter().any(|one| self.owners.contains_key(&one))
    }

    /// It has its rebalance timeout to join, or to sync after it joined; `anew` counts from now.
    fn must_act(&mut self, id: &Arc<str>, anew: bool, turn: &mut Turn<'_>) {
        let member = self.members.get_mut(id).expect("a member of this group");
        if anew || member.must_act_by_ns.is_none() {
            let by_ns = turn.after_ms(member.wish.rebalance_timeout_ms.max(0) as u64);
            member.must_act_by_ns = Some(by_ns);
            self.set_timer(by_ns, id, turn);
        }
    }

    fn leaving(&self, member: &str, instance: Option<&str>) -> Result<Arc<str>, GroupError> {
        let Some(instance) = instance else {
            let member = self.members.get(member).filter(|member| member.wish.classic.is_some());
            return member.map(|member| Arc::clone(&member.id)).ok_or(GroupError::UnknownMemberId);
        };
        let known = self.statics.get(instance).ok_or(GroupError::UnknownMemberId)?;
        match member.is_empty() || **known == *member {
            true => Ok(Arc::clone(known)),
            false => Err(GroupError::FencedInstanceId),
        }
    }
}
