//! Plain sums of a stretch of time.

use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    /// Records acked, or read.
    pub records: u64,
    /// Their keys and values.
    pub record_bytes: u64,
    /// Batches as they went over the wire, compressed where they were.
    pub batches: u64,
    pub batch_bytes: u64,
    pub requests: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.record_bytes += other.record_bytes;
        self.batches += other.batches;
        self.batch_bytes += other.batch_bytes;
        self.requests += other.requests;
    }

    pub fn batch_bytes_mean(&self) -> f64 {
        if self.batches == 0 { 0.0 } else { self.batch_bytes as f64 / self.batches as f64 }
    }

    pub fn batch_records_mean(&self) -> f64 {
        if self.batches == 0 { 0.0 } else { self.records as f64 / self.batches as f64 }
    }
}

/// How often each kind of error was met.
pub type Errors = BTreeMap<String, u64>;

pub fn add_errors(to: &mut Errors, from: &Errors) {
    for (kind, count) in from {
        *to.entry(kind.clone()).or_default() += count;
    }
}
