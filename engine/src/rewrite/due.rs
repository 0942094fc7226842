//! Whether a partition of a compacted topic is worth a pass, and which of its batches are old enough for one: Kafka's
//! rules, in bytes of batches.

use crate::control::life::TopicSettings;

/// What is known of a partition. *Clean* is what an earlier pass left, *dirty* what came since and lies below the horizon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirt {
    pub clean_bytes: u64,
    pub dirty_bytes: u64,
    /// The earliest time of a dirty batch, where one is known.
    pub oldest_ms: Option<i64>,
}

/// Why a partition is compacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompactionDue {
    No,
    /// `min.cleanable.dirty.ratio` is exceeded.
    ByRatio,
    /// A record waits for longer than `max.compaction.lag.ms`.
    ByLag,
}

impl Dirt {
    /// The share of what a pass would read that is dirty, in millionths, rounded up: a ratio of 0 is met by anything.
    pub fn ratio_ppm(&self) -> u32 {
        let bytes = u128::from(self.clean_bytes) + u128::from(self.dirty_bytes);
        let ppm = (u128::from(self.dirty_bytes) * 1_000_000).div_ceil(bytes.max(1));
        u32::try_from(ppm).expect("a share is at most one")
    }

    /// Whether a pass is due now.
    pub fn due(&self, settings: &TopicSettings, now_ms: i64) -> CompactionDue {
        if self.dirty_bytes == 0 || !settings.compacts {
            return CompactionDue::No;
        }
        let since_ms = now_ms.saturating_sub(settings.max_compaction_lag_ms);
        if self.oldest_ms.is_some_and(|oldest_ms| oldest_ms < since_ms) {
            return CompactionDue::ByLag;
        }
        if self.ratio_ppm() > settings.min_dirty_ppm { CompactionDue::ByRatio } else { CompactionDue::No }
    }
}

/// The first batch whose newest record is younger than this ends the pass, for `min.compaction.lag.ms`; `None`: however
/// young it is.
pub fn young_from_ms(settings: &TopicSettings, now_ms: i64) -> Option<i64> {
    (settings.min_compaction_lag_ms > 0).then(|| now_ms.saturating_sub(settings.min_compaction_lag_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::config::Statics;
    use crate::control::config::effective::Configs;

    fn settings(pairs: &[(&str, &str)]) -> TopicSettings {
        let compact = [("cleanup.policy", "compact")];
        let pairs = compact.iter().chain(pairs).map(|(key, value)| (key.to_string(), value.to_string()));
        TopicSettings::effective(&pairs.collect(), &Configs::new(), &Statics::default())
    }

    fn dirt(clean_bytes: u64, dirty_bytes: u64) -> Dirt {
        Dirt { clean_bytes, dirty_bytes, oldest_ms: Some(1_000) }
    }

    #[test]
    fn a_pass_is_due_above_the_ratio_and_not_at_it() {
        let due = |clean, dirty| dirt(clean, dirty).due(&settings(&[]), 2_000);
        assert_eq!(due(100, 100), CompactionDue::No, "half is the default");
        assert_eq!(due(100, 101), CompactionDue::ByRatio);
        assert_eq!(due(0, 1), CompactionDue::ByRatio, "nothing was compacted before");
        assert_eq!(due(5, 0), CompactionDue::No);
        let eager = settings(&[("min.cleanable.dirty.ratio", "0")]);
        assert_eq!(
            dirt(1_000_000_000, 1).due(&eager, 2_000),
            CompactionDue::ByRatio,
            "less than a millionth"
        );
        assert_eq!(dirt(u64::MAX, u64::MAX).ratio_ppm(), 500_000);
        let deleted = settings(&[("cleanup.policy", "delete")]);
        assert_eq!(dirt(0, 1).due(&deleted, 2_000), CompactionDue::No);
    }

    #[test]
    fn a_record_that_waits_too_long_makes_it_due_whatever_the_ratio_is() {
        let lag = settings(&[("max.compaction.lag.ms", "500")]);
        assert_eq!(dirt(1_000, 1).due(&lag, 1_500), CompactionDue::No);
        assert_eq!(dirt(1_000, 1).due(&lag, 1_501), CompactionDue::ByLag);
        let timeless = Dirt { oldest_ms: None, ..dirt(1_000, 1) };
        assert_eq!(timeless.due(&lag, 1_501), CompactionDue::No);
    }

    #[test]
    fn what_is_younger_than_the_lag_ends_a_pass() {
        assert_eq!(young_from_ms(&settings(&[]), 9_000), None);
        assert_eq!(young_from_ms(&settings(&[("min.compaction.lag.ms", "500")]), 9_000), Some(8_500));
    }
}
