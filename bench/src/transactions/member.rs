//! A member of a classic group that shares out partitions: it joins, and the leader among the members assigns.

use super::brokers::{Brokers, Coordinated};
use super::trouble::{MEMBER_ID_REQUIRED, NotDone, Patience, UNKNOWN_MEMBER_ID};
use super::txn_producer::GroupPlace;
use kafka_wire::join_group_request::JoinGroupRequestProtocol;
use kafka_wire::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_wire::sync_group_request::SyncGroupRequestAssignment;
use kafka_wire::{
    HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, OffsetFetchRequest, SyncGroupRequest,
};
use std::collections::BTreeMap;
use std::time::Duration;

const JOIN_GROUP_VERSION: i16 = 5;
const SYNC_GROUP_VERSION: i16 = 3;
const HEARTBEAT_VERSION: i16 = 3;
const LEAVE_GROUP_VERSION: i16 = 2;
/// The first with `require_stable`.
const OFFSET_FETCH_VERSION: i16 = 7;
/// The least that brokers allow by default.
const SESSION: Duration = Duration::from_secs(6);
/// Members that do not come back in this time are left out.
const REBALANCE: Duration = Duration::from_secs(8);
/// A protocol of our own: its assignments are lists of partitions' numbers.
const PROTOCOL: &str = "duramen-bench";

/// See the head of this file.
#[derive(Debug)]
pub struct GroupMember {
    brokers: Brokers,
    group: String,
    member: String,
    generation: i32,
    patience: Duration,
    /// What is shared out.
    keys: Vec<u32>,
}

impl GroupMember {
    pub fn new(brokers: Brokers, group: &str, keys: Vec<u32>, patience: Duration) -> Self {
        Self { brokers, group: group.to_owned(), member: String::new(), generation: -1, patience, keys }
    }

    pub fn place(&self) -> GroupPlace {
        GroupPlace { group: self.group.clone(), member: self.member.clone(), generation: self.generation }
    }

    /// Joins, or joins again; gives what is assigned to it.
    pub fn join(&mut self) -> Result<Vec<u32>, NotDone> {
        let mut patience = Patience::of(self.patience);
        loop {
            match self.join_once() {
                Ok(assigned) => return Ok(assigned),
                // Those who are to be known first, or whose round is over, begin it anew.
                Err(NotDone::Code(MEMBER_ID_REQUIRED | 22 | 27)) => {}
                Err(NotDone::Code(UNKNOWN_MEMBER_ID)) => self.member.clear(),
                Err(why) => patience.wait(why)?,
            }
        }
    }

    fn join_once(&mut self) -> Result<Vec<u32>, NotDone> {
        let mut request = JoinGroupRequest::default();
        request.group_id = self.group.as_str().into();
        request.session_timeout_ms = SESSION.as_millis() as i32;
        request.rebalance_timeout_ms = REBALANCE.as_millis() as i32;
        request.member_id = self.member.as_str().into();
        request.protocol_type = PROTOCOL.into();
        let mut protocol = JoinGroupRequestProtocol::default();
        protocol.name = PROTOCOL.into();
        request.protocols = vec![protocol];
        let of = (Coordinated::Group, self.group.as_str());
        // Who has no id yet is given one with the refusal.
        let code = |answer: &kafka_wire::JoinGroupResponse| match answer.error_code {
            MEMBER_ID_REQUIRED => 0,
            code => code,
        };
        let time = REBALANCE + SESSION;
        let joined = self.brokers.call_coordinator_for(of, JOIN_GROUP_VERSION, &request, code, time)?;
        self.member = joined.member_id.as_str().to_owned();
        NotDone::of(joined.error_code)?;
        self.generation = joined.generation_id;
        assert!(self.generation >= 0 && !self.member.is_empty(), "{joined:?}");
        let mut members = Vec::new();
        if joined.leader.as_str() == self.member {
            members.extend(joined.members.iter().map(|member| member.member_id.as_str().to_owned()));
        }
        self.sync(&shared_out(&self.keys, &members))
    }

    fn sync(&mut self, assignments: &BTreeMap<String, Vec<u32>>) -> Result<Vec<u32>, NotDone> {
        let mut request = SyncGroupRequest::default();
        request.group_id = self.group.as_str().into();
        (request.generation_id, request.member_id) = (self.generation, self.member.as_str().into());
        for (member, keys) in assignments {
            let mut one = SyncGroupRequestAssignment::default();
            one.member_id = member.as_str().into();
            one.assignment = keys.iter().flat_map(|key| key.to_be_bytes()).collect::<Vec<u8>>().into();
            request.assignments.push(one);
        }
        let of = (Coordinated::Group, self.group.as_str());
        let code = |answer: &kafka_wire::SyncGroupResponse| answer.error_code;
        let synced = self.brokers.call_coordinator_for(of, SYNC_GROUP_VERSION, &request, code, REBALANCE)?;
        let keys = synced.assignment.chunks_exact(4);
        Ok(keys.map(|key| u32::from_be_bytes(key.try_into().expect("four bytes"))).collect())
    }

    /// Tells that it is alive. False: it has to join again.
    pub fn beat(&mut self) -> bool {
        let mut request = HeartbeatRequest::default();
        request.group_id = self.group.as_str().into();
        (request.generation_id, request.member_id) = (self.generation, self.member.as_str().into());
        let of = (Coordinated::Group, self.group.as_str());
        match self.brokers.call_coordinator(of, HEARTBEAT_VERSION, &request, |answer| answer.error_code) {
            Ok(_) => true,
            // Nobody said that it is no member.
            Err(why) => why.may_pass(),
        }
    }

    /// Committed offsets, once no transaction may change them; −1: none.
    pub fn committed(&mut self, keys: &[u32]) -> Result<BTreeMap<u32, i64>, NotDone> {
        let mut topics = BTreeMap::<String, Vec<i32>>::new();
        for key in keys {
            let (topic, number) = self.brokers.place(*key);
            topics.entry(topic.to_owned()).or_default().push(number);
        }
        let mut request = OffsetFetchRequest::default();
        request.group_id = self.group.as_str().into();
        request.require_stable = true;
        let topic = |(name, numbers): (String, Vec<i32>)| {
            let mut topic = OffsetFetchRequestTopic::default();
            (topic.name, topic.partition_indexes) = (name.as_str().into(), numbers);
            topic
        };
        request.topics = Some(topics.into_iter().map(topic).collect());
        let code = |answer: &kafka_wire::OffsetFetchResponse| {
            let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
            let mut codes = std::iter::once(answer.error_code).chain(partitions.map(|one| one.error_code));
            codes.find(|code| *code != 0).unwrap_or(0)
        };
        let mut patience = Patience::of(self.patience);
        loop {
            let of = (Coordinated::Group, self.group.as_str());
            let answer = match self.brokers.call_coordinator(of, OFFSET_FETCH_VERSION, &request, code) {
                Ok(answer) => answer,
                Err(why) => {
                    patience.wait(why)?;
                    continue;
                }
            };
            let mut committed = BTreeMap::new();
            for topic in &answer.topics {
                for one in &topic.partitions {
                    if let Some(key) = self.brokers.key(topic.name.as_str(), one.partition_index) {
                        committed.insert(key, one.committed_offset);
                    }
                }
            }
            return Ok(committed);
        }
    }

    /// Goes, so that the others need not wait for it.
    pub fn leave(&mut self) {
        let mut request = LeaveGroupRequest::default();
        (request.group_id, request.member_id) = (self.group.as_str().into(), self.member.as_str().into());
        let of = (Coordinated::Group, self.group.as_str());
        // Who is not heard is left out after a while.
        let _ = self.brokers.call_coordinator(of, LEAVE_GROUP_VERSION, &request, |answer| answer.error_code);
    }
}

/// Every partition to one of the members.
fn shared_out(keys: &[u32], members: &[String]) -> BTreeMap<String, Vec<u32>> {
    let mut assigned: BTreeMap<String, Vec<u32>> =
        members.iter().map(|member| (member.clone(), Vec::new())).collect();
    for (key, member) in keys.iter().zip(members.iter().cycle()) {
        assigned.get_mut(member).expect("each member has a list").push(*key);
    }
    assert!(members.is_empty() || assigned.values().map(Vec::len).sum::<usize>() == keys.len());
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_one_member_and_who_does_not_lead_assigns_nothing() {
        let members = ["a", "b"].map(str::to_owned);
        let assigned = shared_out(&[4, 5, 6], &members);
        assert_eq!(assigned, [("a".to_owned(), vec![4, 6]), ("b".to_owned(), vec![5])].into());
        assert!(shared_out(&[4], &[]).is_empty());
    }
}
