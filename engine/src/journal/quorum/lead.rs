//! Leading: how a replica begins and ends to lead, what it knows of its followers, and how it
//! hands over.
//!
//! Invariants:
//! - When a follower had all there was never goes back: no message makes it older than is known.
//! - Only who was heard holding all of it counts as in sync; silence is no sign of it.

use super::holding::{Holding, Moved};
use crate::clock::Now;
use crate::ids::{Index, NodeId, RaftId, Term};
use crate::peer::Space;
use core::time::Duration;
use std::collections::BTreeMap;

/// In sync is who had acked all that the leader then held at some moment of this long.
const IN_SYNC: Duration = Duration::from_secs(10);

/// What a leader keeps of a follower.
#[derive(Clone, Copy, Debug)]
pub(in crate::journal) struct Caught {
    /// What it has acknowledged.
    pub(in crate::journal) matched: Moved,
    /// The newest moment of which it is known that the follower later held all there was.
    pub(in crate::journal) caught_up_ns: u64,
    /// What there was at a moment that the follower has not reached yet.
    mark: (Index, u64),
    /// What it last said of its disk.
    pub(in crate::journal) space: Space,
    /// It had all that there was at some moment since this replica leads.
    was_whole: bool,
    pub(in crate::journal) is_voter: bool,
    /// Its disk is lost: its node is back under another number.
    pub(in crate::journal) is_replaced: bool,
    /// It said that it lacks runs, and has nothing in their place.
    pub(in crate::journal) lacks_runs: u32,
    /// When it was heard last.
    pub(in crate::journal) heard_ns: u64,
}

impl Caught {
    /// A leader that begins takes its voters for in sync until it knows better.
    pub(in crate::journal) fn new(is_voter: bool, last: Index, now: Now) -> Self {
        let now_ns = now.mono_ns;
        let (caught_up_ns, heard_ns, mark) = (now_ns, now_ns, (last, now_ns));
        let (matched, space) = (Moved::new(now), Space::Room);
        let (was_whole, is_replaced, lacks_runs) = (false, false, 0);
        Self { matched, caught_up_ns, mark, space, was_whole, is_voter, is_replaced, lacks_runs, heard_ns }
    }

    pub(in crate::journal) fn note(&mut self, matched: Index, last: Index, now: Now) {
        self.matched.note(matched, now);
        if matched >= last {
            // Of one that is not heard it is known only that it held all there was when it was: it
            // does not stay in sync because nobody writes.
            self.caught_up_ns = self.caught_up_ns.max(self.heard_ns);
            self.mark = (last, self.heard_ns);
            self.was_whole = true;
            return;
        } else if matched >= self.mark.0 {
            self.caught_up_ns = self.caught_up_ns.max(self.mark.1);
        } else {
            return;
        }
        self.mark = (last, now.mono_ns);
        self.was_whole = true;
    }

    pub(in crate::journal) fn matched_index(&self) -> Index {
        self.matched.to
    }

    pub(in crate::journal) fn caught_up_ns(&self) -> u64 {
        self.caught_up_ns
    }

    pub(in crate::journal) fn heard_ns(&self) -> u64 {
        self.heard_ns
    }

    pub(in crate::journal) fn is_voter(&self) -> bool {
        self.is_voter
    }

    pub(in crate::journal) fn is_full(&self) -> bool {
        self.space == Space::Full
    }

    /// Whoever has no place for more is not, however lately it had all; nor who does not
    /// count yet, or never will again.
    pub(in crate::journal) fn is_in_sync(&self, now_ns: u64) -> bool {
        let is_late = now_ns.saturating_sub(self.caught_up_ns) > IN_SYNC.as_nanos() as u64;
        let counts = self.is_voter && !self.is_replaced && self.lacks_runs == 0;
        counts && self.space != Space::Full && !is_late
    }
}

/// The state of a leader, from its election on.
#[derive(Debug)]
pub struct Lead {
    pub(in crate::journal) term: Term,
    pub(in crate::journal) followers: BTreeMap<RaftId, Caught>,
    pub(in crate::journal) hand_over_ns: Option<u64>,
    /// Until then it does not look again whom to hand over to because its disk is full.
    pub(in crate::journal) full_until_ns: u64,
    /// When raft was asked for its followers last.
    pub(in crate::journal) noted_ns: u64,
    pub(in crate::journal) holding: Holding,
}

impl Lead {
    pub(in crate::journal) fn term(&self) -> Term {
        self.term
    }

    pub(in crate::journal) fn space(&self, follower: RaftId) -> Space {
        self.followers.get(&follower).map_or(Space::Room, |caught| caught.space)
    }

    /// Gives what it had said before.
    pub(in crate::journal) fn set_space(&mut self, follower: RaftId, space: Space) -> Option<Space> {
        let caught = self.followers.get_mut(&follower)?;
        Some(core::mem::replace(&mut caught.space, space))
    }

    /// Every follower, and of a node that is back on a new disk the new replica.
    pub(in crate::journal) fn current(&self) -> impl Iterator<Item = (RaftId, &Caught)> {
        self.followers.iter().filter(|(_, caught)| !caught.is_replaced).map(|(id, caught)| (*id, caught))
    }

    pub(in crate::journal) fn voters(&self) -> impl Iterator<Item = &Caught> {
        self.followers.values().filter(|caught| caught.is_voter)
    }

    /// Whether a follower had all that there was at some moment since then.
    pub fn was_whole_since(&self, id: RaftId, since_ns: u64) -> bool {
        self.followers.get(&id).is_some_and(|caught| caught.was_whole && caught.caught_up_ns >= since_ns)
    }
}

/// One follower, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerStanding {
    pub node: NodeId,
    pub matched: Index,
    pub lag_entries: u64,
    pub lag_bytes: u64,
    pub lag_ns: u64,
    pub in_sync: bool,
    pub space: Space,
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn at(seconds: u64) -> Now {
        Now { mono_ns: seconds * S, wall_ms: 0 }
    }

    /// A voter of a leader that began at 100 s with entries up to 10.
    fn caught() -> Caught {
        Caught::new(true, Index(10), at(100))
    }

    fn heard(caught: &mut Caught, seconds: u64, matched: u64, last: u64) {
        caught.heard_ns = seconds * S;
        caught.note(Index(matched), Index(last), at(seconds));
    }

    #[test]
    fn a_follower_that_holds_all_is_in_sync_as_long_as_it_is_heard() {
        let mut caught = caught();
        heard(&mut caught, 105, 10, 10);
        assert!(caught.is_in_sync(115 * S) && !caught.is_in_sync(116 * S));
        // It is told again and again that it holds all, and nobody heard it since.
        caught.note(Index(10), Index(10), at(120));
        assert!(!caught.is_in_sync(120 * S));
    }

    #[test]
    fn one_that_follows_at_a_distance_is_in_sync_by_what_it_reaches() {
        let mut caught = caught();
        // Always 5 behind: what there was at 101 s it has at 102 s.
        (101..120).for_each(|second| heard(&mut caught, second, second * 5, second * 5 + 5));
        assert!(caught.is_in_sync(120 * S));
        assert!(caught.caught_up_ns() < 120 * S);
        // It stands still while others write.
        (120..135).for_each(|second| heard(&mut caught, second, 595, second * 5 + 5));
        assert!(!caught.is_in_sync(135 * S));
    }

    #[test]
    fn who_cannot_take_more_or_does_not_count_is_never_in_sync() {
        let full = Caught { space: Space::Full, ..caught() };
        let replaced = Caught { is_replaced: true, ..caught() };
        let learner = Caught { is_voter: false, ..caught() };
        assert!(caught().is_in_sync(100 * S));
        let without_runs = Caught { lacks_runs: 1, ..caught() };
        assert!([full, replaced, learner, without_runs].iter().all(|one| !one.is_in_sync(100 * S)));
    }

    #[test]
    fn what_is_known_never_becomes_older() {
        let mut caught = caught();
        heard(&mut caught, 110, 20, 20);
        let before = caught.caught_up_ns();
        // A late message of an older state.
        heard(&mut caught, 105, 12, 30);
        assert!(caught.caught_up_ns() >= before);
    }
}
