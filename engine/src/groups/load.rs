//! Reading a partition of the offsets topic back: the sum of its records, and the groups that it
//! stands for.

use super::group::{Group, Turn};
use super::member::Member;
use super::offsets::Committed;
use super::record::{BadRecord, GroupValue, Key, MemberValue, OffsetValue};
use super::state::State;
use crate::batch::BatchHeader;
use crate::batch::records::{Record, Records};
use crate::clock::Now;
use crate::ids::Offset;
use crate::planted::{Bug, is_planted};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A batch of this topic is written here and never compressed; what others wrote may be.
const BATCH_BODY_BYTES_MAX: usize = 64 << 20;

/// What was read so far.
#[derive(Default)]
pub struct Loading {
    pub groups: BTreeMap<Arc<str>, Group>,
    pub records: u64,
    /// Records that nobody here can read; they are passed over.
    pub bad_records: u64,
    /// Topics that were deleted meanwhile.
    pub deleted: Vec<Arc<str>>,
}

impl Loading {
    /// Takes in whole batches.
    pub fn take(&mut self, mut batches: &[u8], now: Now) {
        while let Some(header) = BatchHeader::of(batches) {
            let bytes = usize::try_from(header.declared_bytes()).unwrap_or(usize::MAX);
            let Some((batch, rest)) = batches.split_at_checked(bytes) else { break };
            match Records::open(batch, BATCH_BODY_BYTES_MAX) {
                Ok(records) => records.iter().for_each(|record| match record {
                    Ok(record) => self.take_record(&record, now),
                    Err(_) => self.bad_records += 1,
                }),
                Err(_) => self.bad_records += 1,
            }
            batches = rest;
        }
    }

    fn take_record(&mut self, record: &Record<'_>, now: Now) {
        self.records += 1;
        if self.try_record(record, now).is_err() {
            self.bad_records += 1;
        }
    }

    fn try_record(&mut self, record: &Record<'_>, now: Now) -> Result<(), BadRecord> {
        let key = Key::decode(record.key.unwrap_or_default())?;
        match (key, record.value) {
            (Key::Offset { group, topic, partition }, Some(value)) => {
                let committed = Committed { value: OffsetValue::decode(value)?, at: Offset(record.offset) };
                self.group(&group, now).offsets.put(&topic.into(), partition, committed);
            }
            (Key::Offset { group, topic, partition }, None) => {
                self.group(&group, now).offsets.remove(&topic, partition, Offset(record.offset));
            }
            (Key::Group { group }, Some(value)) => {
                GroupValue::decode(value)?;
                self.group(&group, now).stored = Some(value.into());
            }
            (Key::Group { group }, None) => self.group(&group, now).stored = None,
        }
        Ok(())
    }

    fn group(&mut self, id: &str, now: Now) -> &mut Group {
        if !self.groups.contains_key(id) {
            let id: Arc<str> = id.into();
            self.groups.insert(Arc::clone(&id), Group::new(id, now));
        }
        self.groups.get_mut(id).expect("it was put there")
    }

    /// Nothing more comes: the groups that there are.
    pub fn finish(&mut self) -> BTreeMap<Arc<str>, Group> {
        let mut groups = core::mem::take(&mut self.groups);
        groups.retain(|_, group| group.stored.is_some() || !group.offsets.is_empty());
        groups
    }
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
