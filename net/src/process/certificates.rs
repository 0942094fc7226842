//! Looks at the files of certificates while the node runs, and says what it found: every ten seconds, and on SIGHUP.

use crate::audit;
use crate::observe::status::Status;
use crate::tls::live::{LiveTls, TlsChange};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const INTERVAL: Duration = Duration::from_secs(10);
/// From then on each day says so in the log.
const WARN_DAYS: i64 = 30;
const DAY_S: i64 = 86_400;

/// Starts the thread that looks.
pub fn watch(tls: Arc<LiveTls>, status: Arc<Status>) -> std::io::Result<()> {
    let mut warned_s = tell(&tls, &status, i64::MIN);
    audit_loaded(&tls);
    std::thread::Builder::new().name("certificates".into()).spawn(move || {
        loop {
            std::thread::sleep(INTERVAL);
            look(&tls, &status);
            warned_s = tell(&tls, &status, warned_s);
        }
    })?;
    Ok(())
}

/// One look.
pub fn look(tls: &LiveTls, status: &Status) {
    match tls.look() {
        TlsChange::Nothing => {}
        TlsChange::Taken => {
            let loaded = tls.current();
            status.set_certificate_end(loaded.not_after());
            audit_loaded(tls);
            tracing::info!(
                days = days_left(loaded.not_after(), now_s()),
                "new certificates: connections that begin now take them, the others keep what they began with"
            );
        }
        TlsChange::Refused(what) => {
            audit::tell("certificates", json!({"result": "refused", "reason": what}));
            tracing::error!("certificates are not taken, those from before stay: {what}");
        }
    }
}

fn audit_loaded(tls: &LiveTls) {
    let (loaded, paths) = (tls.current(), tls.paths());
    let expires = UNIX_EPOCH + Duration::from_secs(u64::try_from(loaded.not_after()).unwrap_or_default());
    audit::tell(
        "certificates",
        json!({
            "result": "loaded", "certificate": paths.certificate.display().to_string(),
            "authority": paths.ca.display().to_string(), "expires": audit::line::timestamp(expires),
        }),
    );
}

/// Warns once a day while the end is near; gives when it last did.
fn tell(tls: &LiveTls, status: &Status, warned_s: i64) -> i64 {
    let (loaded, now_s) = (tls.current(), now_s());
    status.set_certificate_end(loaded.not_after());
    let days = days_left(loaded.not_after(), now_s);
    if days >= WARN_DAYS || now_s - DAY_S < warned_s {
        return warned_s;
    }
    if loaded.not_after() <= now_s {
        tracing::error!(
            "this node's certificate has expired: clients and nodes refuse it; make it anew (duramen ca node)"
        );
    } else {
        tracing::warn!(days, "this node's certificate expires soon: make it anew (duramen ca node)");
    }
    now_s
}

/// Whole days until then, less than zero behind it.
pub fn days_left(end_s: i64, now_s: i64) -> i64 {
    (end_s - now_s).div_euclid(DAY_S)
}

pub fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_and_go_below_zero() {
        assert_eq!([days_left(DAY_S, 0), days_left(DAY_S - 1, 0), days_left(0, 1)], [1, 0, -1]);
    }
}
