//! A line each second, on stderr; on a terminal a spinner below it says that all is alive.

use crate::stats::result::{Flow, Moment};
use crate::stats::spread::Spread;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::Duration;

pub struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}");
            bar.set_style(style.expect("a valid template"));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { bar, quiet }
    }

    pub fn say(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.println(what),
            None if !self.quiet => {
                let _ = writeln!(std::io::stderr(), "{what}");
            }
            None => {}
        }
    }

    pub fn moment(&self, moment: &Moment) {
        // The last piece of a run may be too short to say anything.
        if moment.seconds >= 0.2 {
            self.say(&line(moment));
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn line(moment: &Moment) -> String {
    let interval = &moment.interval;
    let mut line = format!("{:6.1} s", moment.at_seconds);
    if moment.warmup {
        line += "  warm-up";
    }
    for (verb, counts, latency) in
        [("sent", &interval.produced, &interval.latency), ("read", &interval.consumed, &interval.end_to_end)]
    {
        if counts.requests > 0 {
            line += &format!("  {verb} {}", flow(&Flow::new(counts, moment.seconds), latency));
        }
    }
    if interval.produced.requests + interval.consumed.requests == 0 {
        line += "  no answers";
    }
    line += &format!("  tool {:.2} cores", moment.cpu_seconds / moment.seconds);
    let errors: u64 = interval.errors.values().sum();
    if errors > 0 {
        line += &format!("  {errors} errors, {} retries", interval.retries);
    }
    line
}

fn flow(flow: &Flow, latency: &Spread) -> String {
    let mut text = format!("{:>9.0} records/s {:>8.2} MB/s", flow.records_per_second, flow.mb_per_second);
    if !latency.0.is_empty() {
        let summary = latency.summary();
        text += &format!("  p50 {} p99 {}", milliseconds(summary.p50), milliseconds(summary.p99));
    }
    text
}

/// Microseconds as milliseconds, with as many digits as say something.
pub fn milliseconds(us: u64) -> String {
    let ms = us as f64 / 1e3;
    if ms < 10.0 {
        format!("{ms:.3} ms")
    } else if ms < 1_000.0 {
        format!("{ms:.1} ms")
    } else {
        format!("{ms:.0} ms")
    }
}
