//! A group changes between the protocols while its members run (`group.consumer.migration.policy`):
//! to the consumer protocol when a member of that joins, back when the last of those is gone. Each
//! change is one batch: what was is taken back in it, and what is stands in it.

use super::embedded;
use super::group::ConsumerGroup;
use super::member::{ClassicPart, CurrentAssignment, Wish};
use super::partitions::Partitions;
use crate::clock::Now;
use crate::coordinator::fields::BadRecord;
use crate::groups::error::GroupError;
use crate::groups::group::{CONSUMER, Group};
use crate::groups::member::{Member, refuse_join};
use crate::groups::request::Answer;
use crate::groups::state::State;
use crate::groups::words::Turn;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Group {
    /// A member of the consumer protocol joins: the group is of that from now on.
    pub(super) fn become_consumer(&mut self, turn: &mut Turn<'_>) -> Result<(), GroupError> {
        if self.consumer.is_some() {
            return Ok(());
        }
        let consumer = match self.members.is_empty() {
            true => ConsumerGroup::new(Arc::clone(&self.id)),
            false => self.upgraded(turn)?,
        };
        if self.stored.is_some() || self.generation > 0 {
            self.flight.classic = Some(None);
        }
        self.send_classic_away(turn);
        self.forget_classic();
        self.protocol_type = Some(CONSUMER.to_owned());
        let members: Vec<Arc<str>> = consumer.members.keys().cloned().collect();
        self.consumer = Some(Box::new(consumer));
        let consumer = self.consumer.as_deref_mut().expect("just put");
        members.iter().for_each(|id| consumer.renew_session(id, turn));
        self.follow_consumer(turn.now);
        Ok(())
    }

    fn upgraded(&self, turn: &Turn<'_>) -> Result<ConsumerGroup, GroupError> {
        let fits = self.protocol_type.as_deref() == Some(CONSUMER)
            && self.members.len() < turn.config.consumer_group_size_max;
        if !turn.config.migration.upgrades() || !fits {
            return Err(GroupError::GroupIdNotFound);
        }
        let mut group = ConsumerGroup::new(Arc::clone(&self.id));
        (group.epoch, group.assignment_epoch) = (self.generation, self.generation);
        for member in self.members.values() {
            let upgraded = self.upgraded_member(member, turn);
            let (wish, assigned) = upgraded.map_err(|_| GroupError::GroupIdNotFound)?;
            group.put_wish(&member.id, wish);
            let (assigned, _) = assigned.split(|one| !group.owners.contains_key(&one));
            group.members.get_mut(&member.id).expect("just put").target = assigned.clone();
            let (epoch, previous_epoch) = (self.generation, self.generation);
            group.set_current(
                &member.id,
                CurrentAssignment { epoch, previous_epoch, assigned, ..CurrentAssignment::default() },
            );
        }
        Ok(group)
    }

    fn upgraded_member(&self, member: &Member, turn: &Turn<'_>) -> Result<(Wish, Partitions), BadRecord> {
        let (_, metadata) = member.protocols.first().ok_or(BadRecord::Short)?;
        let subscription = embedded::subscription(metadata, turn.view)?;
        let assigned = embedded::assignment(&member.assignment, turn.view)?;
        let wish = Wish {
            instance: member.instance.clone(),
            rack: subscription.rack,
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            topics: subscription.topics,
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            classic: Some(ClassicPart {
                session_timeout_ms: member.session_timeout_ms,
                protocols: member.protocols.clone(),
            }),
            ..Wish::default()
        };
        Ok((wish, assigned))
    }

    /// Those who wait for the rebalance that will not end join again.
    fn send_classic_away(&mut self, turn: &mut Turn<'_>) {
        for member in self.members.values_mut() {
            if let Some(request) = member.joining.take() {
                turn.answer(request, refuse_join(GroupError::RebalanceInProgress, Arc::clone(&member.id)));
            }
            if let Some(request) = member.syncing.take() {
                turn.answer(request, Answer::Synced(Err(GroupError::RebalanceInProgress)));
            }
        }
    }

    /// Where all members that are left are of the classic protocol, the group is.
    pub(super) fn downgrade_if_classic(&mut self, turn: &mut Turn<'_>) {
        let consumer = self.consumer.as_deref().expect("a consumer group");
        let mut members = consumer.members.values();
        let are_classic = !consumer.members.is_empty() && members.all(|member| member.wish.classic.is_some());
        if !are_classic || !turn.config.migration.downgrades() {
            return;
        }
        let consumer = self.consumer.take().expect("seen above");
        self.forget_classic();
        (self.generation, self.protocol_type) = (consumer.epoch, Some(CONSUMER.to_owned()));
        let mut assignments = BTreeMap::new();
        for member in consumer.members.into_values() {
            let classic = member.wish.classic.expect("seen above");
            let version = version_of(&classic);
            let bytes = embedded::write_assignment(version, &member.current.assigned, turn.view);
            assignments.insert(Arc::clone(&member.id), Arc::from(bytes.as_slice()));
            if let Some(instance) = &member.wish.instance {
                self.statics.insert(Arc::clone(instance), Arc::clone(&member.id));
            }
            let downgraded = Member {
                id: Arc::clone(&member.id),
                instance: member.wish.instance,
                client_id: member.wish.client_id,
                client_host: member.wish.client_host,
                rebalance_timeout_ms: member.wish.rebalance_timeout_ms,
                session_timeout_ms: classic.session_timeout_ms,
                protocols: classic.protocols,
                assignment: bytes.into(),
                joining: None,
                syncing: None,
                must_sync: false,
                is_new: false,
                expires_ns: 0,
            };
            self.members.insert(member.id, downgraded);
        }
        self.begin_classic(&assignments, turn);
    }

    /// They hear of the rebalance with their next heartbeats.
    fn begin_classic(&mut self, assignments: &BTreeMap<Arc<str>, Arc<[u8]>>, turn: &mut Turn<'_>) {
        self.leader = self.members.keys().next().cloned();
        self.protocol = self.select_protocol();
        assert!(self.protocol.is_some(), "group {}: nobody is let in without a common protocol", self.id);
        self.set_state(State::Stable, turn.now);
        self.flight.classic = Some(Some(self.value(assignments).encode()));
        let members: Vec<Arc<str>> = self.members.keys().cloned().collect();
        members.iter().for_each(|id| self.renew_session(id, turn));
        self.begin_rebalance(turn);
    }

    /// A consumer group without members becomes a classic one when a classic member joins.
    pub(super) fn drop_empty_consumer(&mut self, turn: &mut Turn<'_>) {
        self.consumer = None;
        self.forget_classic();
        self.set_state(State::Empty, turn.now);
        self.flush(turn);
    }

    /// The group's state is what the consumer protocol's members make it.
    pub(super) fn follow_consumer(&mut self, now: Now) {
        let Some(consumer) = &self.consumer else { return };
        let state = if consumer.members.is_empty() { State::Empty } else { State::Stable };
        self.protocol_type = Some(CONSUMER.to_owned());
        if self.state != state {
            self.set_state(state, now);
        }
    }
}

/// Of the schema by which a member wrote, and reads.
pub(super) fn version_of(classic: &ClassicPart) -> i16 {
    let first = classic.protocols.first().and_then(|(_, metadata)| metadata.first_chunk::<2>());
    first.map_or(0, |bytes| i16::from_be_bytes(*bytes))
}
