//! What a run came to: as JSON lines for programs. Tables are `output::table`'s.

use super::counts::{Counts, Errors};
use super::interval::Interval;
use super::spread::{Spread, Summary};
use crate::plan::Plan;
use crate::workload::Workload;
use serde::Serialize;

/// One second.
#[derive(Debug)]
pub struct Moment {
    pub at_seconds: f64,
    pub seconds: f64,
    pub warmup: bool,
    pub cpu_seconds: f64,
    pub interval: Interval,
}

/// A whole run.
#[derive(Debug)]
pub struct RunResult {
    pub command: &'static str,
    pub brokers: Vec<String>,
    pub workload: Workload,
    pub fsync: String,
    pub totals: Interval,
    pub measured_from_ns: u64,
    pub measured_until_ns: u64,
    pub cpu_ns: u64,
    pub interrupted: bool,
    pub failure: Option<String>,
}

/// Counts with what follows from them.
#[derive(Clone, Debug, Serialize)]
pub struct Flow {
    #[serde(flatten)]
    pub counts: Counts,
    pub records_per_second: f64,
    /// Of records' keys and values, in 10^6 bytes.
    pub mb_per_second: f64,
    pub batch_bytes_mean: f64,
    pub batch_records_mean: f64,
}

impl Flow {
    pub fn new(counts: &Counts, seconds: f64) -> Self {
        let per_second = |amount: u64| if seconds > 0.0 { amount as f64 / seconds } else { 0.0 };
        Self {
            records_per_second: per_second(counts.records),
            mb_per_second: per_second(counts.record_bytes) / 1e6,
            batch_bytes_mean: counts.batch_bytes_mean(),
            batch_records_mean: counts.batch_records_mean(),
            counts: counts.clone(),
        }
    }
}

#[derive(Serialize)]
struct IntervalLine<'a> {
    r#type: &'static str,
    at_seconds: f64,
    seconds: f64,
    warmup: bool,
    produced: Flow,
    consumed: Flow,
    latency_us: Option<Summary>,
    service_us: Option<Summary>,
    end_to_end_us: Option<Summary>,
    retries: u64,
    failed: u64,
    errors: &'a Errors,
    tool_cpu_seconds: f64,
}

#[derive(Serialize)]
struct ResultLine<'a> {
    r#type: &'static str,
    command: &'static str,
    version: &'static str,
    brokers: &'a [String],
    acks: String,
    fsync: &'a str,
    workload: &'a Workload,
    seconds: f64,
    produced: Flow,
    consumed: Flow,
    latency_us: Option<Summary>,
    service_us: Option<Summary>,
    end_to_end_us: Option<Summary>,
    end_to_end_ms_resolution_records: u64,
    latency_curve_us: Vec<(f64, u64)>,
    service_curve_us: Vec<(f64, u64)>,
    end_to_end_curve_us: Vec<(f64, u64)>,
    retries: u64,
    failed: u64,
    unmade: u64,
    errors: &'a Errors,
    tool_cpu_seconds: f64,
    tool_cpu_seconds_per_gb: f64,
    interrupted: bool,
    failure: &'a Option<String>,
}

fn present(spread: &Spread) -> Option<Summary> {
    (!spread.0.is_empty()).then(|| spread.summary())
}

impl Moment {
    pub fn json(&self) -> String {
        let interval = &self.interval;
        let line = IntervalLine {
            r#type: "interval",
            at_seconds: self.at_seconds,
            seconds: self.seconds,
            warmup: self.warmup,
            produced: Flow::new(&interval.produced, self.seconds),
            consumed: Flow::new(&interval.consumed, self.seconds),
            latency_us: present(&interval.latency),
            service_us: present(&interval.service),
            end_to_end_us: present(&interval.end_to_end),
            retries: interval.retries,
            failed: interval.failed,
            errors: &interval.errors,
            tool_cpu_seconds: self.cpu_seconds,
        };
        serde_json::to_string(&line).expect("plain figures are JSON")
    }
}

impl RunResult {
    pub fn new(plan: &Plan, fsync: String) -> Self {
        Self {
            command: plan.command,
            brokers: plan.bootstrap.brokers.clone(),
            workload: plan.workload.clone(),
            fsync,
            totals: Interval::default(),
            measured_from_ns: 0,
            measured_until_ns: 0,
            cpu_ns: 0,
            interrupted: false,
            failure: None,
        }
    }

    pub fn seconds(&self) -> f64 {
        self.measured_until_ns.saturating_sub(self.measured_from_ns) as f64 / 1e9
    }

    pub fn produced(&self) -> Flow {
        Flow::new(&self.totals.produced, self.seconds())
    }

    pub fn consumed(&self) -> Flow {
        Flow::new(&self.totals.consumed, self.seconds())
    }

    pub fn cpu_seconds(&self) -> f64 {
        self.cpu_ns as f64 / 1e9
    }

    /// Processor time of this tool for each 10^9 bytes of records in either direction.
    pub fn cpu_seconds_per_gb(&self) -> f64 {
        let bytes = self.totals.produced.record_bytes + self.totals.consumed.record_bytes;
        if bytes == 0 { 0.0 } else { self.cpu_ns as f64 / bytes as f64 }
    }

    pub fn acks(&self) -> String {
        crate::options::Acks(self.workload.acks).to_string()
    }

    pub fn json(&self) -> String {
        let totals = &self.totals;
        let line = ResultLine {
            r#type: "result",
            command: self.command,
            version: env!("CARGO_PKG_VERSION"),
            brokers: &self.brokers,
            acks: self.acks(),
            fsync: &self.fsync,
            workload: &self.workload,
            seconds: self.seconds(),
            produced: self.produced(),
            consumed: self.consumed(),
            latency_us: present(&totals.latency),
            service_us: present(&totals.service),
            end_to_end_us: present(&totals.end_to_end),
            end_to_end_ms_resolution_records: totals.end_to_end_coarse,
            latency_curve_us: totals.latency.curve(),
            service_curve_us: totals.service.curve(),
            end_to_end_curve_us: totals.end_to_end.curve(),
            retries: totals.retries,
            failed: totals.failed,
            unmade: totals.unmade,
            errors: &totals.errors,
            tool_cpu_seconds: self.cpu_seconds(),
            tool_cpu_seconds_per_gb: self.cpu_seconds_per_gb(),
            interrupted: self.interrupted,
            failure: &self.failure,
        };
        serde_json::to_string(&line).expect("plain figures are JSON")
    }
}
