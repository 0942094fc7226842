//! Times as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// In which zone times are shown.
pub struct Clock(TimeZone);

impl Clock {
    pub fn new(utc: bool) -> Self {
        Self(if utc { TimeZone::UTC } else { TimeZone::system() })
    }

    /// Milliseconds since 1970; `None` for what is no time, as −1 in Kafka.
    pub fn show(&self, ms: i64) -> Option<String> {
        let at = Timestamp::from_millisecond(ms).ok().filter(|_| ms >= 0)?.to_zoned_datetime(self.0.clone());
        let zone = if self.0 == TimeZone::UTC { "Z" } else { "%:z" };
        Some(at.strftime(&format!("%Y-%m-%d %H:%M:%S.%3f{zone}")).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_its_zone_and_what_is_none_is_left() {
        let utc = Clock::new(true);
        assert_eq!(utc.show(1_750_000_000_123).as_deref(), Some("2025-06-15 15:06:40.123Z"));
        assert_eq!((utc.show(-1), utc.show(i64::MAX)), (None, None));
        let east = Clock(TimeZone::fixed(jiff::tz::offset(2)));
        assert_eq!(east.show(1_750_000_000_123).as_deref(), Some("2025-06-15 17:06:40.123+02:00"));
    }
}
