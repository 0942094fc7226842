//! Log lines: text or JSON on stderr, through a writer that never makes a shard wait.

use crate::process::options::LogFormat;
use crate::process::refusal::Refusal;
use std::sync::OnceLock;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// Lines that wait while stderr takes none; beyond it they are dropped and counted. A line is
/// about 200 bytes, so this is 1.6 MB.
const WAITING_LINES_MAX: usize = 8192;

static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Starts logging. The guard writes what waits when it is dropped, for at most about a second.
pub fn start(format: LogFormat, filter: &str) -> Result<WorkerGuard, Refusal> {
    let filter = filter_of(filter)?;
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING_LINES_MAX)
        .thread_name("log")
        .finish(std::io::stderr());
    let dropped = writer.error_counter();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let started = match format {
        LogFormat::Text => builder.with_ansi(false).finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    };
    started.expect("logging starts once");
    DROPPED.get_or_init(|| dropped);
    Ok(guard)
}

/// Whose lines there are: the broker's own, and those of what it is built of.
const MODULES: [&str; 6] = ["net", "glommio", "axum", "hyper", "tokio", "mio"];
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Reads a filter without using it. A word that is no level would be taken for a module, of which there
/// are no lines: it is refused, and so is a module that there is not.
pub fn filter_of(filter: &str) -> Result<EnvFilter, Refusal> {
    let refused = |why: String| {
        let remedy = "use error, warn, info, debug or trace, or module=level pairs with commas between \
                      (net=debug,info)";
        Refusal::usage(format!("--log '{filter}': {why}"), remedy)
    };
    let is_level = |text: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(text));
    let directives: Vec<&str> = filter.split(',').map(str::trim).collect();
    for directive in &directives {
        let (module, level) = match directive.split_once('=') {
            Some((module, level)) => (Some(module), level),
            None => (None, *directive),
        };
        if !is_level(level) {
            return Err(refused(format!("'{level}' is no level")));
        }
        let first = module.map(|module| module.split("::").next().unwrap_or_default());
        if let Some(first) = first.filter(|first| !MODULES.contains(first)) {
            return Err(refused(format!("there is no module '{first}'; there are {}", MODULES.join(", "))));
        }
    }
    EnvFilter::builder().parse(directives.join(",")).map_err(|error| refused(error.to_string()))
}

/// Lines that nobody will read.
pub fn dropped_lines() -> u64 {
    DROPPED.get().map_or(0, |counter| counter.dropped_lines() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_a_usage_error() {
        for good in ["info", "WARN", "off", "net=debug,info", "net::peer::links=trace, warn", "axum=error"] {
            assert!(filter_of(good).is_ok(), "{good}");
        }
        for bad in ["net=loud", "verbose", "nett=debug", "info,", "", "info net=debug", "net"] {
            let refusal = filter_of(bad).expect_err(bad);
            assert_eq!(refusal.exit_code, crate::process::refusal::EXIT_USAGE);
        }
    }
}
