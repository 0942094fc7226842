//! Holding producers back for a follower that nearly keeps up.
//!
//! A quorum commits without the slowest follower. Under full load a follower whose disk pauses for
//! a moment would fall behind the leader's cache, and then be caught up from the leader's disk more
//! slowly than producers write: one copy fewer until the load ends. So a leader waits for it, within
//! bounds that keep a slow or dead one from being felt:
//! - only while it lags by more than [`Bounds::held`] bytes and by no more than
//!   [`Bounds::left`]: who is behind that is left behind;
//! - only while it moves: who acknowledged nothing for `STILL` is not waited for;
//! - at most half of the time, `SPARE_MAX` at once: who is slower than half falls behind.

use crate::clock::Now;
use crate::ids::Index;
use core::time::Duration;

const STILL: Duration = Duration::from_millis(100);
const SPARE_MAX: Duration = Duration::from_millis(500);
/// A wait begins only with so much to spare, so that it is worth its stop and go.
const SPARE_MIN: Duration = Duration::from_millis(20);

/// Bytes that a follower may lag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub held: u64,
    pub left: u64,
}

impl Bounds {
    /// 16 MiB are twice a follower's credit; small segments have less.
    pub fn of(segment_bytes: u64) -> Self {
        let held = (16 << 20).min(segment_bytes / 8);
        Self { held, left: held * 4 }
    }

    pub fn wait_for(self, lag_bytes: u64) -> bool {
        lag_bytes > self.held && lag_bytes <= self.left
    }
}

/// Up to where a follower has acknowledged, and since when.
#[derive(Clone, Copy, Debug)]
pub struct Moved {
    pub to: Index,
    at_ns: u64,
}

impl Moved {
    pub fn new(now: Now) -> Self {
        Self { to: Index::NONE, at_ns: now.mono_ns }
    }

    pub fn note(&mut self, matched: Index, now: Now) {
        if matched != self.to {
            *self = Self { to: matched, at_ns: now.mono_ns };
        }
    }

    pub fn is_still(&self, now: Now) -> bool {
        now.mono_ns.saturating_sub(self.at_ns) > STILL.as_nanos() as u64
    }
}

/// Whether a leader holds its producers back.
#[derive(Debug)]
pub struct Holding {
    holds: bool,
    noted_ns: u64,
    spare_ns: u64,
}

impl Holding {
    pub fn new(now: Now) -> Self {
        Self { holds: false, noted_ns: now.mono_ns, spare_ns: SPARE_MAX.as_nanos() as u64 }
    }

    pub fn holds(&self) -> bool {
        self.holds
    }

    /// Time has passed; `is_wanted` says whether there is somebody to wait for. Gives for how much
    /// of that time producers were held back.
    pub fn note(&mut self, is_wanted: bool, now: Now) -> u64 {
        let since_ns = now.mono_ns.saturating_sub(self.noted_ns);
        self.noted_ns = now.mono_ns;
        let held_ns = if self.holds { since_ns } else { 0 };
        self.spare_ns = match self.holds {
            true => self.spare_ns.saturating_sub(since_ns),
            false => (self.spare_ns + since_ns).min(SPARE_MAX.as_nanos() as u64),
        };
        let needed_ns = if self.holds { 0 } else { SPARE_MIN.as_nanos() as u64 };
        self.holds = is_wanted && self.spare_ns > needed_ns;
        held_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Now {
        Now { mono_ns: 7_000 * MS + ms * MS, wall_ms: 0 }
    }

    #[test]
    fn who_lags_a_little_or_far_is_not_waited_for() {
        let bounds = Bounds::of(1 << 30);
        let waits = [0, 16 << 20, (16 << 20) + 1, 64 << 20, (64 << 20) + 1].map(|lag| bounds.wait_for(lag));
        assert_eq!(waits, [false, false, true, true, false]);
        assert_eq!(Bounds::of(64 << 10), Bounds { held: 8 << 10, left: 32 << 10 });
    }

    #[test]
    fn who_moves_is_not_still() {
        let mut moved = Moved::new(at(0));
        for ms in 0..1_000 {
            moved.note(Index(ms / 50), at(ms));
            assert!(!moved.is_still(at(ms)), "{ms}");
        }
        moved.note(Index(19), at(1_050));
        assert!(!moved.is_still(at(1_050)));
        assert!(moved.is_still(at(1_051)));
    }

    #[test]
    fn a_wait_that_ends_soon_is_made_and_one_that_does_not_takes_half_of_the_time() {
        let mut holding = Holding::new(at(0));
        assert_eq!(holding.note(true, at(1)), 0);
        assert!(holding.holds());
        assert_eq!(holding.note(false, at(11)), 10 * MS);
        assert!(!holding.holds());

        let held_ns: u64 = (11..10_011).map(|ms| holding.note(true, at(ms))).sum();
        assert!((5_000..5_600).contains(&(held_ns / MS)), "{held_ns} ns of 10 s");
    }

    #[test]
    fn the_longest_wait_is_half_a_second() {
        let mut holding = Holding::new(at(0));
        let ends = (0..).find(|ms| {
            holding.note(true, at(*ms));
            !holding.holds()
        });
        assert_eq!(ends, Some(500));
    }
}
