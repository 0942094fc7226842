//! The journal's part in deleting its front.

use super::Journal;
use crate::clock::Now;
use crate::disk::DiskError;
use crate::ids::Index;
use crate::journal::effects::{Done, Effects};
use crate::journal::log::covering::{self, COVERING, Covering};
use crate::journal::log::deleting::{Front, Why, may_drop};
use crate::journal::log::done::LogDone;
use crate::journal::log::procedures;
use crate::journal::log::segment::Next;
use crate::journal::phase::Phase;
use crate::journal::read::container::Sealed;
use crate::port::{Event, Fatal, Output};
use core::time::Duration;
use std::rc::Rc;

/// Where the checkpoints did not reach they are read again after this.
const PROVE_AGAIN: Duration = Duration::from_secs(5);

impl Journal {
    /// Deletes dead segments from the front that two durable checkpoints cover and nobody reads.
    pub(super) fn delete_dead(&mut self, now: Now, fx: &mut Effects) {
        let deleting = &self.upkeep.deleting;
        let is_busy = deleting.is_under_way || deleting.writes_covering;
        if is_busy || !self.is_front_dead() || now.mono_ns < deleting.again_ns {
            return;
        }
        match self.front_may_go() {
            // The next segment that is sealed brings another checkpoint; on a full disk none is.
            Some(Err(Why::NotCovered)) if self.is_full() => {}
            Some(Ok(())) => {}
            Some(Err(_)) | None => return,
        }
        self.upkeep.deleting.is_under_way = true;
        let (context, identity, journal) = (self.context.clone(), self.meta.identity(), self.id);
        let checkpoints = self.upkeep.checkpoints.clone();
        fx.start(async move {
            Done::of(journal, LogDone::Covered(covering::prove(&context, &identity, &checkpoints).await))
        });
    }

    /// Nothing in the first sealed segment is alive, or a run has it that is read.
    fn is_front_dead(&self) -> bool {
        let front = self.log.segments.sealed.front();
        self.catalog.is_front_dead() || front.is_some_and(|front| self.is_rewritten(front))
    }

    /// A run is read in its place.
    fn is_rewritten(&self, sealed: &Sealed) -> bool {
        sealed.last <= self.catalog.rewritten()
    }

    /// A reader holds the segment.
    pub(super) fn is_read(&self, sealed: &Rc<Sealed>) -> bool {
        sealed.is_read(if self.is_rewritten(sealed) { 1 } else { 2 })
    }

    /// What is known of the first sealed segment, of which checkpoints cover all up to `covered`.
    fn front(&self, covered: Index) -> Option<Front> {
        let sealed = self.log.segments.sealed.front()?;
        Some(Front {
            last: sealed.last,
            is_dead: self.is_front_dead(),
            is_read: self.is_read(sealed),
            held_by_all: self.held_by_all(),
            is_repaired: self.heal.repair.is_writing(),
            covered,
        })
    }

    /// Whether the first sealed segment may be deleted, as far as checkpoints are believed that were not read
    /// again; none where nothing is sealed.
    pub fn front_may_go(&self) -> Option<Result<(), Why>> {
        let bad = &self.upkeep.deleting.bad;
        let good = self.upkeep.checkpoints.iter().rev().filter(|last| !bad.contains(*last));
        let covered = good.copied().nth(COVERING - 1).unwrap_or(Index::NONE);
        self.front(covered).map(|front| may_drop(&front))
    }

    /// Checkpoints were read: up to where they cover segments go.
    pub fn covered(&mut self, covering: &Covering, now: Now, fx: &mut Effects) {
        self.upkeep.deleting.is_under_way = false;
        for bad in &covering.bad {
            if self.upkeep.deleting.bad.insert(*bad) {
                let event = Event::CheckpointBad { journal: self.id, index: *bad };
                fx.out.push(Output::Event(event));
            }
        }
        let covered = covering.covered();
        let mut segments = Vec::new();
        while self.front(covered).is_some_and(|front| may_drop(&front).is_ok()) {
            let segment = self.log.segments.sealed.pop_front().expect("there is a front");
            if !self.is_rewritten(&segment) {
                assert!(Rc::ptr_eq(&segment, &self.catalog.pop_front()), "log and catalog begin together");
            }
            segments.push(segment);
        }
        if segments.is_empty() {
            self.upkeep.deleting.again_ns = now.plus(PROVE_AGAIN);
            return self.write_covering(covered, fx);
        }
        self.delete(segments, fx);
    }

    fn delete(&mut self, segments: Vec<Rc<Sealed>>, fx: &mut Effects) {
        let journal = self.id;
        for segment in &segments {
            let (base, bytes) = (segment.base, segment.bytes);
            fx.out.push(Output::Event(Event::SegmentDeleted { journal, base, bytes }));
        }
        let first = self.log.segments.first();
        self.quorum.replica.compact(first);
        self.context.entries.forget_below(first);
        self.quorum.replica.set_hot(self.context.entries.recent_first(self.log.cursor.next));
        // The one at the log's start stands for what is gone, should a replica lack that.
        let below = self.upkeep.checkpoints.iter().take_while(|last| last.next() < first).count();
        let spare = self.upkeep.checkpoints.len().saturating_sub(COVERING);
        let checkpoints: Vec<Index> = self.upkeep.checkpoints.drain(..below.min(spare)).collect();
        self.upkeep.deleting.bad.retain(|last| !checkpoints.contains(last));
        self.upkeep.deleting.is_under_way = true;
        let context = self.context.clone();
        fx.start(async move {
            Done::of(journal, LogDone::Deleted(procedures::delete(context, segments, checkpoints).await))
        });
    }

    /// On a full disk no segment is sealed any more, and the front must go all the same: a checkpoint of
    /// now is the second one that covers it.
    fn write_covering(&mut self, covered: Index, fx: &mut Effects) {
        let front = self.log.segments.sealed.front().map(|front| front.last);
        let is_short = self.is_front_dead() && front.is_some_and(|last| covered < last);
        let is_whole = self.ledger.state.fold.applied <= self.log.appender.durable().index;
        let may = self.phase == Phase::Running && self.is_full() && is_whole && self.may_write_checkpoint();
        if is_short && may {
            self.upkeep.deleting.writes_covering = true;
            self.write_local_checkpoint(fx);
        }
    }

    /// A checkpoint of now was written, or there was no room for it.
    pub(super) fn covering_written(&mut self, written: bool) {
        if core::mem::take(&mut self.upkeep.deleting.writes_covering) && written {
            self.upkeep.deleting.again_ns = 0;
        }
    }

    pub fn deleted(&mut self, result: Result<(), DiskError>, now: Now, fx: &mut Effects) {
        self.upkeep.deleting.is_under_way = false;
        if let Err(error) = result {
            return fx.out.push(Output::Fatal(Fatal::Write(error)));
        }
        if let Next::Full { retry_ns } = &mut self.log.segments.next {
            *retry_ns = now.mono_ns;
        }
        self.retry_full(now, fx);
    }

    /// Checkpoints that proved bad and are still there.
    pub fn bad_checkpoints(&self) -> u64 {
        self.upkeep.deleting.bad.len() as u64
    }
}
