//! Which replicas have which runs, as they told a leader: when a run is on a majority, and who is a whole copy.
//!
//! A follower tells what it has again and again; what a leader heard is of its own term, for it forgets all when it
//! begins to lead. Invariant: of a replica the newest word counts, by how far it had applied the journal.

use crate::ids::{Index, RaftId};
use crate::peer::run::{RunName, RunsHeld};
use crate::raft::Membership;
use std::collections::{BTreeMap, BTreeSet};

/// What one replica said last.
#[derive(Debug)]
struct Told {
    applied: Index,
    here: BTreeSet<RunName>,
    lacking: u32,
}

/// What a leader knows of its followers' runs.
#[derive(Debug, Default)]
pub struct RunHolders {
    told: BTreeMap<RaftId, Told>,
}

impl RunHolders {
    /// Another one began to lead.
    pub fn forget(&mut self) {
        self.told.clear();
    }

    /// A replica says what it has. A message that was overtaken by a later one is passed over.
    pub fn note(&mut self, held: &RunsHeld) {
        if self.told.get(&held.from).is_some_and(|told| told.applied > held.applied) {
            return;
        }
        let told =
            Told { applied: held.applied, here: held.here.iter().copied().collect(), lacking: held.lacking };
        self.told.insert(held.from, told);
    }

    /// Replicas that were members are forgotten.
    pub fn retain(&mut self, members: &Membership) {
        self.told.retain(|id, _| members.contains(*id));
    }

    /// Whether a majority has the run durable; while the members change one of those before as well. `own` is this
    /// replica, when it has it.
    pub fn is_on_majority(&self, name: RunName, members: &Membership, own: Option<RaftId>) -> bool {
        let has = |id: &RaftId| Some(*id) == own || self.has(*id, name);
        let is_majority = |ids: &[RaftId]| ids.iter().filter(|id| has(id)).count() > ids.len() / 2;
        is_majority(&members.voters) && (!members.is_joint() || is_majority(&members.outgoing))
    }

    fn has(&self, id: RaftId, name: RunName) -> bool {
        self.told.get(&id).is_some_and(|told| told.here.contains(&name))
    }

    /// Whether a replica said to have all that the journal names, and knows at least the runs up to `named`.
    pub fn is_whole(&self, id: RaftId, named: Index) -> bool {
        self.told.get(&id).is_some_and(|told| told.lacking == 0 && told.applied >= named)
    }

    /// How many runs a replica said that it lacks, and cannot do without.
    pub fn lacking_of(&self, id: RaftId) -> u32 {
        self.told.get(&id).map_or(0, |told| told.lacking)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RunId;

    const OWN: RaftId = RaftId(1);

    fn name(run: u64) -> RunName {
        RunName { run: RunId(run), sum: 70 + run }
    }

    fn ids(numbers: &[u64]) -> Vec<RaftId> {
        numbers.iter().copied().map(RaftId).collect()
    }

    fn held(from: u64, applied: u64, here: &[u64], lacking: u32) -> RunsHeld {
        let here = here.iter().copied().map(name).collect();
        RunsHeld { from: RaftId(from), to: OWN, applied: Index(applied), here, lacking }
    }

    #[test]
    fn a_majority_of_voters_has_it_durable_and_learners_do_not_count() {
        let members = Membership { learners: ids(&[4]), ..Membership::first(&ids(&[1, 2, 3])) };
        let mut holders = RunHolders::default();
        assert!(!holders.is_on_majority(name(7), &members, Some(OWN)));
        holders.note(&held(4, 9, &[7], 0));
        assert!(!holders.is_on_majority(name(7), &members, Some(OWN)), "a learner's");
        holders.note(&held(2, 9, &[7], 0));
        assert!(holders.is_on_majority(name(7), &members, Some(OWN)));
        assert!(!holders.is_on_majority(name(7), &members, None), "the leader has it not");
        let other = RunName { sum: 1, ..name(7) };
        assert!(!holders.is_on_majority(other, &members, Some(OWN)), "another file of that id");
        holders.note(&held(3, 9, &[7, 8], 0));
        assert!(holders.is_on_majority(name(7), &members, None));
        holders.forget();
        assert!(!holders.is_on_majority(name(7), &members, Some(OWN)), "what was told to one before");
    }

    #[test]
    fn while_members_change_both_majorities_must_have_it() {
        let members = Membership { outgoing: ids(&[1, 2, 3]), ..Membership::first(&ids(&[1, 4, 5])) };
        let mut holders = RunHolders::default();
        holders.note(&held(4, 9, &[7], 0));
        assert!(!holders.is_on_majority(name(7), &members, Some(OWN)));
        holders.note(&held(3, 9, &[7], 0));
        assert!(holders.is_on_majority(name(7), &members, Some(OWN)));
        holders.retain(&Membership::first(&ids(&[1, 4, 5])));
        assert!(!holders.is_on_majority(name(7), &members, Some(OWN)), "3 is no member any more");
    }

    #[test]
    fn who_does_not_know_of_a_run_yet_is_not_whole() {
        let mut holders = RunHolders::default();
        assert!(
            !holders.is_whole(RaftId(4), Index(0)) && holders.lacking_of(RaftId(4)) == 0,
            "it said nothing"
        );
        holders.note(&held(4, 9, &[], 0));
        assert!(holders.is_whole(RaftId(4), Index(9)) && !holders.is_whole(RaftId(4), Index(10)));
        holders.note(&held(4, 12, &[], 2));
        assert!(holders.lacking_of(RaftId(4)) == 2 && !holders.is_whole(RaftId(4), Index(10)));
        holders.note(&held(4, 11, &[], 0));
        assert_eq!(holders.lacking_of(RaftId(4)), 2, "said before that");
        holders.note(&held(4, 12, &[], 0));
        assert!(holders.is_whole(RaftId(4), Index(12)));
    }
}
