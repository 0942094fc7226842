//! Who takes part in a journal, and the changes that its membership entries make of that.
//!
//! A node that lost its disk comes back under a new raft id, and takes the old one's place:
//!
//! ```text
//! 1 2 3 ──AddLearner 4──▶ 1 2 3, learner 4 ──Swap 3 for 4──▶ (1 2 4) and (1 2 3) ──Leave──▶ 1 2 4
//! ```
//! The set of voters grows and shrinks by two, from one odd number to the next: two learners that have all become
//! voters in one step, and two voters leave in one.
//!
//! ```text
//! 1 ──AddLearner 2, 3──▶ 1, learners 2 3 ──Grow 2 3──▶ (1 2 3) and (1) ──Leave──▶ 1 2 3 ──Shrink 2 3──▶ (1) and (1 2 3) ──Leave──▶ 1
//! ```
//! Until Leave every decision needs a majority of both sets. A change counts from the
//! moment on at which it is known to be committed. raft-rs is told the same and must agree.

use crate::codec::{Reader, Write};
use crate::ids::RaftId;
use raft::eraftpb::{ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState};

/// The newest version of a change, and of a checkpoint's membership, written and understood.
pub const MEMBERSHIP_VERSION: u16 = 1;

/// The members of a journal. All lists are sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    pub voters: Vec<RaftId>,
    /// While the members change: the voters before, whose majority counts as well.
    pub outgoing: Vec<RaftId>,
    /// They get everything and count for nothing.
    pub learners: Vec<RaftId>,
}

/// What one membership entry changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    AddLearner(RaftId),
    RemoveLearner(RaftId),
    /// A learner takes a voter's place; both sets of voters count until [`Change::Leave`].
    Swap {
        out: RaftId,
        into: RaftId,
    },
    Leave,
    /// Two learners become voters: both sets count until [`Change::Leave`].
    Grow {
        one: RaftId,
        other: RaftId,
    },
    /// Two voters leave: the same.
    Shrink {
        one: RaftId,
        other: RaftId,
    },
}

const ADD_LEARNER: u16 = 1;
const REMOVE_LEARNER: u16 = 2;
const SWAP: u16 = 3;
const LEAVE: u16 = 4;
const GROW: u16 = 5;
const SHRINK: u16 = 6;

impl Membership {
    /// The members that a journal begins with.
    pub fn first(voters: &[RaftId]) -> Self {
        let mut voters = voters.to_vec();
        voters.sort_unstable();
        Self { voters, ..Self::default() }
    }

    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    pub fn contains(&self, id: RaftId) -> bool {
        self.ids().any(|member| member == id)
    }

    /// Nobody else takes part, nor gets anything: what this replica has on its disk is committed.
    pub fn is_only(&self, id: RaftId) -> bool {
        self.voters == [id] && self.outgoing.is_empty() && self.learners.is_empty()
    }

    /// How many voters must have an entry before it is committed, at least.
    pub fn quorum(&self) -> usize {
        self.voters.len().max(self.outgoing.len()) / 2 + 1
    }

    /// All members, some of them twice.
    pub fn ids(&self) -> impl Iterator<Item = RaftId> + '_ {
        self.voters.iter().chain(&self.outgoing).chain(&self.learners).copied()
    }

    /// The members after a change; `None` when it does not fit them.
    pub fn changed(&self, change: Change) -> Option<Self> {
        let mut after = self.clone();
        match change {
            Change::Leave => {
                after.outgoing.clear();
                return self.is_joint().then_some(after);
            }
            _ if self.is_joint() => return None,
            Change::AddLearner(id) => {
                let at = self.learners.binary_search(&id).err()?;
                after.learners.insert(at, id);
                return (!self.contains(id) && id.0 != 0).then_some(after);
            }
            Change::RemoveLearner(id) => drop(after.learners.remove(self.learners.binary_search(&id).ok()?)),
            Change::Swap { out, into } => {
                after.learners.remove(self.learners.binary_search(&into).ok()?);
                after.voters.remove(self.voters.binary_search(&out).ok()?);
                let at = after.voters.binary_search(&into).err()?;
                after.voters.insert(at, into);
                after.outgoing = self.voters.clone();
            }
            Change::Grow { one, other } => {
                for id in [one, other] {
                    after.learners.remove(after.learners.binary_search(&id).ok()?);
                    let at = after.voters.binary_search(&id).err()?;
                    after.voters.insert(at, id);
                }
                assert_eq!(after.voters.len(), self.voters.len() + 2, "two take part from now on");
                after.outgoing = self.voters.clone();
            }
            Change::Shrink { one, other } => {
                for id in [one, other] {
                    after.voters.remove(after.voters.binary_search(&id).ok()?);
                }
                assert_eq!(after.voters.len() + 2, self.voters.len(), "two leave");
                after.outgoing = self.voters.clone();
                return (!after.voters.is_empty()).then_some(after);
            }
        }
        assert!(after.voters.is_sorted_by(|a, b| a < b), "{:?} after {change:?}", after.voters);
        assert!(after.learners.iter().all(|id| !after.voters.contains(id)), "who learns does not vote");
        Some(after)
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut to = Vec::new();
        to.put_u16(MEMBERSHIP_VERSION);
        for ids in [&self.voters, &self.outgoing, &self.learners] {
            to.put_count(ids.len());
            ids.iter().for_each(|id| to.put_u64(id.0));
        }
        to
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut from = Reader(bytes);
        let short = |error| format!("the members of a journal: {error}");
        check_version(from.u16().map_err(short)?)?;
        let mut lists = [const { Vec::new() }; 3];
        for list in &mut lists {
            let count = from.count(8).map_err(short)?;
            *list = (0..count).map(|_| from.u64().map(RaftId)).collect::<Result<_, _>>().map_err(short)?;
        }
        let [voters, outgoing, learners] = lists;
        let sorted = |ids: &Vec<RaftId>| ids.is_sorted_by(|a, b| a < b);
        let overlap = learners.iter().any(|id| voters.contains(id) || outgoing.contains(id));
        let good = [&voters, &outgoing, &learners].into_iter().all(sorted) && !voters.is_empty();
        if !good || overlap || !from.is_empty() {
            return Err("the members of a journal contradict one another".into());
        }
        Ok(Self { voters, outgoing, learners })
    }

    pub(super) fn to_raft(&self) -> ConfState {
        let numbers = |ids: &[RaftId]| ids.iter().map(|id| id.0).collect();
        ConfState {
            voters: numbers(&self.voters),
            voters_outgoing: numbers(&self.outgoing),
            learners: numbers(&self.learners),
            ..ConfState::default()
        }
    }

    pub(super) fn of_raft(state: &ConfState) -> Self {
        let ids = |numbers: &[u64]| {
            let mut ids: Vec<RaftId> = numbers.iter().copied().map(RaftId).collect();
            ids.sort_unstable();
            ids
        };
        assert!(state.learners_next.is_empty() && !state.auto_leave, "no change asks for that: {state:?}");
        Self {
            voters: ids(&state.voters),
            outgoing: ids(&state.voters_outgoing),
            learners: ids(&state.learners),
        }
    }
}

fn check_version(version: u16) -> Result<(), String> {
    if version == 0 || version > MEMBERSHIP_VERSION {
        return Err(format!(
            "a change of members of version {version}; this program knows versions up to {MEMBERSHIP_VERSION}"
        ));
    }
    Ok(())
}

impl Change {
    /// What stands behind the header of a membership entry: version, tag, two raft ids.
    pub fn encode(self) -> Vec<u8> {
        let (tag, first, second) = match self {
            Self::AddLearner(id) => (ADD_LEARNER, id, RaftId(0)),
            Self::RemoveLearner(id) => (REMOVE_LEARNER, id, RaftId(0)),
            Self::Swap { out, into } => (SWAP, out, into),
            Self::Leave => (LEAVE, RaftId(0), RaftId(0)),
            Self::Grow { one, other } => (GROW, one, other),
            Self::Shrink { one, other } => (SHRINK, one, other),
        };
        let mut to = Vec::new();
        to.put_u16(MEMBERSHIP_VERSION);
        to.put_u16(tag);
        to.put_u64(first.0);
        to.put_u64(second.0);
        to
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut from = Reader(bytes);
        let short = |error| format!("a change of members {error}");
        check_version(from.u16().map_err(short)?)?;
        let tag = from.u16().map_err(short)?;
        let (first, second) = (RaftId(from.u64().map_err(short)?), RaftId(from.u64().map_err(short)?));
        let change = match tag {
            ADD_LEARNER => Self::AddLearner(first),
            REMOVE_LEARNER => Self::RemoveLearner(first),
            SWAP => Self::Swap { out: first, into: second },
            LEAVE => Self::Leave,
            GROW => Self::Grow { one: first, other: second },
            SHRINK => Self::Shrink { one: first, other: second },
            tag => return Err(format!("a change of members has tag {tag}, which is unknown")),
        };
        if from.is_empty() { Ok(change) } else { Err("a change of members is too long".into()) }
    }

    pub(super) fn to_raft(self) -> ConfChangeV2 {
        let single = |id: RaftId, kind: ConfChangeType| {
            let mut single = ConfChangeSingle { node_id: id.0, ..ConfChangeSingle::default() };
            single.set_change_type(kind);
            single
        };
        let mut change = ConfChangeV2::default();
        change.changes = match self {
            Self::AddLearner(id) => vec![single(id, ConfChangeType::AddLearnerNode)],
            Self::RemoveLearner(id) => vec![single(id, ConfChangeType::RemoveNode)],
            Self::Swap { out, into } => {
                change.set_transition(ConfChangeTransition::Explicit);
                vec![single(into, ConfChangeType::AddNode), single(out, ConfChangeType::RemoveNode)]
            }
            Self::Leave => vec![],
            Self::Grow { one, other } => {
                change.set_transition(ConfChangeTransition::Explicit);
                vec![single(one, ConfChangeType::AddNode), single(other, ConfChangeType::AddNode)]
            }
            Self::Shrink { one, other } => {
                change.set_transition(ConfChangeTransition::Explicit);
                vec![single(one, ConfChangeType::RemoveNode), single(other, ConfChangeType::RemoveNode)]
            }
        }
        .into();
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: &[u64]) -> Vec<RaftId> {
        numbers.iter().copied().map(RaftId).collect()
    }

    #[test]
    fn a_learner_takes_a_voters_place_in_three_steps() {
        let first = Membership::first(&ids(&[3, 1, 2]));
        let (out, into) = (RaftId(3), RaftId(4));
        assert_eq!(first.changed(Change::Swap { out, into }), None, "it is no learner yet");
        let second = first.changed(Change::AddLearner(into)).expect("it fits");
        assert_eq!(second.changed(Change::AddLearner(into)), None, "twice");
        let third = second.changed(Change::Swap { out, into }).expect("it fits");
        assert_eq!((third.voters.clone(), third.outgoing.clone()), (ids(&[1, 2, 4]), ids(&[1, 2, 3])));
        assert_eq!(third.changed(Change::AddLearner(RaftId(5))), None, "one thing at a time");
        let last = third.changed(Change::Leave).expect("it is joint");
        assert_eq!(last, Membership::first(&ids(&[1, 2, 4])));
        assert_eq!(last.changed(Change::Leave), None);
        assert_eq!(second.changed(Change::RemoveLearner(into)), Some(first));
    }

    #[test]
    fn voters_grow_and_shrink_by_two_through_both_sets() {
        let (two, three) = (RaftId(2), RaftId(3));
        let alone = Membership::first(&ids(&[1]));
        let grow = Change::Grow { one: two, other: three };
        let one_learns = alone.changed(Change::AddLearner(two)).expect("it fits");
        assert_eq!(one_learns.changed(grow), None, "the other is no learner");
        let learn = one_learns.changed(Change::AddLearner(three)).expect("it fits");
        assert_eq!(learn.changed(Change::Grow { one: two, other: two }), None, "one counts once");
        let both = learn.changed(grow).expect("it fits");
        assert_eq!((both.voters.clone(), both.outgoing.clone()), (ids(&[1, 2, 3]), ids(&[1])));
        assert!(both.learners.is_empty() && both.quorum() == 2);
        let grown = both.changed(Change::Leave).expect("it is joint");
        assert_eq!(grown, Membership::first(&ids(&[1, 2, 3])));
        let shrink = Change::Shrink { one: RaftId(1), other: three };
        let leaving = grown.changed(shrink).expect("it fits");
        assert_eq!((leaving.voters.clone(), leaving.outgoing.clone()), (ids(&[2]), ids(&[1, 2, 3])));
        assert!(!leaving.is_only(two) && leaving.quorum() == 2, "those that leave count until Leave");
        assert!(leaving.changed(Change::Leave).expect("it is joint").is_only(two));
        assert_eq!(Membership::first(&ids(&[1, 3])).changed(shrink), None, "somebody stays");
        for change in [grow, shrink] {
            let bytes = change.encode();
            assert_eq!((bytes.len(), Change::decode(&bytes)), (20, Ok(change)));
        }
        assert_eq!(grow.encode()[..4], *b"\x01\0\x05\0");
        assert_eq!(shrink.encode()[..4], *b"\x01\0\x06\0");
    }

    #[test]
    fn a_replica_is_alone_without_learners_and_outside_of_a_change() {
        let (own, other) = (RaftId(1), RaftId(2));
        let alone = Membership::first(&[own]);
        assert!(alone.is_only(own) && !alone.is_only(other));
        let learns = alone.changed(Change::AddLearner(other)).expect("it fits");
        assert!(!learns.is_only(own), "somebody gets what it has");
        let joint = learns.changed(Change::Swap { out: own, into: other }).expect("it fits");
        assert!(!joint.is_only(own) && !joint.is_only(other), "both count");
        let left = joint.changed(Change::Leave).expect("it is joint");
        assert!(left.is_only(other) && !left.is_only(own));
        assert_eq!((alone.quorum(), Membership::first(&ids(&[1, 2, 3])).quorum()), (1, 2));
    }

    #[test]
    fn changes_and_members_come_back_and_their_bytes_stay() {
        let swap = Change::Swap { out: RaftId(3), into: RaftId(4) };
        let all = [Change::AddLearner(RaftId(4)), Change::RemoveLearner(RaftId(5)), swap, Change::Leave];
        for change in all {
            let bytes = change.encode();
            assert_eq!(Change::decode(&bytes), Ok(change));
            (0..bytes.len()).for_each(|cut| assert!(Change::decode(&bytes[..cut]).is_err(), "cut at {cut}"));
        }
        assert_eq!(swap.encode(), *b"\x01\0\x03\0\x03\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0");
        let newer = Change::decode(b"\x02\0\x01\0").expect_err("newer");
        assert!(newer.contains("version 2; this program knows versions up to 1"), "{newer}");
        let members = Membership { voters: ids(&[1, 4]), outgoing: ids(&[1, 3]), learners: ids(&[7]) };
        assert_eq!(Membership::decode(&members.encode()), Ok(members.clone()));
        let twice = Membership { learners: ids(&[3]), ..members };
        assert!(Membership::decode(&twice.encode()).is_err());
    }
}
