//! `search`: the highest rate whose 99th percentile stays under a bound, counted from the intended
//! send times. Rates are doubled until one fails, then the gap is halved.

use crate::cluster::bootstrap::Bootstrap;
use crate::options::Rate;
use crate::output::Output;
use crate::plan::Plan;
use crate::run;
use crate::stats::result::RunResult;
use crate::trouble::{Outcome, Trouble};
use crate::workload::Workload;
use clap::Args;
use serde::Serialize;

/// A try must deliver this part of its records: those that found no room count in no percentile.
const DELIVERED_MIN: f64 = 0.98;
const TRIES_MAX: u32 = 40;

#[derive(Args, Clone, Debug)]
pub struct Bound {
    /// The bound of the 99th percentile
    #[arg(long, value_name = "MS", default_value_t = 20.0)]
    p99_ms: f64,
    /// The first rate that is tried, in records a second
    #[arg(long, value_name = "N", default_value_t = 1_000.0)]
    first_rate: f64,
    /// How near to the highest rate the search comes, as a part of it
    #[arg(long, value_name = "PART", default_value_t = 0.05)]
    precision: f64,
}

impl Bound {
    pub fn check(&self) -> Outcome<()> {
        if self.p99_ms > 0.0 && self.first_rate > 0.0 && self.precision > 0.0 {
            return Ok(());
        }
        Err(Trouble::Usage("--p99-ms, --first-rate and --precision must be above 0".into()))
    }
}

#[derive(Serialize)]
struct FoundLine {
    r#type: &'static str,
    p99_ms: f64,
    rate: f64,
    fails_at: Option<f64>,
}

/// Which rates hold and which do not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Range {
    good: Option<f64>,
    bad: Option<f64>,
}

impl Range {
    fn note(&mut self, rate: f64, holds: bool) {
        if holds {
            self.good = Some(rate);
        } else {
            self.bad = Some(rate);
        }
    }

    /// The rate to try next; `None` when it is known well enough.
    fn next(&self, first: f64, precision: f64) -> Option<f64> {
        match (self.good, self.bad) {
            (None, None) => Some(first),
            (Some(good), None) => Some(2.0 * good),
            (None, Some(bad)) => (bad > 2.0).then_some(bad / 4.0),
            (Some(good), Some(bad)) => ((bad - good) / bad > precision).then_some((good + bad) / 2.0),
        }
    }
}

pub fn run(bootstrap: Bootstrap, workload: Workload, bound: &Bound, output: &mut Output) -> Outcome<()> {
    let mut range = Range::default();
    let mut best = None;
    for _ in 0..TRIES_MAX {
        let Some(rate) = range.next(bound.first_rate, bound.precision) else { break };
        let result = one_try(&bootstrap, &workload, rate, output)?;
        if result.interrupted {
            return Err(Trouble::Run("the search was interrupted".into()));
        }
        let p99_ms = result.totals.latency.summary().p99 as f64 / 1e3;
        let delivered = result.totals.produced.records as f64 / (rate * workload.seconds);
        let holds = result.failure.is_none() && p99_ms <= bound.p99_ms && delivered >= DELIVERED_MIN;
        let verdict = if holds { "holds" } else { "fails" };
        output.say(&format!(
            "rate {rate:.0}: p99 {p99_ms:.3} ms, {:.1} % delivered: {verdict}",
            100.0 * delivered
        ));
        range.note(rate, holds);
        if holds {
            best = Some(result);
        }
    }
    let (Some(rate), Some(result)) = (range.good, best) else {
        let bound_ms = bound.p99_ms;
        return Err(Trouble::NoRate(format!("no rate keeps its p99 under {bound_ms} ms")));
    };
    let found = FoundLine { r#type: "found", p99_ms: bound.p99_ms, rate, fails_at: range.bad };
    output.line(&serde_json::to_string(&found).expect("plain figures are JSON"))?;
    output.result(&result)?;
    output.text(&format!("the highest rate with p99 under {} ms: {rate:.0} records/s", bound.p99_ms));
    Ok(())
}

fn one_try(bootstrap: &Bootstrap, workload: &Workload, rate: f64, output: &mut Output) -> Outcome<RunResult> {
    let plan = Plan {
        command: "search",
        bootstrap: bootstrap.clone(),
        workload: Workload { rate: Rate::PerSecond(rate), ..workload.clone() },
        produce: true,
        consume: false,
        to_the_end: false,
        proving: None,
        sink: None,
    };
    run::execute(plan, output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_closes_in_on_the_highest_rate_that_holds() {
        for highest in [40.0, 900.0, 123_456.0] {
            let mut range = Range::default();
            let mut tries = 0;
            while let Some(rate) = range.next(1_000.0, 0.05) {
                range.note(rate, rate <= highest);
                tries += 1;
            }
            let found = range.good.expect("some rate holds");
            assert!(found <= highest && found >= 0.94 * highest, "{found} for {highest}");
            assert!(tries <= TRIES_MAX, "{tries} tries");
        }
    }
}
