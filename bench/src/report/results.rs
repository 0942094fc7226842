//! Reads result files: JSON lines of intervals, then of the result. A file may hold several runs.

use crate::trouble::{Outcome, Trouble};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Clone, Debug, Deserialize)]
pub struct Flow {
    pub records: u64,
    pub records_per_second: f64,
    pub mb_per_second: f64,
    pub batch_bytes_mean: f64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Summary {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Interval {
    pub at_seconds: f64,
    pub seconds: f64,
    pub warmup: bool,
    pub produced: Flow,
    pub consumed: Flow,
    pub latency_us: Option<Summary>,
    pub end_to_end_us: Option<Summary>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Total {
    pub command: String,
    pub acks: String,
    pub fsync: String,
    pub workload: BTreeMap<String, Value>,
    pub seconds: f64,
    pub produced: Flow,
    pub consumed: Flow,
    pub latency_us: Option<Summary>,
    pub service_us: Option<Summary>,
    pub end_to_end_us: Option<Summary>,
    pub latency_curve_us: Vec<(f64, f64)>,
    pub end_to_end_curve_us: Vec<(f64, f64)>,
    pub retries: u64,
    pub failed: u64,
    pub errors: BTreeMap<String, u64>,
    pub tool_cpu_seconds_per_gb: f64,
}

/// One run of a file.
#[derive(Clone, Debug)]
pub struct Run {
    pub name: String,
    pub intervals: Vec<Interval>,
    pub total: Total,
}

pub fn read(path: &Path) -> Outcome<Vec<Run>> {
    let wrong = |what: String| Trouble::Usage(format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let (mut runs, mut intervals) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let malformed = |error: serde_json::Error| wrong(format!("line {}: {error}", number + 1));
        let value: Value = serde_json::from_str(line).map_err(malformed)?;
        match value.get("type").and_then(Value::as_str) {
            Some("interval") => intervals.push(serde_json::from_value(value).map_err(malformed)?),
            Some("result") => {
                let total = serde_json::from_value(value).map_err(malformed)?;
                let name =
                    if runs.is_empty() { stem.clone() } else { format!("{stem} ({})", runs.len() + 1) };
                runs.push(Run { name, intervals: std::mem::take(&mut intervals), total });
            }
            // Findings of `verify` and the like.
            _ => {}
        }
    }
    if runs.is_empty() {
        return Err(wrong(
            "holds no result of duramen-bench (was it written with --json, to the end?)".into(),
        ));
    }
    Ok(runs)
}
