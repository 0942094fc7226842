//! Raft cuts a tail that never was committed: the log ends earlier, in memory at once and on disk
//! behind a barrier.
//!
//! ```text
//! cut ─▶ all that is under way ends ─▶ synced bound lowered, durable ─▶ void segments removed ─▶ writes go on
//! ```
//! Two writes to one place are not ordered by the disk, hence the wait. The bound goes first: a
//! crash behind it finds the old tail or a torn one, both above every bound; before it, the bound
//! still names an entry that is there.

use super::cursor::Cursor;
use super::effects::{Done, Effects};
use super::hard_state::SyncedBound;
use super::procedures;
use super::running::Journal;
use crate::clock::Now;
use crate::disk::DiskError;
use crate::folder;
use crate::ids::{Index, Term};
use crate::shard::{Event, Fatal, Output};

/// A cut that is not yet carried out on disk.
#[derive(Debug, Default)]
pub struct PendingCut {
    /// Names of segments that are void, under either of the names they may have.
    stale: Vec<[String; 2]>,
    removing: bool,
}

impl Journal {
    /// Ends the log before `from`; what replaces it is appended next.
    pub(super) fn cut(&mut self, from: Index, fx: &mut Effects) {
        let applied = self.state.fold.applied;
        assert!(from > applied, "entry {from} is cut, and {applied} is committed");
        assert!(self.open.is_none() && self.tail.is_empty(), "a leader's log is never cut");
        let last = Index(from.0 - 1);
        let at = (from.0 - applied.0 - 1) as usize;
        let head = self.heads.get(at).and_then(|head| head.known());
        let (header, _) = head.expect("a replica that lost a head takes no messages");
        let checksum = header.previous_checksum.get();
        let term = self.replica.term_at(last).unwrap_or(Term(0));
        let was_last = Index(self.cursor.next.0 - 1);
        self.heads.truncate(at);
        self.not_understood = self.not_understood.filter(|index| *index < from);
        self.cache.cut(from);
        let stale = self.segments.cut(from);
        let totals = self.segments.active.index.totals();
        self.cursor = Cursor {
            next: from,
            segment_base: self.segments.active.base,
            position: totals.data_bytes,
            batches: totals.batches as u32,
            previous_checksum: checksum,
            previous_term: term,
        };
        for work in &mut self.works {
            work.last = work.last.map(|entry| entry.min(last));
            work.hold.retain(|outgoing| !outgoing.acknowledges_beyond(last));
        }
        let files: Vec<_> = stale.iter().map(|(_, file)| *file).collect();
        let bound = SyncedBound { index: last, term, checksum };
        self.appender.cut(bound, self.segments.active.file, &files);
        let names = stale.iter().map(|(base, file)| {
            [folder::segment_path(self.id, *base), procedures::prepared_name(self.id, *file)]
        });
        self.pending_cut.get_or_insert_default().stale.extend(names);
        fx.out.push(Output::Event(Event::LogCut { journal: self.id, from, last: was_last }));
    }

    /// Takes the next step of a cut, if it is due.
    pub(super) fn go_on_after_cut(&mut self, now: Now, fx: &mut Effects) {
        let Some(cut) = &mut self.pending_cut else { return };
        if cut.removing || !self.appender.is_drained() || self.upkeep.hard_state_writing.is_some() {
            return;
        }
        if self.hard_state.synced.index > self.appender.durable().index {
            return self.write_hard_state(fx);
        }
        if !cut.stale.is_empty() {
            cut.removing = true;
            let stale = core::mem::take(&mut cut.stale);
            let (io, journal) = (self.context.io.clone(), self.id);
            return fx.start(async move {
                Done::StaleRemoved { journal, result: procedures::remove_stale(&io, journal, stale).await }
            });
        }
        self.pending_cut = None;
        self.appender.go_on(now.mono_ns);
    }

    /// The void segments are gone.
    pub fn stale_removed(&mut self, result: Result<(), DiskError>, now: Now, fx: &mut Effects) {
        if let Err(error) = result {
            return fx.out.push(Output::Fatal(Fatal::Write(error)));
        }
        self.pending_cut.as_mut().expect("a cut is pending").removing = false;
        self.go_on_after_cut(now, fx);
    }
}
