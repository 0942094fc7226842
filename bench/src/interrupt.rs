//! SIGINT and SIGTERM: the first one asks the run to end and to be reported, the second one ends
//! the process. Whoever sends SIGTERM does not wait long: it ends the process by itself.

use net::process::system::{self, STOP_SIGNALS};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a run has to end in after SIGTERM.
const TERMINATED_MAX: Duration = Duration::from_millis(1_500);

static ASKED: AtomicBool = AtomicBool::new(false);

/// Somebody wants the run to end.
pub fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// What was asked has been done: a run that follows is not interrupted by it.
pub fn heed() {
    ASKED.store(false, Ordering::Relaxed);
}

/// To be called before any other thread is started.
pub fn watch() -> std::io::Result<()> {
    system::block_signals(STOP_SIGNALS)?;
    std::thread::Builder::new().name("signals".into()).spawn(|| {
        let signal = system::wait_for_signal(STOP_SIGNALS);
        ASKED.store(true, Ordering::Relaxed);
        if signal == libc::SIGTERM {
            end_soon(signal);
        }
        let signal = system::wait_for_signal(STOP_SIGNALS);
        system::exit_now(128 + signal);
    })?;
    Ok(())
}

fn end_soon(signal: i32) {
    let wait = move || {
        std::thread::sleep(TERMINATED_MAX);
        let _ = writeln!(
            std::io::stderr(),
            "duramen-bench: ended by SIGTERM before all was done; SIGINT waits for it, and what `verify` noted as \
             acked can be judged with --resume"
        );
        system::exit_now(128 + signal);
    };
    // Without a thread to wait in, the second signal ends it.
    let _ = std::thread::Builder::new().name("end".into()).spawn(wait);
}
