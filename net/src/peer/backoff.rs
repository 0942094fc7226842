//! How long to wait before a link is tried again.

use engine::rng::Rng;
use std::time::Duration;

/// First and longest wait before a link is tried again. A restarted node is back within the
/// longest; a node that is away costs its peers one packet in that time.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// How long to wait before the next try: doubling, and by half at random, so that the links of a
/// node that came back do not all try at once.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    rng: Rng,
}

impl Backoff {
    pub fn new(seed: u64) -> Self {
        Self { next: BACKOFF_FIRST, rng: Rng::new(seed) }
    }

    pub fn wait(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(BACKOFF_MAX);
        let half_us = whole.as_micros() as u64 / 2;
        Duration::from_micros(half_us + self.rng.below(half_us + 1))
    }

    /// The link stood: the next failure begins anew.
    pub fn reset(&mut self) {
        self.next = BACKOFF_FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_within_its_bounds_and_begins_anew() {
        let mut backoff = Backoff::new(1);
        let waits: Vec<Duration> = (0..20).map(|_| backoff.wait()).collect();
        assert!(waits[0] >= BACKOFF_FIRST / 2 && waits[0] <= BACKOFF_FIRST);
        assert!(waits[10..].iter().all(|wait| *wait >= BACKOFF_MAX / 2 && *wait <= BACKOFF_MAX));
        assert!(waits[10..].windows(2).any(|pair| pair[0] != pair[1]));
        backoff.reset();
        assert!(backoff.wait() <= BACKOFF_FIRST);
    }
}
