//! A histogram of durations, small and cheap enough for every stage of every journal: plain numbers.
//! Knows no clock; whoever records brings the duration.

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
    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        for (bucket, count) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += count;
        }
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        self.count += other.count;
    }

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
    fn the_sum_of_two_holds_what_both_counted() {
        let (mut one, mut other, mut both) = (Latency::default(), Latency::default(), Latency::default());
        for (at, duration_ns) in [3, 70_000, 9_000_000, 1 << 40].into_iter().enumerate() {
            if at % 2 == 0 {
                one.record(duration_ns)
            } else {
                other.record(duration_ns)
            }
            both.record(duration_ns);
        }
        one.add(&other);
        assert_eq!(one, both);
    }

    #[test]
    fn what_is_longer_than_all_bounds_is_counted_in_the_last_bucket() {
        let mut latency = Latency::default();
        latency.record(u64::MAX);
        assert_eq!(latency.buckets[LATENCY_BUCKETS - 1], 1);
        assert!(Latency::upper_bound_s(LATENCY_BUCKETS - 1).is_infinite());
    }
}
