//! Figures that a shard keeps of its connections and requests: plain numbers, copied to the
//! metrics page about once a second. Knows nothing of Prometheus.

use engine::shard::ShardMetrics;
use std::collections::BTreeMap;

/// Buckets of a [`Latency`]: bucket `i` counts what took less than 2^i × 16 µs, the last one all
/// the rest. 16 µs is below a loopback round trip, 2^21 × 16 µs = 33 s above every time-out.
pub const LATENCY_BUCKETS: usize = 23;
const FIRST_BUCKET_NS: u64 = 16_000;

/// A histogram of durations with buckets that double.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    pub buckets: [u64; LATENCY_BUCKETS],
    pub sum_ns: u64,
    pub count: u64,
}

impl Latency {
    pub fn record(&mut self, duration_ns: u64) {
        let steps = (duration_ns / FIRST_BUCKET_NS).checked_ilog2().map_or(0, |log| log as usize + 1);
        self.buckets[steps.min(LATENCY_BUCKETS - 1)] += 1;
        self.sum_ns = self.sum_ns.saturating_add(duration_ns);
        self.count += 1;
    }

    /// The upper bound of a bucket in seconds; infinite for the last.
    pub fn upper_bound_s(bucket: usize) -> f64 {
        if bucket + 1 >= LATENCY_BUCKETS {
            return f64::INFINITY;
        }
        (FIRST_BUCKET_NS << bucket) as f64 / 1e9
    }
}

/// One Kafka API on one shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiStats {
    /// From the frame's last byte received to the answer's hand-over to the socket.
    pub latency: Latency,
    pub errors: u64,
}

/// What a shard tells of itself; the counters run from the start of the process.
#[derive(Clone, Debug, Default)]
pub struct ShardPage {
    pub engine: ShardMetrics,
    /// By API key.
    pub apis: BTreeMap<i16, ApiStats>,
    pub connections_open: u64,
    pub connections_accepted: u64,
    /// Closed because of bad input, a time-out or the memory budget.
    pub connections_refused: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    /// Requests received whole and not answered yet.
    pub requests_in_flight: u64,
    /// Disk operations handed out and not completed.
    pub disk_in_flight: u64,
    pub memory_budget_bytes: u64,
    /// Reserved for frames and answers.
    pub memory_used_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_below_its_buckets_bound_and_not_below_the_one_before() {
        for duration_ns in [0, 1, 15_999, 16_000, 31_999, 32_000, 1_000_000, 5_000_000_000] {
            let mut latency = Latency::default();
            latency.record(duration_ns);
            let bucket = latency.buckets.iter().position(|count| *count == 1).expect("one bucket counts");
            let seconds = duration_ns as f64 / 1e9;
            assert!(seconds < Latency::upper_bound_s(bucket), "{duration_ns} ns in bucket {bucket}");
            assert!(bucket == 0 || seconds >= Latency::upper_bound_s(bucket - 1), "{duration_ns} ns");
        }
    }

    #[test]
    fn what_is_longer_than_all_bounds_is_counted_in_the_last_bucket() {
        let mut latency = Latency::default();
        latency.record(u64::MAX);
        assert_eq!(latency.buckets[LATENCY_BUCKETS - 1], 1);
        assert!(Latency::upper_bound_s(LATENCY_BUCKETS - 1).is_infinite());
    }
}
