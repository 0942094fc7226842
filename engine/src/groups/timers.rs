//! What a partition of the offsets topic waits for, in order of time. A timer that goes off says
//! only "look at this": whoever owns the deadline compares it with the time, so that none must be
//! taken back when a deadline moves.

use std::collections::BTreeSet;
use std::sync::Arc;

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The group's rebalance may be over.
    Rebalance { group: Arc<str> },
    /// Members that joined should have synced by now.
    Sync { group: Arc<str> },
    /// The member's session, or that of an id that was given and not yet used.
    Member { group: Arc<str>, member: Arc<str> },
    /// Offsets may have expired.
    Expiry,
}

/// By monotonic nanoseconds. At most a few for each member.
#[derive(Debug, Default)]
pub struct Timers(BTreeSet<(u64, Timer)>);

impl Timers {
    pub fn set(&mut self, at_ns: u64, timer: Timer) {
        self.0.insert((at_ns, timer));
    }

    /// The next one that is due.
    pub fn due(&mut self, now_ns: u64) -> Option<Timer> {
        let (at_ns, _) = self.0.first()?;
        if *at_ns > now_ns {
            return None;
        }
        self.0.pop_first().map(|(_, timer)| timer)
    }

    /// When the next one is due.
    pub fn next_ns(&self) -> Option<u64> {
        self.0.first().map(|(at_ns, _)| *at_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_are_due_in_order_and_once() {
        let mut timers = Timers::default();
        let rebalance = Timer::Rebalance { group: "g".into() };
        timers.set(20, Timer::Expiry);
        timers.set(10, rebalance.clone());
        timers.set(10, rebalance.clone());
        assert_eq!((timers.due(9), timers.next_ns()), (None, Some(10)));
        assert_eq!(timers.due(20), Some(rebalance));
        assert_eq!(timers.due(20), Some(Timer::Expiry));
        assert_eq!((timers.due(u64::MAX), timers.next_ns()), (None, None));
    }
}
