//! A consumer group from its records: after a failover, and where an append failed.

use super::flight::Written;
use super::group::{ConsumerGroup, Matched};
use super::member::{ConsumerMember, CurrentAssignment};
use super::record::{About, Said};
use crate::groups::error::GroupError;
use crate::groups::group::Group;
use crate::groups::record::Key;
use crate::groups::state::State;
use crate::groups::words::Turn;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl ConsumerGroup {
    /// What these records add up to. Nobody relies on anything that they do not say: what one of
    /// them says of a member that is none, or of a partition that another has, does not count.
    pub fn read(id: Arc<str>, records: &Written) -> Self {
        let mut group = Self::new(id);
        let (mut targets, mut currents, mut patterns) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for (key, value) in records {
            let Ok(Key::Consumer { about, .. }) = Key::decode(key) else {
                panic!("a consumer group's record")
            };
            match Said::decode(&about, value).expect("decoded when it was read") {
                Said::Group { epoch, metadata_hash } => {
                    (group.epoch, group.metadata_hash) = (epoch, metadata_hash);
                }
                Said::TargetEpoch(epoch) => group.assignment_epoch = epoch,
                Said::Member(wish) => drop(group.put_wish(&name_of(about), wish)),
                Said::Target(target) => drop(targets.insert(name_of(about), target)),
                Said::Current(current) => drop(currents.insert(name_of(about), current)),
                Said::Pattern { topics } => patterns.push((name_of(about), topics)),
                Said::PartitionMetadata => {}
            }
        }
        group.assignment_epoch = group.assignment_epoch.min(group.epoch);
        for (name, topics) in patterns {
            group.read_pattern(name, topics);
        }
        for (name, target) in targets {
            group.members.get_mut(&name).into_iter().for_each(|member| member.target = target.clone());
        }
        for (name, current) in currents {
            group.read_current(&name, current);
        }
        group.dirty.clear();
        group
    }

    fn read_pattern(&mut self, name: Arc<str>, topics: BTreeSet<Arc<str>>) {
        if self.members.values().any(|member| member.wish.pattern == name) {
            self.patterns.insert(name, Matched::read(topics));
        }
    }

    fn read_current(&mut self, name: &Arc<str>, current: CurrentAssignment) {
        if !self.members.contains_key(name) {
            return;
        }
        let is_free = |one| !self.owners.contains_key(&one);
        let (assigned, _) = current.assigned.split(is_free);
        let (revoking, _) = current.revoking.split(|one| is_free(one) && !assigned.contains(one));
        let epoch = current.epoch.min(self.assignment_epoch);
        self.set_current(name, CurrentAssignment { epoch, assigned, revoking, ..current });
    }

    /// Sessions begin now.
    fn begin_sessions(&mut self, turn: &mut Turn<'_>) {
        let members: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in members {
            self.renew_session(&id, turn);
            let member = self.members.get_mut(&id).expect("listed above");
            let ConsumerMember { current, wish, .. } = member;
            if !current.revoking.is_empty() && wish.classic.is_none() {
                let by_ns = turn.after_ms(wish.rebalance_timeout_ms.max(0) as u64);
                member.revoke_by_ns = Some(by_ns);
                self.set_timer(by_ns, &id, turn);
            }
        }
    }
}

fn name_of(about: About) -> Arc<str> {
    match about {
        About::Member(name) | About::Target(name) | About::Current(name) | About::Pattern(name) => {
            name.into()
        }
        other => panic!("{other:?} names nobody"),
    }
}

impl Group {
    /// Makes it what its committed records say.
    pub fn restore_consumer(&mut self, turn: &mut Turn<'_>) {
        self.flight.loaded();
        if self.flight.committed.is_empty() {
            return;
        }
        let mut consumer = ConsumerGroup::read(Arc::clone(&self.id), &self.flight.committed);
        consumer.begin_sessions(turn);
        self.consumer = Some(Box::new(consumer));
        self.follow_consumer(turn.now);
    }

    /// The same where it was something else: an append failed. Whoever waits is sent on.
    pub(super) fn rebuild(&mut self, turn: &mut Turn<'_>) {
        self.consumer = None;
        let members: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in members {
            let member = &self.members[&id];
            let (joining, syncing) = (member.joining, member.syncing);
            let error = GroupError::CoordinatorNotAvailable;
            if let Some(request) = joining {
                turn.answer(request, crate::groups::member::refuse_join(error, Arc::clone(&id)));
            }
            if let Some(request) = syncing {
                turn.answer(request, crate::groups::request::Answer::Synced(Err(error)));
            }
        }
        self.forget_classic();
        self.restore(turn);
        self.restore_consumer(turn);
    }

    /// Nothing of the classic protocol is left.
    pub fn forget_classic(&mut self) {
        self.members.clear();
        self.statics.clear();
        self.given.clear();
        (self.rebalance, self.leader, self.protocol, self.protocol_type) = (None, None, None, None);
        (self.sync_deadline_ns, self.assigning) = (None, None);
        self.generation = 0;
        self.state = State::Empty;
    }
}
