//! What happened since somebody last looked. Each thread has one of its own behind a lock that it
//! alone takes, but for the second when the main thread takes its content away.

use super::counts::{Counts, Errors, add_errors};
use super::spread::Spread;
use std::sync::{Arc, Mutex, MutexGuard};

#[derive(Clone, Debug, Default)]
pub struct Interval {
    pub produced: Counts,
    pub consumed: Counts,
    /// From the time that a record was to be sent until its ack.
    pub latency: Spread,
    /// From the time that it was sent (again, when it was tried again) until its ack.
    pub service: Spread,
    /// From the time that a record was to be sent until a consumer has it.
    pub end_to_end: Spread,
    /// Records whose end-to-end latency is known to the millisecond only.
    pub end_to_end_coarse: u64,
    /// Batches sent again.
    pub retries: u64,
    /// Records given up.
    pub failed: u64,
    /// Records of an open loop that were due when it ended and had found no room: they are in no
    /// latency.
    pub unmade: u64,
    pub errors: Errors,
}

impl Interval {
    pub fn error(&mut self, kind: impl Into<String>) {
        *self.errors.entry(kind.into()).or_default() += 1;
    }

    pub fn add(&mut self, other: &Self) {
        self.produced.add(&other.produced);
        self.consumed.add(&other.consumed);
        self.latency.add(&other.latency);
        self.service.add(&other.service);
        self.end_to_end.add(&other.end_to_end);
        self.end_to_end_coarse += other.end_to_end_coarse;
        self.retries += other.retries;
        self.failed += other.failed;
        self.unmade += other.unmade;
        add_errors(&mut self.errors, &other.errors);
    }
}

/// One thread's.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Interval>>);

impl Recorder {
    pub fn lock(&self) -> MutexGuard<'_, Interval> {
        self.0.lock().expect("no thread panics while it counts")
    }

    /// All since the last time.
    pub fn take(&self) -> Interval {
        std::mem::take(&mut *self.lock())
    }
}
