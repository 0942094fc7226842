//! SIGINT and SIGTERM: the first one asks the run to end and to be reported, the second one ends
//! the process.

use net::{signals, system};
use std::sync::atomic::{AtomicBool, Ordering};

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
    signals::block()?;
    std::thread::Builder::new().name("signals".into()).spawn(|| {
        system::wait_for_stop_signal();
        ASKED.store(true, Ordering::Relaxed);
        let signal = system::wait_for_stop_signal();
        system::exit_now(128 + signal);
    })?;
    Ok(())
}
