//! The records of compressed batches, looked at before the engine gets them: in steps, between
//! which the shard does other things. Uncompressed ones the engine looks at while it copies them.
//!
//! A step is at most 64 KiB in and 64 KiB out (one block of lz4: at most 4 MiB), so a turn of
//! this is about [`crate::shard::pace::WORK_MAX`] and one step, however long the batch is.

use crate::shard::completion::Waiters;
use crate::shard::pace::Pace;
use engine::batch::validate::BatchError;
use engine::batch::{Checked, RecordBounds, RecordCheck};
use std::cell::Cell;

/// Checks that did not end within a turn: each keeps its decompressor's window, at most 8 MiB,
/// while others run. More of them wait and keep nothing.
const UNDER_WAY_MAX: usize = 4;

/// A shard's checks that are under way.
#[derive(Default)]
pub struct RecordChecks {
    under_way: Cell<usize>,
    /// Notified when one of them ended.
    ended: Waiters,
}

/// Leave to keep a check over a pause.
struct Leave<'a>(&'a RecordChecks);

impl RecordChecks {
    /// Looks at all records of a batch; `None` when the client went before it ended.
    pub async fn check(
        &self,
        pace: &mut Pace,
        batch: &[u8],
        bounds: RecordBounds,
        closed: &impl Fn() -> bool,
    ) -> Option<Checked> {
        pace.rest_if_late().await;
        let begin = || RecordCheck::begin(batch, bounds).unwrap_or(Err(BatchError::Empty));
        let mut check = match begin() {
            Ok(check) => check,
            Err(error) => return Some(Err(error)),
        };
        if let Some(verdict) = work(pace, &mut check) {
            return Some(verdict);
        }
        let leave = self.leave();
        let _leave = match leave {
            Some(leave) => leave,
            None => {
                // Begun anew later: what it has is a turn's work and up to 8 MiB.
                drop(check);
                let leave = self.wait_for_leave(closed).await?;
                check = begin().ok()?;
                leave
            }
        };
        loop {
            pace.rest_if_late().await;
            if closed() {
                return None;
            }
            if let Some(verdict) = work(pace, &mut check) {
                return Some(verdict);
            }
        }
    }

    fn leave(&self) -> Option<Leave<'_>> {
        let under_way = self.under_way.get();
        (under_way < UNDER_WAY_MAX).then(|| {
            self.under_way.set(under_way + 1);
            Leave(self)
        })
    }

    async fn wait_for_leave(&self, closed: &impl Fn() -> bool) -> Option<Leave<'_>> {
        let mut leave = None;
        self.ended
            .until(|| {
                leave = self.leave();
                leave.is_some() || closed()
            })
            .await;
        leave
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
        self.0.ended.notify();
    }
}

/// Steps until the verdict or until a pause is due.
fn work(pace: &Pace, check: &mut RecordCheck<'_>) -> Option<Checked> {
    loop {
        if let Some(verdict) = check.step() {
            return Some(verdict);
        }
        if pace.is_late() {
            return None;
        }
    }
}
