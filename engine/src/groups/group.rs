//! One group: its state, its members and what they agreed on. What happens to it is told in the
//! files of that name: `join`, `static_member`, `rebalance`, `sync`, `leave`, `commit`, `admin`.
//!
//! ```text
//!            join                 all joined, or time is up
//!   Empty ─────────→ Preparing ────────────────────────────→ Completing
//!     ↑                ↑   │ nobody is left                      │ the leader's assignment
//!     └────────────────┼───┘                                     │ is committed
//!                      └── join, leave, session over ←── Stable ←┘
//! ```

use super::consumer::ConsumerGroup;
use super::consumer::flight::Flight;
use super::error::GroupError;
use super::member::Member;
use super::offsets::Offsets;
use super::pending::Pending;
use super::record::{GroupValue, MemberValue, group_key};
use super::request::Identity;
use super::subscription;
use super::timers::Timer;
use super::undecided::Undecided;
use super::words::Turn;
use crate::clock::Now;
use crate::groups::state::State;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The type of those groups whose metadata is a list of topics.
pub const CONSUMER: &str = "consumer";

/// A rebalance under way.
#[derive(Clone, Copy, Debug)]
pub struct Rebalance {
    pub deadline_ns: u64,
    /// Of an empty group: it waits for its first members to come together, and this much longer
    /// at most.
    pub initial_left_ms: Option<u64>,
}

pub struct Group {
    pub id: Arc<str>,
    pub state: State,
    /// Wall clock, milliseconds.
    pub state_since_ms: i64,
    /// Grows with every rebalance; 0 is before the first.
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    /// A member, while there are any.
    pub leader: Option<Arc<str>>,
    pub members: BTreeMap<Arc<str>, Member>,
    /// Instance id → member id.
    pub statics: BTreeMap<Arc<str>, Arc<str>>,
    /// Member ids that were given and have not joined (KIP-394), with the end of their time.
    pub given: BTreeMap<Arc<str>, u64>,
    pub rebalance: Option<Rebalance>,
    /// A member was added since the initial delay began.
    pub grew: bool,
    pub sync_deadline_ns: Option<u64>,
    /// The generation whose assignment is being written: there is one for each.
    pub assigning: Option<i32>,
    pub offsets: Offsets,
    /// While it is one of the newer protocol; the fields above are the classic one's, but for the
    /// state: without members, with some, or dead.
    pub consumer: Option<Box<ConsumerGroup>>,
    /// The records of the consumer protocol.
    pub flight: Flight,
    /// Offsets of transactions that are not ended.
    pub undecided: Undecided,
    /// The newest committed record of the group.
    pub stored: Option<Arc<[u8]>>,
}

impl Group {
    pub fn new(id: Arc<str>, now: Now) -> Self {
        Self {
            id,
            state: State::Empty,
            state_since_ms: now.wall_ms,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            given: BTreeMap::new(),
            rebalance: None,
            grew: false,
            sync_deadline_ns: None,
            assigning: None,
            offsets: Offsets::default(),
            consumer: None,
            flight: Flight::default(),
            undecided: Undecided::default(),
            stored: None,
        }
    }

    pub fn set_state(&mut self, state: State, now: Now) {
        self.state = state;
        self.state_since_ms = now.wall_ms;
        assert_eq!(
            state == State::PreparingRebalance,
            self.rebalance.is_some(),
            "group {} in {state:?}: a rebalance is what is being prepared",
            self.id
        );
    }

    pub fn is_leader(&self, member: &str) -> bool {
        self.leader.as_deref() == Some(member)
    }

    /// Whether it is who it says: the member, under its instance id where it has one.
    pub fn check_identity(&self, identity: &Identity) -> Result<Arc<str>, GroupError> {
        let member = self.check_member(&identity.member, identity.instance.as_deref())?;
        if identity.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        Ok(member)
    }

    /// The same, whatever the generation.
    pub fn check_member(&self, member: &str, instance: Option<&str>) -> Result<Arc<str>, GroupError> {
        if let Some(instance) = instance {
            match self.statics.get(instance) {
                None => return Err(GroupError::UnknownMemberId),
                Some(known) if **known != *member => return Err(GroupError::FencedInstanceId),
                Some(_) => {}
            }
        }
        let (id, _) = self.members.get_key_value(member).ok_or(GroupError::UnknownMemberId)?;
        Ok(Arc::clone(id))
    }

    /// Begins a member's session anew.
    pub fn renew_session(&mut self, member: &Arc<str>, turn: &mut Turn<'_>) {
        let group = Arc::clone(&self.id);
        let member = self.members.get_mut(member).expect("a member of this group");
        let first_join = member.is_new && member.joining.is_some();
        let session_ms =
            if first_join { super::member::NEW_MEMBER_WAIT_MS } else { member.session_timeout_ms };
        let expires_ns = turn.after_ms(session_ms.max(0) as u64);
        let arm = member.expires_ns == 0 || expires_ns < member.expires_ns;
        member.expires_ns = expires_ns;
        // A timer that is set goes off earlier and is set again then.
        if arm {
            turn.timers.set(expires_ns, Timer::Member { group, member: Arc::clone(&member.id) });
        }
    }

    /// The protocols that all members have.
    fn candidates(&self) -> Vec<&str> {
        let Some(first) = self.members.values().next() else { return Vec::new() };
        let has = |member: &Member, name: &str| member.protocols.iter().any(|(known, _)| known == name);
        let common = |name: &&str| self.members.values().all(|member| has(member, name));
        first.protocols.iter().map(|(name, _)| name.as_str()).filter(common).collect()
    }

    /// The protocol that most members want.
    pub fn select_protocol(&self) -> Option<String> {
        let candidates = self.candidates();
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            *votes.entry(member.vote(&candidates)?).or_default() += 1;
        }
        let most = votes.into_iter().max_by_key(|(_, votes)| *votes)?;
        Some(most.0.to_owned())
    }

    /// Whether a member of this kind and with one of these protocols fits in.
    pub fn supports(&self, protocol_type: &str, protocols: &[(String, Arc<[u8]>)]) -> bool {
        if protocol_type.is_empty() || protocols.is_empty() {
            return false;
        }
        if self.members.is_empty() {
            return true;
        }
        let candidates = self.candidates();
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|(name, _)| candidates.contains(&name.as_str()))
    }

    /// Whether a consumer group's members name this topic.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        if let Some(consumer) = &self.consumer {
            return consumer.is_subscribed(topic);
        }
        if self.protocol_type.as_deref() != Some(CONSUMER) {
            return false;
        }
        let names = |member: &Member| {
            member.protocols.iter().any(|(_, metadata)| match subscription::topics(metadata) {
                Some(topics) => topics.contains(&topic),
                // What cannot be read may name anything.
                None => true,
            })
        };
        self.members.values().any(names)
    }

    /// The group's record, with these assignments.
    pub fn value(&self, assignments: &BTreeMap<Arc<str>, Arc<[u8]>>) -> GroupValue {
        let protocol = self.protocol.as_deref();
        let member = |member: &Member| MemberValue {
            member: member.id.to_string(),
            instance: member.instance.as_deref().map(str::to_owned),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            subscription: protocol.map(|protocol| member.metadata(protocol)).unwrap_or_default(),
            assignment: assignments.get(&member.id).cloned().unwrap_or_default(),
        };
        GroupValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.as_deref().map(str::to_owned),
            state_since_ms: self.state_since_ms,
            members: self.members.values().map(member).collect(),
        }
    }

    /// Appends the group's record; `pending` says what follows when it is committed.
    pub fn store(&self, value: Vec<u8>, pending: Pending, turn: &mut Turn<'_>) {
        turn.append(pending, &[(group_key(&self.id), Some(value))]);
    }

    /// Metadata of all members but this one.
    pub fn metadata_bytes_without(&self, member: &str) -> usize {
        let others = self.members.values().filter(|other| &*other.id != member);
        others.map(Member::metadata_bytes).sum()
    }

    /// What must hold between any two requests.
    pub fn check(&self) {
        let id = &self.id;
        if let Some(consumer) = &self.consumer {
            let is_empty = consumer.members.is_empty();
            assert!(self.members.is_empty(), "group {id}: members of both protocols stand together");
            assert!(self.state == State::Dead || is_empty == (self.state == State::Empty), "group {id}");
            return consumer.check();
        }
        assert_eq!(self.leader.is_none(), self.members.is_empty(), "group {id}: members have a leader");
        if let Some(leader) = &self.leader {
            assert!(self.members.contains_key(leader), "group {id}: its leader is a member");
        }
        for (instance, member) in &self.statics {
            let known = self.members.get(member).and_then(|member| member.instance.as_ref());
            assert_eq!(known, Some(instance), "group {id}: an instance id is its member's");
        }
        let empty = matches!(self.state, State::Empty | State::Dead);
        assert!(!empty || self.members.is_empty(), "group {id}: {:?} with members", self.state);
        let joining = self.members.values().any(|member| member.joining.is_some());
        assert!(!joining || self.rebalance.is_some(), "group {id}: a join waits for a rebalance");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> Group {
        Group::new("g".into(), Now { mono_ns: 1, wall_ms: 1_000 })
    }

    #[test]
    fn who_says_that_it_is_a_member_is_looked_up_under_its_instance_id() {
        let mut group = group();
        assert_eq!(group.check_member("m", None), Err(GroupError::UnknownMemberId));
        assert_eq!(group.check_member("m", Some("i")), Err(GroupError::UnknownMemberId));
        group.statics.insert("i".into(), "m".into());
        // The instance has another member id by now: whoever comes with the old one is fenced.
        assert_eq!(group.check_member("old", Some("i")), Err(GroupError::FencedInstanceId));
    }

    #[test]
    fn an_empty_group_takes_any_protocol_but_none() {
        let group = group();
        let metadata: Arc<[u8]> = Arc::from(&b""[..]);
        assert!(group.supports("consumer", &[("range".to_owned(), metadata.clone())]));
        assert!(!group.supports("", &[("range".to_owned(), metadata)]));
        assert!(!group.supports("consumer", &[]));
        assert!(group.select_protocol().is_none() && !group.is_subscribed("t"));
        group.check();
    }

    #[test]
    #[should_panic(expected = "a rebalance is what is being prepared")]
    fn a_group_prepares_nothing_but_a_rebalance() {
        group().set_state(State::PreparingRebalance, Now { mono_ns: 2, wall_ms: 2_000 });
    }

    #[test]
    #[should_panic(expected = "members have a leader")]
    fn a_group_without_members_has_no_leader() {
        let mut group = group();
        group.leader = Some("gone".into());
        group.members.clear();
        group.check();
    }
}
