//! SIGTERM and SIGINT: the first asks the node to stop, the second ends the process. SIGHUP: certificates are looked at.

use crate::observe::status::Status;
use crate::process::{certificates, system};
use crate::tls::live::LiveTls;
use std::sync::Arc;
use std::time::Duration;

/// A graceful stop takes at most 10 s; this leaves half a second for the exit itself.
const GRACE: Duration = Duration::from_millis(9_500);

const AWAITED: &[i32] = &[libc::SIGTERM, libc::SIGINT, libc::SIGHUP];

/// Blocks the signals; call it before any other thread is started.
pub fn block() -> std::io::Result<()> {
    system::block_signals(AWAITED)
}

/// Starts the thread that waits for them.
pub fn watch(status: Arc<Status>, tls: Option<Arc<LiveTls>>) -> std::io::Result<()> {
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let signal = next(&status, tls.as_deref());
        tracing::info!(signal, "stopping; a second signal ends the process at once");
        status.request_stop();
        if let Err(error) = std::thread::Builder::new().name("grace".into()).spawn(end_after_grace) {
            tracing::warn!(%error, "no thread to watch over the time that stopping takes");
        }
        let signal = next(&status, None);
        system::exit_now(128 + signal);
    })?;
    Ok(())
}

/// Waits for one that asks to stop.
fn next(status: &Status, tls: Option<&LiveTls>) -> i32 {
    loop {
        match (system::wait_for_signal(AWAITED), tls) {
            (libc::SIGHUP, Some(tls)) => certificates::look(tls, status),
            (libc::SIGHUP, None) => {}
            (signal, _) => return signal,
        }
    }
}

/// What was acked is durable; all that a stop cut short costs is a longer scan at the next start.
fn end_after_grace() {
    std::thread::sleep(GRACE);
    system::write_stderr_if_ready(
        "duramen: not all was finished within 10 s; the next start recovers the rest\n",
    );
    system::exit_now(0);
}
