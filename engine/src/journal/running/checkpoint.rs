//! The journal's part in taking the checkpoint where a segment ends: in steps, between which the shard has its turn.

use super::Journal;
use crate::clock::Now;
use crate::ids::Index;
use crate::journal::effects::{Done, Effects, JournalDone};
use crate::journal::log::segment::Sealing;
use std::rc::Rc;

impl Journal {
    /// At a segment's last entry every replica forgets the same producers and takes the same checkpoint. Called when the
    /// entry behind it, `index`, is committed, and so it is certain that the segment ends there. False while it is
    /// not taken yet: until then nothing is folded.
    pub(super) fn is_checkpoint_taken_before(&mut self, index: Index, fx: &mut Effects) -> bool {
        let is_due =
            |sealing: &Sealing, last: Index| last.next() == index && matches!(sealing, Sealing::Waiting);
        let Some(segment) =
            self.log.segments.rolled.iter_mut().find(|segment| is_due(&segment.sealing, segment.last))
        else {
            return true;
        };
        if self.ledger.taking_rests {
            return false;
        }
        let state = &mut self.ledger.state;
        assert_eq!(state.fold.applied, segment.last, "a checkpoint is of all that the segment has");
        let mut taking = self.ledger.taking.take().unwrap_or_else(|| state.begin_checkpoint());
        if taking.step(&mut state.fold) {
            segment.sealing = Sealing::Checkpoint(Rc::new(state.end_checkpoint(taking)));
            return true;
        }
        self.ledger.taking = Some(taking);
        self.ledger.taking_rests = true;
        let (journal, io) = (self.id, self.context.io.clone());
        fx.start(async move {
            // Whatever comes of resting, the next step is due.
            let _ = io.rest().await;
            Done::of(journal, JournalDone::CheckpointGoesOn)
        });
        false
    }

    pub(super) fn checkpoint_goes_on(&mut self, now: Now, fx: &mut Effects) {
        assert!(self.ledger.taking.is_some(), "it rested between two steps");
        self.ledger.taking_rests = false;
        self.pump(now, fx);
    }
}
