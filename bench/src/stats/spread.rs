//! Latencies in microseconds, in a histogram that never drops a value.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Values above (about 19 hours) are counted as this.
const VALUE_US_MAX: u64 = 1 << 36;
/// Points of a batch whose latencies are taken; each stands for an equal part of its records.
const POINTS_MAX: u32 = 16;

/// Three significant digits from 1 µs on.
#[derive(Clone, Debug)]
pub struct Spread(pub Histogram<u64>);

impl Default for Spread {
    fn default() -> Self {
        let mut histogram = Histogram::new_with_bounds(1, 1 << 24, 3).expect("valid bounds");
        histogram.auto(true);
        Self(histogram)
    }
}

/// When a batch's records were to be sent: the first and the last one, evenly between.
#[derive(Clone, Copy, Debug)]
pub struct Intended {
    pub first_ns: u64,
    pub last_ns: u64,
    pub count: u32,
}

impl Spread {
    pub fn record(&mut self, latency_ns: u64, count: u64) {
        let value_us = latency_ns.div_ceil(1_000).clamp(1, VALUE_US_MAX);
        self.0.record_n(value_us, count).expect("it grows, and the value is bounded");
    }

    /// Each record from its own intended time until `now_ns`.
    pub fn record_batch(&mut self, intended: Intended, now_ns: u64) {
        let Intended { first_ns, last_ns, count } = intended;
        let points = count.min(POINTS_MAX);
        let step_ns = if points > 1 { (last_ns - first_ns) / u64::from(points - 1) } else { 0 };
        for point in 0..points {
            // The first points take the rest, so that the counts add up.
            let share = u64::from(count / points) + u64::from(point < count % points);
            let at_ns = first_ns + u64::from(point) * step_ns;
            self.record(now_ns.saturating_sub(at_ns), share);
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("it grows");
    }

    pub fn summary(&self) -> Summary {
        let at = |percentile| self.0.value_at_percentile(percentile);
        Summary {
            count: self.0.len(),
            mean: self.0.mean(),
            p50: at(50.0),
            p90: at(90.0),
            p99: at(99.0),
            p999: at(99.9),
            p9999: at(99.99),
            max: self.0.max(),
        }
    }

    /// Percentile and value, closer and closer to 100.
    pub fn curve(&self) -> Vec<(f64, u64)> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let steps = self.0.iter_quantiles(5);
        steps.map(|step| (step.quantile_iterated_to() * 100.0, step.value_iterated_to())).collect()
    }
}

/// Microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Summary {
    pub count: u64,
    pub mean: f64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub p9999: u64,
    pub max: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_of_a_batch_counts_from_its_own_time() {
        for count in [1, 2, 15, 16, 17, 1_000] {
            let mut spread = Spread::default();
            let last_ns = if count == 1 { 0 } else { 1_000_000 };
            spread.record_batch(Intended { first_ns: 0, last_ns, count }, 2_000_000);
            assert_eq!(spread.0.len(), u64::from(count));
            assert_eq!(spread.0.max(), spread.0.highest_equivalent(2_000));
            assert!(count == 1 || spread.0.min() <= 1_001, "{}", spread.0.min());
        }
    }

    #[test]
    fn a_latency_of_nothing_and_one_of_days_are_kept() {
        let mut spread = Spread::default();
        spread.record(0, 1);
        spread.record(u64::MAX / 2, 1);
        assert_eq!((spread.0.len(), spread.0.min()), (2, 1));
    }
}
