//! What a procedure came to goes to the room that began it.

use super::Journal;
use crate::clock::Now;
use crate::journal::effects::{Effects, JournalDone};
use crate::journal::heal::done::HealDone;
use crate::journal::log::done::LogDone;
use crate::port::{Fatal, Output};

impl Journal {
    pub fn done(&mut self, done: JournalDone, now: Now, fx: &mut Effects) {
        match done {
            JournalDone::Log(done) => self.log_done(done, now, fx),
            JournalDone::Heal(done) => self.heal_done(done, now, fx),
            JournalDone::Rewrite(done) => self.rewrite_done(done, now, fx),
            JournalDone::Supplied { index, result } => self.supplied(index, *result, now, fx),
            JournalDone::Entering(result) => self.entered(result, fx),
            JournalDone::CheckpointGoesOn => self.checkpoint_goes_on(now, fx),
            JournalDone::Visited(result) => self.visited(result, now, fx),
        }
    }

    fn log_done(&mut self, done: LogDone, now: Now, fx: &mut Effects) {
        match done {
            LogDone::Prepared(result) => self.prepared(result, now, fx),
            LogDone::Lengthened(result) => self.lengthened(result, now, fx),
            LogDone::Sealed(result) => self.sealed(result, now, fx),
            LogDone::IndexRebuilt(result) => self.index_rebuilt(result, fx),
            LogDone::HardState(Ok(state)) => self.hard_state_written(state, now, fx),
            LogDone::HardState(Err(error)) => fx.out.push(Output::Fatal(Fatal::Write(error))),
            LogDone::LocalCheckpoint { index, result } => self.local_checkpoint_written(index, result, fx),
            LogDone::StaleRemoved(result) => self.stale_removed(result, now, fx),
            LogDone::Covered(covering) => self.covered(&covering, now, fx),
            LogDone::Deleted(result) => self.deleted(result, now, fx),
        }
    }

    fn heal_done(&mut self, done: HealDone, now: Now, fx: &mut Effects) {
        match done {
            HealDone::Offered { to, first, result } => self.offered(to, first, result, fx),
            HealDone::PieceRead { to, last, position, bytes } => {
                self.piece_read(to, (last, position), bytes, fx);
            }
            HealDone::Lent { asked, bytes, result } => self.lent(asked, bytes, *result, fx),
            HealDone::Judged(judged) => self.judged(judged, now, fx),
            HealDone::RunResumed { wanted, result } => self.run_resumed(wanted, result, now, fx),
            HealDone::RunPieceWritten { result } => self.run_piece_written(result, now, fx),
            HealDone::RunChecked { wanted, result } => self.run_checked(wanted, result, now, fx),
            HealDone::RunLookedAt { wanted, result } => self.run_looked_at(wanted, result, now, fx),
            HealDone::RunPieceRead { asked, result } => self.run_piece_read(asked, result, now, fx),
            HealDone::RunPartsSwept(result) => self.run_parts_swept(result, fx),
            HealDone::Mended { checksums, result } => self.mended(checksums, result, now, fx),
        }
    }
}
