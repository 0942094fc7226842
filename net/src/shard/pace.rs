//! Long work on a shard, in parts: after a while it lets the reactor and the other tasks have
//! their turn.

use std::time::{Duration, Instant};

/// After this much work without a pause others have their turn (notes, G6).
pub const WORK_MAX: Duration = Duration::from_micros(100);
/// A yield alone would not let the reactor poll.
const REACTOR_PAUSE: Duration = Duration::from_micros(2);
/// The clock is looked at once per so many parts.
const PARTS: u32 = 16;

/// One piece of work, from its first part to its last.
pub struct Pace {
    since: Instant,
    parts: u32,
}

impl Pace {
    pub fn begin() -> Self {
        Self { since: Instant::now(), parts: 0 }
    }

    /// Called between parts that take about a microsecond each.
    pub async fn rest_if_due(&mut self) {
        self.parts += 1;
        if self.parts.is_multiple_of(PARTS) {
            self.rest_if_late().await;
        }
    }

    /// Whether a pause is due.
    pub fn is_late(&self) -> bool {
        self.since.elapsed() > WORK_MAX
    }

    /// Called between longer parts.
    pub async fn rest_if_late(&mut self) {
        if self.is_late() {
            rest().await;
            self.since = Instant::now();
        }
    }
}

/// Lets the reactor poll once.
pub async fn rest() {
    glommio::timer::sleep(REACTOR_PAUSE).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::LocalExecutor;

    #[test]
    fn work_is_paused_once_it_took_long_and_begins_anew_then() {
        LocalExecutor::default().run(async {
            let mut pace = Pace { since: Instant::now() - 10 * WORK_MAX, parts: 0 };
            // The clock is not looked at before so many parts are done.
            for _ in 1..PARTS {
                pace.rest_if_due().await;
                assert!(pace.is_late());
            }
            let begun = Instant::now();
            pace.rest_if_due().await;
            assert!(pace.since >= begun, "a pause begins the work anew");
            assert_eq!(pace.parts, PARTS);
        });
    }
}
