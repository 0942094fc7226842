//! A consumer group's records follow from what it is: what differs from what was written last is one
//! batch. Answers wait until all that was written before them is committed. When an append fails the
//! group becomes what its committed records say, as for another coordinator.

use super::flight::{Flight, RecordChange};
use super::group::{ConsumerGroup, Dirty};
use super::record::{self, About};
use crate::coordinator::{AppendError, KeyValue};
use crate::groups::error::GroupError;
use crate::groups::group::Group;
use crate::groups::pending::Pending;
use crate::groups::record::group_key;
use crate::groups::refusal::refusal_of;
use crate::groups::request::Answer;
use crate::groups::state::State;
use crate::groups::words::Turn;
use crate::ids::Offset;
use crate::port::RequestId;
use std::sync::Arc;

impl Group {
    /// Writes what changed, as one batch.
    pub fn flush(&mut self, turn: &mut Turn<'_>) {
        let mut changes = Vec::new();
        if let Some(value) = self.flight.classic.take() {
            changes.push((group_key(&self.id), value.map(Arc::from)));
        }
        match &mut self.consumer {
            Some(consumer) => put_dirty(consumer, &mut self.flight, turn, &mut changes),
            None => {
                let keys: Vec<Vec<u8>> = self.flight.keys().cloned().collect();
                keys.into_iter().for_each(|key| self.flight.put(key, None, &mut changes));
            }
        }
        if changes.is_empty() {
            return;
        }
        self.flight.sent += 1;
        let records: Vec<KeyValue> = changes
            .iter()
            .map(|(key, value)| (key.clone(), value.as_ref().map(|value| value.to_vec())))
            .collect();
        turn.append(Pending::Consumer { group: Arc::clone(&self.id), changes }, &records);
    }

    /// Answers once all that was written is committed.
    pub fn reply(&mut self, request: RequestId, answer: Answer, turn: &mut Turn<'_>) {
        match self.flight.is_idle() {
            true => turn.answer(request, answer),
            false => self.flight.waiting.push_back((self.flight.sent, request, answer)),
        }
    }

    /// A batch has its outcome.
    pub fn flown(
        &mut self,
        changes: Vec<RecordChange>,
        result: Result<Offset, AppendError>,
        turn: &mut Turn<'_>,
    ) {
        let flight = &mut self.flight;
        flight.done += 1;
        flight.failed |= result.is_err();
        for (key, value) in changes.into_iter().filter(|_| result.is_ok()) {
            if key == group_key(&self.id) {
                self.stored = value;
                continue;
            }
            match value {
                Some(value) => flight.committed.insert(key, value),
                None => flight.committed.remove(&key),
            };
        }
        while flight.waiting.front().is_some_and(|(after, ..)| *after <= flight.done) {
            let (_, request, answer) = flight.waiting.pop_front().expect("just seen");
            let answer = match (flight.failed, result) {
                (false, _) => answer,
                (true, Err(AppendError::TooLarge)) => refusal_of(&answer, GroupError::GroupTooLarge),
                (true, _) => refusal_of(&answer, GroupError::CoordinatorNotAvailable),
            };
            turn.answer(request, answer);
        }
        if flight.failed && flight.is_idle() && self.state != State::Dead {
            flight.failed = false;
            self.rebuild(turn);
        }
    }
}

fn put_dirty(
    consumer: &mut ConsumerGroup,
    flight: &mut Flight,
    turn: &Turn<'_>,
    changes: &mut Vec<RecordChange>,
) {
    let id = Arc::clone(&consumer.id);
    for dirty in core::mem::take(&mut consumer.dirty) {
        match dirty {
            Dirty::Group => {
                let value = record::group_value(consumer.epoch, consumer.metadata_hash);
                flight.put(About::Group.key(&id), Some(value), changes);
            }
            Dirty::TargetEpoch => {
                let value = record::target_epoch_value(consumer.assignment_epoch);
                flight.put(About::TargetEpoch.key(&id), Some(value), changes);
            }
            Dirty::Member(member) => put_member(consumer, &member, flight, changes),
            Dirty::Pattern(pattern) => {
                let matched = consumer.patterns.get(&pattern);
                let version = turn.view.version.0 as i64;
                let value = matched.map(|one| record::pattern_value(&one.topics, version, one.at_ms));
                flight.put(About::Pattern(pattern.to_string()).key(&id), value, changes);
            }
        }
    }
}

fn put_member(
    consumer: &ConsumerGroup,
    member: &Arc<str>,
    flight: &mut Flight,
    changes: &mut Vec<RecordChange>,
) {
    let (id, name) = (&consumer.id, member.to_string());
    let member = consumer.members.get(member);
    let keys = [About::Member(name.clone()), About::Target(name.clone()), About::Current(name)];
    let values = [
        member.map(|member| record::member_value(&member.wish)),
        member.map(|member| record::target_value(&member.target)),
        member.map(|member| record::current_value(&member.current)),
    ];
    for (about, value) in keys.into_iter().zip(values) {
        flight.put(about.key(id), value, changes);
    }
}
