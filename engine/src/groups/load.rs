//! Reading a partition of the offsets topic back: the sum of its records, and the groups that it
//! stands for.

use super::consumer::record::Said;
use super::group::Group;
use super::member::Member;
use super::offsets::Committed;
use super::record::{GroupValue, Key, MemberValue, OffsetValue};
use super::state::State;
use super::words::Turn;
use super::writers::Writers;
use crate::batch::records::Record;
use crate::clock::Now;
use crate::coordinator::InTransaction;
use crate::coordinator::fields::BadRecord;
use crate::ids::Offset;
use crate::planted::{Bug, is_planted};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Takes in one record.
pub fn take(
    groups: &mut BTreeMap<Arc<str>, Group>,
    writers: &mut Writers,
    record: &Record<'_>,
    within: Option<InTransaction>,
    now: Now,
) -> Result<(), BadRecord> {
    let key = Key::decode(record.key.unwrap_or_default())?;
    match (key, record.value) {
        (Key::Offset { group, topic, partition }, Some(value)) => {
            let committed = Committed { value: OffsetValue::decode(value)?, at: Offset(record.offset) };
            let group = of(groups, &group, now);
            match within {
                Some(InTransaction { producer, epoch, .. }) => {
                    group.undecided.read(producer, epoch, (topic.into(), partition), committed);
                    writers.note(producer, &group.id);
                }
                None => group.offsets.put(&topic.into(), partition, committed),
            }
        }
        (Key::Offset { group, topic, partition }, None) => {
            of(groups, &group, now).offsets.remove(&topic, partition, Offset(record.offset));
        }
        (Key::Group { group }, Some(value)) => {
            GroupValue::decode(value)?;
            of(groups, &group, now).stored = Some(value.into());
        }
        (Key::Group { group }, None) => of(groups, &group, now).stored = None,
        (Key::Consumer { group, about }, Some(value)) => {
            Said::decode(&about, value)?;
            let committed = &mut of(groups, &group, now).flight.committed;
            committed.insert(record.key.unwrap_or_default().to_vec(), value.into());
        }
        (Key::Consumer { group, .. }, None) => {
            of(groups, &group, now).flight.committed.remove(record.key.unwrap_or_default());
        }
    }
    Ok(())
}

fn of<'a>(groups: &'a mut BTreeMap<Arc<str>, Group>, id: &str, now: Now) -> &'a mut Group {
    if !groups.contains_key(id) {
        let id: Arc<str> = id.into();
        groups.insert(Arc::clone(&id), Group::new(id, now));
    }
    groups.get_mut(id).expect("it was put there")
}

impl Group {
    /// Makes it what its record says; sessions begin now.
    pub fn restore(&mut self, turn: &mut Turn<'_>) {
        let Some(stored) = &self.stored else { return };
        let value = GroupValue::decode(stored).expect("decoded when it was read");
        self.generation = if is_planted(Bug::GenerationsForgotten) { 0 } else { value.generation };
        self.protocol_type = Some(value.protocol_type).filter(|name| !name.is_empty());
        self.protocol = value.protocol;
        if value.state_since_ms >= 0 {
            self.state_since_ms = value.state_since_ms;
        }
        for member in value.members {
            self.restore_member(member);
        }
        if self.members.is_empty() {
            return;
        }
        self.state = State::Stable;
        let leader = value.leader.and_then(|leader| self.members.get_key_value(leader.as_str()));
        let leader = leader.or_else(|| self.members.first_key_value());
        self.leader = leader.map(|(id, _)| Arc::clone(id));
        let members: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in members {
            self.renew_session(&id, turn);
        }
        self.check();
    }

    fn restore_member(&mut self, value: MemberValue) {
        let id: Arc<str> = value.member.into();
        let instance: Option<Arc<str>> = value.instance.map(Arc::from);
        if let Some(instance) = &instance {
            self.statics.insert(Arc::clone(instance), Arc::clone(&id));
        }
        let protocol = self.protocol.clone().unwrap_or_default();
        let member = Member {
            id: Arc::clone(&id),
            instance,
            client_id: value.client_id,
            client_host: value.client_host,
            rebalance_timeout_ms: value.rebalance_timeout_ms,
            session_timeout_ms: value.session_timeout_ms,
            protocols: vec![(protocol, value.subscription)],
            assignment: value.assignment,
            joining: None,
            syncing: None,
            must_sync: false,
            is_new: false,
            expires_ns: 0,
        };
        self.members.insert(id, member);
    }
}
