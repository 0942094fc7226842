//! What became of a request that did not succeed.

use crate::cluster::errors;
use std::fmt;
use std::time::{Duration, Instant};

/// Nobody answered, or the answer was no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// It may have been carried out.
    Silence(String),
    /// Kafka's error code.
    Code(i16),
    /// It was never sent: nobody is known to send it to.
    NobodyThere(String),
}

pub const UNKNOWN_MEMBER_ID: i16 = 25;
pub const MEMBER_ID_REQUIRED: i16 = 79;
pub const DUPLICATE_SEQUENCE: i16 = 46;
pub const OFFSET_OUT_OF_RANGE: i16 = 1;
const CONCURRENT_TRANSACTIONS: i16 = 51;
const UNSTABLE_OFFSET_COMMIT: i16 = 88;

impl NotDone {
    pub fn of(code: i16) -> Result<(), Self> {
        if code == 0 { Ok(()) } else { Err(Self::Code(code)) }
    }

    /// The same request may succeed a little later, perhaps elsewhere.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Silence(_) | Self::NobodyThere(_) => true,
            Self::Code(CONCURRENT_TRANSACTIONS | UNSTABLE_OFFSET_COMMIT) => true,
            Self::Code(code) => {
                matches!(code, 3 | 5..=9 | 13..=16 | 19 | 20 | 56 | 72 | 74 | 75 | 78 | 89 | 100)
            }
        }
    }

    /// It was refused before anything was done; all else may have been done though the answer says no: a coordinator
    /// that stops being one says so of what it has written, too.
    pub fn is_certain(&self) -> bool {
        match self {
            Self::NobodyThere(_) => true,
            Self::Silence(_) => false,
            Self::Code(code) => !self.may_pass() || *code == CONCURRENT_TRANSACTIONS,
        }
    }
}

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence(what) | Self::NobodyThere(what) => f.write_str(what),
            Self::Code(code) => f.write_str(&errors::name(*code)),
        }
    }
}

/// For how long something is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    until: Instant,
    tries: u32,
}

impl Patience {
    pub fn of(time: Duration) -> Self {
        Self { until: Instant::now() + time, tries: 0 }
    }

    /// Waits before the next try; when there is none, what went wrong is what it was.
    pub fn wait(&mut self, why: NotDone) -> Result<(), NotDone> {
        if !why.may_pass() || Instant::now() >= self.until {
            return Err(why);
        }
        self.tries += 1;
        std::thread::sleep(crate::clock::backoff(self.tries).min(PAUSE_MAX));
        Ok(())
    }
}

/// A cluster under faults is well again soon.
const PAUSE_MAX: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_before_anything_was_done_is_certain() {
        assert!(NotDone::Code(90).is_certain() && !NotDone::Code(90).may_pass(), "fenced");
        assert!(NotDone::Code(51).is_certain() && NotDone::Code(51).may_pass(), "the one before is not done");
        for written_perhaps in [NotDone::Code(15), NotDone::Code(16), NotDone::Silence("gone".into())] {
            assert!(!written_perhaps.is_certain() && written_perhaps.may_pass(), "{written_perhaps}");
        }
    }

    #[test]
    fn patience_ends_at_once_where_nothing_can_pass_and_in_time_where_it_can() {
        let mut patience = Patience::of(Duration::from_secs(60));
        assert_eq!(patience.wait(NotDone::Code(90)), Err(NotDone::Code(90)));
        assert_eq!(patience.wait(NotDone::Code(16)), Ok(()));
        assert_eq!(Patience::of(Duration::ZERO).wait(NotDone::Code(16)), Err(NotDone::Code(16)));
    }
}
