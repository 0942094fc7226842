//! Time as the engine sees it: two numbers that come in with every input.

use core::time::Duration;

/// The time of one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic nanoseconds since an arbitrary start; order and time-outs come from this one.
    pub mono_ns: u64,
    /// Wall clock, milliseconds since 1970-01-01 UTC; only retention and timestamps use it.
    pub wall_ms: i64,
}

impl Now {
    /// Monotonic time `after` from now.
    pub fn plus(&self, after: Duration) -> u64 {
        self.mono_ns + u64::try_from(after.as_nanos()).expect("a time-out within 584 years")
    }
}
