//! What a consumer group is made of: epochs, members, who has which partition.
//!
//! Invariants:
//! - `assignment_epoch ≤ epoch`, and no member is at a higher one than the assignment's.
//! - `owners` names each partition that a member has or is to give up, and no partition has two.
//! - A static member's instance id is one member's.

use super::assignor::Assignor;
use super::member::{ConsumerMember, CurrentAssignment, MemberProgress, Wish};
use super::partitions::Partitions;
use super::pattern;
use super::plan::{AssignmentPlan, MemberPlan, TopicPlan};
use super::reconcile::{self, Towards};
use super::topics;
use crate::control::View;
use crate::groups::words::Turn;
use crate::ids::TopicId;
use regex::bytes::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Different expressions of one group: each is matched against all topics whenever those change.
pub const PATTERNS_MAX: usize = 32;
/// Members and partitions up to which every change is assigned for at once, which takes about a
/// millisecond. Above, assigning again waits so long that it takes some hundredth of the shard.
const SMALL_PLAN: usize = 2_000;
const SIZE_PER_PAUSE_MS: usize = 50;

/// What of a group may differ from what was last written of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dirty {
    Group,
    TargetEpoch,
    Member(Arc<str>),
    Pattern(Arc<str>),
}

#[derive(Default)]
pub struct Matched {
    compiled: Option<Regex>,
    pub topics: BTreeSet<Arc<str>>,
    /// By which state of the topics, where that is known.
    pub version: Option<u64>,
    pub at_ms: i64,
}

impl Matched {
    /// As a record has it: it is matched again when a member that uses it is heard of.
    pub fn read(topics: BTreeSet<Arc<str>>) -> Self {
        Self { topics, ..Self::default() }
    }
}

/// See the head of this file.
#[derive(Default)]
pub struct ConsumerGroup {
    pub id: Arc<str>,
    /// Grows with every change of subscriptions, members or topics.
    pub epoch: i32,
    /// Of the target assignment.
    pub assignment_epoch: i32,
    /// Of the topics that the group subscribes to, when its epoch was raised last.
    pub metadata_hash: i64,
    pub members: BTreeMap<Arc<str>, ConsumerMember>,
    /// Instance id → member id.
    pub statics: BTreeMap<Arc<str>, Arc<str>>,
    pub owners: BTreeMap<(TopicId, i32), Arc<str>>,
    pub patterns: BTreeMap<Arc<str>, Matched>,
    /// Topics by name, and how many members name them.
    named: BTreeMap<Arc<str>, usize>,
    pub dirty: BTreeSet<Dirty>,
    /// The state of the topics that was looked at last.
    pub topics_version: Option<u64>,
    assign_from_ns: u64,
}

impl ConsumerGroup {
    pub fn new(id: Arc<str>) -> Self {
        Self { id, ..Self::default() }
    }

    /// Kafka's name.
    pub fn state_name(&self) -> &'static str {
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.assignment_epoch {
            "Assigning"
        } else if self.members.values().all(|member| member.is_at(self.assignment_epoch)) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// What most members ask for; of two the one that stands first.
    pub fn assignor(&self) -> Assignor {
        let votes = |assignor: Assignor| {
            self.members.values().filter(|member| member.wish.assignor == Some(assignor)).count()
        };
        if votes(Assignor::Range) > votes(Assignor::Uniform) { Assignor::Range } else { Assignor::Uniform }
    }

    pub fn is_subscribed(&self, topic: &str) -> bool {
        self.named.contains_key(topic) || self.patterns.values().any(|matched| matched.topics.contains(topic))
    }

    pub fn wish_bytes(&self) -> usize {
        self.members.values().map(|member| member.wish.bytes()).sum()
    }

    pub fn raise_epoch(&mut self) {
        self.epoch += 1;
        self.dirty.insert(Dirty::Group);
    }

    /// A member, new or with another wish. Gives whether the assignment depends on the difference.
    pub fn put_wish(&mut self, id: &Arc<str>, wish: Wish) -> bool {
        let before = self.members.get(id).map(|member| member.wish.clone());
        if before.as_ref() == Some(&wish) {
            return false;
        }
        let differs = before.as_ref().is_none_or(|before| !before.subscribes_like(&wish));
        wish.topics.iter().for_each(|topic| *self.named.entry(Arc::clone(topic)).or_default() += 1);
        if let Some(before) = &before {
            self.forget_names(&before.topics);
        }
        if let Some(instance) = &wish.instance {
            self.statics.insert(Arc::clone(instance), Arc::clone(id));
        }
        match self.members.get_mut(id) {
            Some(member) => member.wish = wish,
            None => {
                let member = ConsumerMember::new(Arc::clone(id), wish);
                self.members.insert(Arc::clone(id), member);
            }
        }
        if let Some(before) = before {
            self.drop_pattern(&before.pattern);
        }
        self.dirty.insert(Dirty::Member(Arc::clone(id)));
        differs
    }

    fn forget_names(&mut self, names: &BTreeSet<Arc<str>>) {
        for name in names {
            let count = self.named.get_mut(name).expect("counted when it was named");
            *count -= 1;
            if *count == 0 {
                self.named.remove(name);
            }
        }
    }

    /// Where nobody uses it any more.
    fn drop_pattern(&mut self, pattern: &Arc<str>) {
        let is_used = || self.members.values().any(|member| member.wish.pattern == *pattern);
        if !pattern.is_empty() && !is_used() && self.patterns.remove(pattern).is_some() {
            self.dirty.insert(Dirty::Pattern(Arc::clone(pattern)));
        }
    }

    /// Takes a member out; the epoch is the caller's.
    pub fn take_member(&mut self, id: &Arc<str>) -> ConsumerMember {
        self.set_current(id, CurrentAssignment::default());
        let member = self.members.remove(id).expect("a member of this group");
        self.forget_names(&member.wish.topics);
        if let Some(instance) = &member.wish.instance {
            self.statics.remove(instance);
        }
        self.drop_pattern(&member.wish.pattern);
        self.dirty.insert(Dirty::Member(Arc::clone(id)));
        member
    }

    /// What a member has from now on.
    pub fn set_current(&mut self, id: &Arc<str>, next: CurrentAssignment) {
        let member = self.members.get_mut(id).expect("a member of this group");
        if member.current == next {
            return;
        }
        for one in member.owned() {
            let owner = self.owners.remove(&one);
            assert_eq!(owner.as_ref(), Some(id), "group {}: {one:?} is its owner's", self.id);
        }
        member.current = next;
        for one in member.owned() {
            let before = self.owners.insert(one, Arc::clone(id));
            assert_eq!(before, None, "group {}: {one:?} goes to {id} before it is given up", self.id);
        }
        self.dirty.insert(Dirty::Member(Arc::clone(id)));
    }

    /// The topics that a member wants, as far as there are such.
    fn wanted(&self, wish: &Wish, view: &View) -> BTreeSet<TopicId> {
        let matched = self.patterns.get(&wish.pattern).into_iter().flat_map(|matched| &matched.topics);
        let names = wish.topics.iter().chain(matched);
        names.filter_map(|name| view.topics.get(name)).map(|topic| topic.id).collect()
    }

    /// Whether an expression may be one of this group's.
    pub fn accepts_pattern(&self, pattern: &str) -> bool {
        let known = self.patterns.contains_key(pattern);
        pattern.is_empty()
            || known
            || (self.patterns.len() < PATTERNS_MAX && pattern::compile(pattern).is_some())
    }

    /// Matches an expression against the topics that there are now; `sees` says which of them the
    /// member may know of. Gives whether that is another set.
    pub fn resolve(&mut self, pattern: &Arc<str>, sees: impl Fn(&str) -> bool, turn: &Turn<'_>) -> bool {
        if pattern.is_empty() {
            return false;
        }
        let is_new = !self.patterns.contains_key(pattern);
        let matched = self.patterns.entry(Arc::clone(pattern)).or_default();
        if matched.version == Some(turn.topics_version) {
            return false;
        }
        matched.version = Some(turn.topics_version);
        if matched.compiled.is_none() {
            matched.compiled = pattern::compile(pattern);
        }
        let fits = |name: &str| {
            matched.compiled.as_ref().is_some_and(|regex| regex.is_match(name.as_bytes())) && sees(name)
        };
        let topics: BTreeSet<Arc<str>> = turn.view.topics.keys().filter(|name| fits(name)).cloned().collect();
        let differs = is_new || topics != matched.topics;
        if differs {
            matched.topics = topics;
            matched.at_ms = turn.now.wall_ms;
            self.dirty.insert(Dirty::Pattern(Arc::clone(pattern)));
        }
        differs
    }

    /// Looks at the topics again where they or the subscriptions may have changed; gives whether an
    /// assignment would be another one.
    pub fn look_at_topics(&mut self, must: bool, turn: &Turn<'_>) -> bool {
        if !must && self.topics_version == Some(turn.topics_version) {
            return false;
        }
        self.topics_version = Some(turn.topics_version);
        let hash = topics::hash(&self.known_topics(turn.view));
        core::mem::replace(&mut self.metadata_hash, hash) != hash
    }

    fn known_topics(&self, view: &View) -> BTreeMap<TopicId, TopicPlan> {
        let with_racks = self.members.values().any(|member| member.wish.rack.is_some());
        let matched = self.patterns.values().flat_map(|matched| &matched.topics);
        topics::known(view, self.named.keys().chain(matched), with_racks)
    }

    /// Makes the target assignment of the group's epoch, unless that is too soon.
    pub fn assign(&mut self, turn: &Turn<'_>) {
        if self.assignment_epoch == self.epoch {
            return;
        }
        // Without any assignment there would be no epoch to tell.
        if self.assignment_epoch > 0 && turn.now.mono_ns < self.assign_from_ns {
            return;
        }
        let (order, plan) = self.plan(turn.view);
        let assigned = self.assignor().assign(&plan);
        for (id, target) in order.into_iter().zip(assigned) {
            let member = self.members.get_mut(&id).expect("it was planned for");
            if member.target != target {
                member.target = target;
                self.dirty.insert(Dirty::Member(id));
            }
        }
        self.assignment_epoch = self.epoch;
        self.dirty.insert(Dirty::TargetEpoch);
        if plan.size() > SMALL_PLAN {
            self.assign_from_ns = turn.after_ms((plan.size() / SIZE_PER_PAUSE_MS) as u64);
        }
    }

    fn plan(&self, view: &View) -> (Vec<Arc<str>>, AssignmentPlan) {
        let mut members: Vec<&ConsumerMember> = self.members.values().collect();
        members.sort_by_key(|member| member.order());
        let mut kinds: BTreeMap<(&BTreeSet<Arc<str>>, &str), usize> = BTreeMap::new();
        let mut plan = AssignmentPlan { topics: self.known_topics(view), ..AssignmentPlan::default() };
        for member in &members {
            let wish = &member.wish;
            let next = kinds.len();
            let kind = *kinds.entry((&wish.topics, &wish.pattern)).or_insert(next);
            if kind == plan.kinds.len() {
                plan.kinds.push(self.wanted(wish, view));
            }
            let had = member.target.clone();
            plan.members.push(MemberPlan { kind, rack: wish.rack.clone(), had });
        }
        (members.into_iter().map(|member| Arc::clone(&member.id)).collect(), plan)
    }

    /// Brings a member nearer to its target. `owned` is what it says that it has.
    pub fn reconcile(
        &mut self,
        id: &Arc<str>,
        owned: Option<&Partitions>,
        changed: bool,
        turn: &mut Turn<'_>,
    ) {
        let member = &self.members[id];
        if member.is_at(self.assignment_epoch) && !changed {
            return;
        }
        let wanted = self.wanted(&member.wish, turn.view);
        let towards = Towards { target: &member.target, epoch: self.assignment_epoch, owned };
        let is_free = |one| self.owners.get(&one).is_none_or(|owner| owner == id);
        let next = reconcile::next(&member.current, &towards, |topic| wanted.contains(&topic), is_free);
        let must_revoke = next.progress == MemberProgress::Unrevoked;
        let is_new = next.revoking != member.current.revoking;
        self.set_current(id, next);
        let member = self.members.get_mut(id).expect("it is there");
        if !must_revoke || member.wish.classic.is_some() {
            member.revoke_by_ns = None;
        } else if is_new || member.revoke_by_ns.is_none() {
            let by_ns = turn.after_ms(member.wish.rebalance_timeout_ms.max(0) as u64);
            member.revoke_by_ns = Some(by_ns);
            self.set_timer(by_ns, id, turn);
        }
    }

    pub fn set_timer(&self, at_ns: u64, id: &Arc<str>, turn: &mut Turn<'_>) {
        let timer =
            crate::groups::timers::Timer::Member { group: Arc::clone(&self.id), member: Arc::clone(id) };
        turn.timers.set(at_ns, timer);
    }

    /// What must hold between any two requests.
    pub fn check(&self) {
        let id = &self.id;
        assert!(self.assignment_epoch <= self.epoch, "group {id}: an assignment of an epoch to come");
        for (instance, member) in &self.statics {
            let known = self.members.get(member).and_then(|member| member.wish.instance.as_ref());
            assert_eq!(known, Some(instance), "group {id}: an instance id is its member's");
        }
    }

    /// The same, at a cost: every partition is its owner's alone.
    #[cfg(test)]
    pub fn check_owners(&self) {
        self.check();
        let owned: usize = self.members.values().map(|member| member.owned().count()).sum();
        assert_eq!(owned, self.owners.len());
        for member in self.members.values() {
            assert!(member.current.epoch <= self.assignment_epoch, "{member:?}");
            assert!(member.owned().all(|one| self.owners[&one] == member.id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> (ConsumerGroup, Arc<str>, Arc<str>) {
        let mut group = ConsumerGroup::new("g".into());
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        assert!(group.put_wish(&a, Wish { topics: ["t".into()].into(), ..Wish::default() }));
        assert!(group.put_wish(&b, Wish { topics: ["t".into(), "u".into()].into(), ..Wish::default() }));
        (group, a, b)
    }

    fn has(number: i32) -> CurrentAssignment {
        let assigned = [(TopicId(1), number)].into_iter().collect();
        CurrentAssignment { assigned, ..CurrentAssignment::default() }
    }

    #[test]
    fn it_is_subscribed_to_what_a_member_names_and_no_longer() {
        let (mut group, a, b) = group();
        assert!(group.is_subscribed("t") && group.is_subscribed("u"));
        assert!(!group.put_wish(&a, Wish { client_id: "c".to_owned(), ..group.members[&a].wish.clone() }));
        group.take_member(&b);
        assert!(group.is_subscribed("t") && !group.is_subscribed("u"));
        group.take_member(&a);
        assert!(!group.is_subscribed("t"));
        assert_eq!(group.state_name(), "Empty");
    }

    #[test]
    fn what_a_member_had_is_free_when_it_goes() {
        let (mut group, a, b) = group();
        group.set_current(&a, has(0));
        group.take_member(&a);
        group.set_current(&b, has(0));
        group.check_owners();
    }

    #[test]
    #[should_panic(expected = "before it is given up")]
    fn a_partition_of_two_members_is_a_fault() {
        let (mut group, a, b) = group();
        group.set_current(&a, has(0));
        group.set_current(&b, has(0));
    }
}
