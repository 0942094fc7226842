//! Log lines: text or JSON on stderr, through a writer that never makes a shard wait.

use crate::options::LogFormat;
use crate::refusal::Refusal;
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

/// Reads a filter without using it.
pub fn filter_of(filter: &str) -> Result<EnvFilter, Refusal> {
    EnvFilter::builder().parse(filter).map_err(|error| {
        let remedy = "use error, warn, info, debug or trace, or module=level pairs with commas between";
        Refusal::usage(format!("--log '{filter}': {error}"), remedy)
    })
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
        assert!(filter_of("net=debug,info").is_ok());
        let refusal = filter_of("net=loud").expect_err("refused");
        assert_eq!(refusal.exit_code, crate::refusal::EXIT_USAGE);
    }
}
