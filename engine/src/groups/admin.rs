//! What tools ask: DescribeGroups, ListGroups, DeleteGroups.

use super::error::GroupError;
use super::group::Group;
use super::member::Member;
use super::pending::ForgetAnswer;
use super::request::{Answer, Described, DescribedMember, ListedGroup, Protocol};
use super::state::State;
use super::words::Turn;
use crate::port::RequestId;
use std::sync::Arc;

impl Group {
    /// Metadata and assignments belong together only in a stable group.
    pub fn describe(&self) -> Described {
        let protocol = self.protocol.as_deref().filter(|_| self.state == State::Stable);
        let member = |member: &Member| DescribedMember {
            member: Arc::clone(&member.id),
            instance: member.instance.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: protocol.map(|protocol| member.metadata(protocol)).unwrap_or_default(),
            assignment: protocol.map(|_| Arc::clone(&member.assignment)).unwrap_or_default(),
        };
        Described {
            state: self.state,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: protocol.unwrap_or_default().to_owned(),
            members: self.members.values().map(member).collect(),
        }
    }

    pub fn list(&self) -> ListedGroup {
        ListedGroup {
            group: Arc::clone(&self.id),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: if self.consumer.is_some() { Protocol::Consumer } else { Protocol::Classic },
            state: match &self.consumer {
                Some(consumer) if self.state != State::Dead => consumer.state_name(),
                _ => self.state.name(),
            },
        }
    }

    /// Answered when it is committed that the group is gone.
    pub fn delete(&mut self, request: RequestId, turn: &mut Turn<'_>) {
        let error = match self.state {
            State::Dead => GroupError::GroupIdNotFound,
            // A transaction may still commit offsets of it.
            State::Empty if !self.undecided.is_empty() => GroupError::NonEmptyGroup,
            State::Empty => {
                let offsets = self.offsets.iter().map(|(topic, partition, _)| (Arc::clone(topic), partition));
                return self.forget(offsets.collect(), true, Some(ForgetAnswer::Group(request)), turn);
            }
            _ => GroupError::NonEmptyGroup,
        };
        turn.answer(request, Answer::Deleted(Err(error)));
    }
}
