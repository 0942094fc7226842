//! How fast entries are read back for followers that are behind: as fast as the disk gives while
//! no client is served from the shard, else at a rate, so that the foreground does not feel it.
//!
//! One for all journals of a shard, which share a disk and a core.

use crate::clock::Now;
use core::cell::Cell;
use core::time::Duration;

/// The foreground is at rest when nothing was produced or fetched for so long.
const AT_REST: Duration = Duration::from_millis(500);
/// What may be read at once: of the rate, so much time. It is asked again at least with each tick,
/// every 10 ms; a shorter burst than that would leave the rate unused.
const BURST: Duration = Duration::from_millis(20);

/// Counted when an entry has been read: the last one may exceed what there was.
#[derive(Debug)]
pub struct Pace {
    bytes_per_s: u64,
    used_ns: Cell<Option<u64>>,
    spare_bytes: Cell<i64>,
    filled_ns: Cell<u64>,
}

impl Pace {
    pub fn new(bytes_per_s: u64) -> Self {
        Self { bytes_per_s, used_ns: Cell::new(None), spare_bytes: Cell::new(0), filled_ns: Cell::new(0) }
    }

    /// A batch of a client was taken, or a client was given some.
    pub fn used(&self, now: Now) {
        self.used_ns.set(Some(now.mono_ns));
    }

    /// Whether no client is served.
    pub fn is_alone(&self, now: Now) -> bool {
        let rest_ns = AT_REST.as_nanos() as u64;
        self.used_ns.get().is_none_or(|at_ns| now.mono_ns.saturating_sub(at_ns) >= rest_ns)
    }

    /// Whether another entry may be read now.
    pub fn may_read(&self, now: Now) -> bool {
        let since_ns = now.mono_ns.saturating_sub(self.filled_ns.replace(now.mono_ns));
        let of = |ns: u64| (u128::from(self.bytes_per_s) * u128::from(ns) / 1_000_000_000) as i64;
        let burst_ns = BURST.as_nanos() as u64;
        // A debt is paid off at the rate, too, but none is older than a second.
        let spare = self.spare_bytes.get().max(-of(1_000_000_000)) + of(since_ns.min(1_000_000_000));
        self.spare_bytes.set(spare.min(of(burst_ns)));
        self.is_alone(now) || self.spare_bytes.get() > 0
    }

    pub fn took(&self, bytes: usize) {
        self.spare_bytes.set(self.spare_bytes.get().saturating_sub(bytes as i64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Now {
        Now { mono_ns: 5_000 * MS + ms * MS, wall_ms: 0 }
    }

    #[test]
    fn with_a_foreground_the_rate_is_kept_and_without_one_there_is_none() {
        let pace = Pace::new(10 << 20);
        assert!(pace.may_read(at(0)));
        let mut read = 0;
        for ms in 0..10_000 {
            pace.used(at(ms));
            while pace.may_read(at(ms)) {
                pace.took(1 << 20);
                read += 1;
            }
        }
        assert!((95..=105).contains(&read), "{read} MiB in ten seconds at 10 MiB/s");
        pace.took(1 << 20);
        assert!(!pace.may_read(at(10_050)), "the foreground was there a moment ago");
        assert!(pace.may_read(at(10_600)), "it rests");
    }
}
