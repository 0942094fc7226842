//! The clocks: one monotonic for every latency, which all processes of a machine share; the wall
//! clock for records' timestamps alone; and the processor time of this process.

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Nanoseconds since the machine started, the same for every process on it.
pub fn now_ns() -> u64 {
    read(ClockId::Monotonic)
}

/// Processor time of this process so far, user and system, of all its threads.
pub fn cpu_ns() -> u64 {
    read(ClockId::ProcessCPUTime)
}

/// Milliseconds since 1970, for records.
pub fn wall_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

pub fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

pub fn seconds(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// The pause before try number `tries` (from 1): from 20 ms doubling to 1 s, times 0.5 to 1.5, so
/// that many clients do not come back in step.
pub fn backoff(tries: u32) -> Duration {
    const FIRST_MS: f64 = 20.0;
    const LAST_MS: f64 = 1_000.0;
    let whole = (FIRST_MS * f64::from(1u32 << tries.clamp(1, 16).saturating_sub(1))).min(LAST_MS);
    Duration::from_secs_f64(whole * (0.5 + fastrand::f64()) / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_grows_and_has_bounds() {
        for tries in 0..100 {
            let pause = backoff(tries);
            assert!(pause >= Duration::from_millis(10) && pause <= Duration::from_millis(1_500));
        }
        assert!(backoff(1) <= Duration::from_millis(30) && backoff(9) >= Duration::from_millis(500));
    }
}
