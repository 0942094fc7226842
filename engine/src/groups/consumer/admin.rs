//! What tools ask of a consumer group, and who may commit its offsets.

use super::group::ConsumerGroup;
use crate::groups::error::GroupError;
use crate::groups::request::{ConsumerDescribed, ConsumerDescribedMember, Identity};

impl ConsumerGroup {
    pub fn describe(&self) -> ConsumerDescribed {
        let members = self.members.values().map(|member| ConsumerDescribedMember {
            member: member.id.clone(),
            instance: member.wish.instance.clone(),
            rack: member.wish.rack.clone(),
            epoch: member.current.epoch,
            client_id: member.wish.client_id.clone(),
            client_host: member.wish.client_host.clone(),
            topics: member.wish.topics.iter().cloned().collect(),
            pattern: member.wish.pattern.clone(),
            assigned: member.current.assigned.clone(),
            target: member.target.clone(),
            is_classic: member.wish.classic.is_some(),
        });
        ConsumerDescribed {
            state: self.state_name(),
            epoch: self.epoch,
            assignment_epoch: self.assignment_epoch,
            assignor: self.assignor().name(),
            members: members.collect(),
        }
    }

    /// Who may commit: a member at its epoch. One that is behind learns so with its next heartbeat,
    /// and tries again.
    pub fn check_commit(&self, identity: &Identity, knows_epochs: bool) -> Result<(), GroupError> {
        let member = self.members.get(identity.member.as_str()).ok_or(GroupError::UnknownMemberId)?;
        let is_classic = member.wish.classic.is_some();
        if !is_classic && !knows_epochs {
            return Err(GroupError::UnsupportedVersion);
        }
        if identity.generation == member.current.epoch {
            return Ok(());
        }
        Err(if is_classic { GroupError::IllegalGeneration } else { GroupError::StaleMemberEpoch })
    }
}
