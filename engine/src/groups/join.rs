//! JoinGroup: who is let in, and under which id.

use super::config::{GROUP_METADATA_BYTES_MAX, MEMBERS_MAX};
use super::error::GroupError;
use super::group::Group;
use super::member::{Member, refuse_join};
use super::request::{Answer, Join, Joined, JoinedMember};
use super::state::State;
use super::timers::Timer;
use super::words::Turn;
use crate::port::RequestId;
use std::sync::Arc;

/// Protocols that one member may offer; clients have one to three. Those that all members have are
/// looked for at each join.
const PROTOCOLS_MAX: usize = 64;

impl Group {
    /// The answer comes at once, or when the rebalance ends.
    pub fn join(&mut self, request: RequestId, join: Join, turn: &mut Turn<'_>) {
        if let Err((error, member)) = self.try_join(request, &join, turn) {
            turn.answer(request, refuse_join(error, member));
        }
    }

    fn try_join(
        &mut self,
        request: RequestId,
        join: &Join,
        turn: &mut Turn<'_>,
    ) -> Result<(), (GroupError, Arc<str>)> {
        let refused = |error| (error, Arc::from(join.member.as_str()));
        if self.state == State::Dead {
            return Err(refused(GroupError::CoordinatorNotAvailable));
        }
        if !self.accepts(&join.member, turn.config.group_size_max.min(MEMBERS_MAX)) {
            return Err((GroupError::GroupMaxSizeReached, Arc::default()));
        }
        if join.protocols.len() > PROTOCOLS_MAX {
            return Err(refused(GroupError::InconsistentGroupProtocol));
        }
        if !self.supports(&join.protocol_type, &join.protocols) {
            return Err(refused(GroupError::InconsistentGroupProtocol));
        }
        let bytes = join.protocols.iter().map(|(name, metadata)| name.len() + metadata.len()).sum::<usize>();
        if bytes + self.metadata_bytes_without(&join.member) > GROUP_METADATA_BYTES_MAX {
            return Err(refused(GroupError::GroupTooLarge));
        }
        if join.member.is_empty() {
            return self.join_unknown(request, join, turn);
        }
        self.join_known(request, join, turn).map_err(refused)
    }

    /// `group.max.size` bounds members, and while a rebalance is prepared those who wait for it:
    /// then whoever comes first stays.
    fn accepts(&self, member: &str, size_max: usize) -> bool {
        let known = self.members.get(member);
        if known.is_none() && !self.given.contains_key(member) && self.given.len() >= MEMBERS_MAX {
            return false;
        }
        match self.state {
            State::Empty | State::Dead => true,
            State::PreparingRebalance => {
                let joining = self.members.values().filter(|member| member.joining.is_some()).count();
                known.is_some_and(|member| member.joining.is_some()) || joining < size_max
            }
            State::CompletingRebalance | State::Stable => known.is_some() || self.members.len() < size_max,
        }
    }

    fn join_unknown(
        &mut self,
        request: RequestId,
        join: &Join,
        turn: &mut Turn<'_>,
    ) -> Result<(), (GroupError, Arc<str>)> {
        let member = join.new_id();
        let known = join.instance.as_deref().and_then(|instance| self.statics.get(instance)).cloned();
        match known {
            Some(old) => self.replace_static(request, &old, &member, join, turn),
            None if join.requires_known_member && join.instance.is_none() => {
                return Err((GroupError::MemberIdRequired, self.give_id(member, join, turn)));
            }
            None => self.add_member(request, member, join, turn),
        }
        Ok(())
    }

    /// KIP-394: the client tells that it lives by coming back with the id.
    fn give_id(&mut self, member: Arc<str>, join: &Join, turn: &mut Turn<'_>) -> Arc<str> {
        let expires_ns = turn.after_ms(join.session_timeout_ms.max(0) as u64);
        self.given.insert(Arc::clone(&member), expires_ns);
        let timer = Timer::Member { group: Arc::clone(&self.id), member: Arc::clone(&member) };
        turn.timers.set(expires_ns, timer);
        member
    }

    fn join_known(&mut self, request: RequestId, join: &Join, turn: &mut Turn<'_>) -> Result<(), GroupError> {
        if let Some((member, _)) = self.given.remove_entry(join.member.as_str()) {
            self.add_member(request, member, join, turn);
            return Ok(());
        }
        let id = self.check_member(&join.member, join.instance.as_deref())?;
        let is_unchanged = self.members[&id].protocols == join.protocols;
        let answered_now = match self.state {
            // It did not hear the answer to its first join.
            State::CompletingRebalance => is_unchanged,
            // A leader that joins again wants a rebalance: topics changed.
            State::Stable => is_unchanged && !self.is_leader(&id),
            State::PreparingRebalance => false,
            State::Empty | State::Dead => return Err(GroupError::UnknownMemberId),
        };
        if answered_now {
            let answer = Answer::Joined(Ok(self.joined(&id)));
            turn.answer(request, answer);
            self.renew_session(&id, turn);
        } else {
            self.update_member(&id, join);
            self.wait_for_rebalance(request, &id, turn);
            self.begin_rebalance(turn);
        }
        Ok(())
    }

    fn add_member(&mut self, request: RequestId, id: Arc<str>, join: &Join, turn: &mut Turn<'_>) {
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.clone());
        }
        let member = Member::new(Arc::clone(&id), join);
        if let Some(instance) = &member.instance {
            self.statics.insert(Arc::clone(instance), Arc::clone(&id));
        }
        self.leader.get_or_insert_with(|| Arc::clone(&id));
        self.members.insert(Arc::clone(&id), member);
        // Only the members of a group's first generation come one by one.
        self.grew |= self.generation == 0;
        self.wait_for_rebalance(request, &id, turn);
        self.begin_rebalance(turn);
    }

    /// What a join says replaces what was known.
    pub fn update_member(&mut self, id: &str, join: &Join) {
        let member = self.members.get_mut(id).expect("a member of this group");
        member.protocols.clone_from(&join.protocols);
        member.rebalance_timeout_ms = join.rebalance_timeout_ms;
        member.session_timeout_ms = join.session_timeout_ms;
        member.client_id.clone_from(&join.client_id);
        member.client_host.clone_from(&join.client_host);
    }

    /// The join is answered when the rebalance ends. An earlier one of the same member, whose
    /// connection was lost, is answered here, into nothing.
    pub fn wait_for_rebalance(&mut self, request: RequestId, id: &Arc<str>, turn: &mut Turn<'_>) {
        let member = self.members.get_mut(id).expect("a member of this group");
        if let Some(before) = member.joining.replace(request) {
            turn.answer(before, refuse_join(GroupError::RebalanceInProgress, Arc::clone(id)));
        }
        self.renew_session(id, turn);
    }

    /// What a member is told of the present generation; the leader gets all members.
    pub fn joined(&self, id: &Arc<str>) -> Joined {
        let leader = self.leader.clone().expect("a group with members has a leader");
        let members = if leader == *id { self.joined_members() } else { Vec::new() };
        Joined {
            member: Arc::clone(id),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader,
            skip_assignment: false,
            members,
        }
    }

    pub fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let joined = |member: &Member| JoinedMember {
            member: Arc::clone(&member.id),
            instance: member.instance.clone(),
            metadata: member.metadata(protocol),
        };
        self.members.values().map(joined).collect()
    }
}

impl Join {
    /// The id of a member that joins for the first time.
    pub fn new_id(&self) -> Arc<str> {
        let name = self.instance.as_deref().unwrap_or(&self.client_id);
        format!("{name}-{}", uuid(self.entropy)).into()
    }
}

/// The usual text of 128 bits, as a random UUID (version 4).
fn uuid(bits: u128) -> String {
    let bits = bits & !(0xF << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_4() {
        assert_eq!(uuid(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
