//! How the replicas of a journal are: what [`crate::health`] judges by.

use super::lead::Caught;
use crate::clock::Now;
use crate::health::{BEHIND_AFTER, ReplicaState, SILENT_AFTER};
use crate::ids::NodeId;
use crate::raft::NO_MEMBER;
use core::time::Duration;
use std::collections::BTreeMap;

/// What was refused and did not come again for this long is over.
const REFUSED_OVER: Duration = Duration::from_secs(10);

/// A replica that was swapped out may still say a few things.
const STRANGER_AFTER: Duration = Duration::from_secs(2);

/// Messages of other replicas that were not believed, by who sent them and why: each is told once, and
/// again when it comes back after a while.
#[derive(Debug, Default)]
pub struct Refusals {
    seen: BTreeMap<(NodeId, &'static str), Refusal>,
    /// Messages come here for a newer replica of this node: this one's folder is an old one.
    pub is_superseded: bool,
}

#[derive(Clone, Copy, Debug)]
struct Refusal {
    pub(in crate::journal) first_ns: u64,
    pub(in crate::journal) last_ns: u64,
}

impl Refusals {
    /// Takes note of one; true when it is to be told.
    pub fn note(&mut self, from: NodeId, why: &'static str, now: Now) -> bool {
        let new = Refusal { first_ns: now.mono_ns, last_ns: 0 };
        let refusal = self.seen.entry((from, why)).or_insert(new);
        let is_new = refusal.last_ns == 0 || is_over(refusal, now, REFUSED_OVER);
        if is_new {
            refusal.first_ns = now.mono_ns;
        }
        refusal.last_ns = now.mono_ns.max(1);
        is_new
    }

    /// The nodes whose replicas go on saying things though they are no members.
    pub fn strangers(&self, now: Now) -> Vec<NodeId> {
        let after_ns = STRANGER_AFTER.as_nanos() as u64;
        let goes_on = |refusal: &Refusal| {
            !is_over(refusal, now, REFUSED_OVER) && refusal.last_ns - refusal.first_ns >= after_ns
        };
        let of_strangers =
            self.seen.iter().filter(|((_, why), refusal)| *why == NO_MEMBER && goes_on(refusal));
        of_strangers.map(|((node, _), _)| *node).collect()
    }
}

fn is_over(refusal: &Refusal, now: Now, after: Duration) -> bool {
    now.mono_ns.saturating_sub(refusal.last_ns) >= after.as_nanos() as u64
}

impl Caught {
    pub(in crate::journal) fn state(&self, last: u64, now: Now) -> (ReplicaState, Option<u64>) {
        let entries = last.saturating_sub(self.matched_index().0);
        let is_late =
            |since_ns: u64, after: Duration| now.mono_ns.saturating_sub(since_ns) >= after.as_nanos() as u64;
        if self.is_full() {
            (ReplicaState::Full, None)
        } else if is_late(self.heard_ns(), SILENT_AFTER) {
            (ReplicaState::Silent, Some(self.heard_ns()))
        } else if self.lacks_runs > 0 {
            (ReplicaState::LacksRuns { runs: self.lacks_runs, bytes: 0 }, None)
        } else if !self.is_voter() {
            (ReplicaState::CatchingUp { entries }, None)
        } else if entries > 0 && is_late(self.caught_up_ns(), BEHIND_AFTER) {
            (ReplicaState::Behind { entries }, Some(self.caught_up_ns()))
        } else {
            (ReplicaState::Well, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Now {
        Now { mono_ns: ms * 1_000_000, wall_ms: ms as i64 }
    }

    #[test]
    fn the_same_refusal_is_told_once_until_it_was_over() {
        let mut refusals = Refusals::default();
        let told = (0..200).filter(|nth| refusals.note(NodeId(3), NO_MEMBER, at(125 * nth))).count();
        assert_eq!(told, 1, "eight a second for 25 s");
        assert!(refusals.note(NodeId(2), NO_MEMBER, at(25_000)), "another node");
        assert!(refusals.note(NodeId(3), "something else", at(25_000)), "another reason");
        assert!(refusals.note(NodeId(3), NO_MEMBER, at(60_000)), "it was over");
    }

    #[test]
    fn whoever_goes_on_as_no_member_is_a_stranger_until_it_stops() {
        let mut refusals = Refusals::default();
        refusals.note(NodeId(3), NO_MEMBER, at(0));
        refusals.note(NodeId(2), "something else", at(0));
        refusals.note(NodeId(3), NO_MEMBER, at(1000));
        assert!(refusals.strangers(at(1000)).is_empty(), "a swapped replica's last words");
        refusals.note(NodeId(3), NO_MEMBER, at(2000));
        refusals.note(NodeId(2), "something else", at(2000));
        assert_eq!(refusals.strangers(at(2000)), [NodeId(3)]);
        assert!(refusals.strangers(at(12_000)).is_empty());
    }
}
