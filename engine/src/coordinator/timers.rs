//! What a machine waits for, in order of time. A timer that goes off says only "look at this":
//! whoever owns the deadline compares it with the time, so that none must be taken back when a
//! deadline moves.

use std::collections::BTreeSet;

/// By monotonic nanoseconds.
#[derive(Debug)]
pub struct Timers<T>(BTreeSet<(u64, T)>);

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<T: Ord> Timers<T> {
    pub fn set(&mut self, at_ns: u64, timer: T) {
        self.0.insert((at_ns, timer));
    }

    /// The next one that is due.
    pub fn due(&mut self, now_ns: u64) -> Option<T> {
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
        timers.set(20, "expiry");
        timers.set(10, "rebalance");
        timers.set(10, "rebalance");
        assert_eq!((timers.due(9), timers.next_ns()), (None, Some(10)));
        assert_eq!(timers.due(20), Some("rebalance"));
        assert_eq!(timers.due(20), Some("expiry"));
        assert_eq!((timers.due(u64::MAX), timers.next_ns()), (None, None));
    }
}
