//! The journal's part in a cut of its tail.

use super::Journal;
use crate::clock::Now;
use crate::disk::{DiskError, DiskErrorKind};
use crate::ids::{Index, Term};
use crate::journal::effects::{Done, Effects};
use crate::journal::format::hard_state::SyncedBound;
use crate::journal::log::cursor::Cursor;
use crate::journal::log::cut::{Wiped, put_aside};
use crate::journal::log::done::LogDone;
use crate::port::{Event, Fatal, Output};

impl Journal {
    /// Ends the log before `from`; what replaces it is appended next.
    pub(super) fn cut(&mut self, from: Index, fx: &mut Effects) {
        let applied = self.ledger.state.fold.applied;
        assert!(from > applied, "entry {from} is cut, and {applied} is committed");
        assert!(self.ledger.open.is_none() && self.ledger.tail.is_empty(), "a leader's log is never cut");
        let last = Index(from.0 - 1);
        let at = (from.0 - applied.0 - 1) as usize;
        let head = self.ledger.heads.get(at).and_then(|head| head.known());
        let (header, _) = head.expect("a replica that lost a head takes no messages");
        let checksum = header.previous_checksum.get();
        let term = self.quorum.replica.term_at(last).unwrap_or(Term(0));
        let was_last = self.log.last();
        self.ledger.heads.truncate(at);
        self.ledger.not_understood = self.ledger.not_understood.filter(|index| *index < from);
        self.context.entries.cut(from);
        let ends: Vec<_> = self.log.segments.ends();
        let stale = self.log.segments.cut(from);
        let totals = self.log.segments.active.index.totals();
        self.log.cursor = Cursor {
            next: from,
            segment_base: self.log.segments.active.base,
            position: totals.data_bytes,
            batches: totals.batches as u32,
            previous_checksum: checksum,
            previous_term: term,
        };
        for work in &mut self.quorum.works {
            work.last = work.last.map(|entry| entry.min(last));
            work.hold.retain(|outgoing| !outgoing.acknowledges_beyond(last));
        }
        let files: Vec<_> = stale.iter().map(|segment| segment.file).collect();
        let bound = SyncedBound { index: last, term, checksum };
        self.log.appender.cut(bound, self.log.segments.active.file, &files);
        let (base, file) = (self.log.segments.active.base, self.log.segments.active.file);
        let to = ends.iter().find(|(of, _)| *of == base).map_or(0, |(_, end)| *end);
        let part = Wiped { base, file, from: self.log.cursor.position, to };
        self.log.pending_cut.get_or_insert_default().add(stale, part);
        fx.out.push(Output::Event(Event::LogCut { journal: self.id, from, last: was_last }));
    }

    /// Takes the next step of a cut, if it is due.
    pub(super) fn go_on_after_cut(&mut self, now: Now, fx: &mut Effects) {
        let Some(cut) = &mut self.log.pending_cut else { return };
        if cut.removing || !self.log.appender.is_drained() || self.log.votes.is_writing() {
            return;
        }
        if self.log.votes.durable().synced.index > self.log.appender.durable().index {
            return self.write_hard_state(fx);
        }
        if !cut.stale.is_empty() || cut.part.is_some() {
            cut.removing = true;
            let (stale, part) = (core::mem::take(&mut cut.stale), cut.part.take());
            let (context, journal, segment_bytes) = (self.context.clone(), self.id, self.limits.bytes);
            let term = self.log.votes.durable().term;
            return fx.start(async move {
                let result = put_aside(&context, &stale, part, segment_bytes, term).await;
                Done::of(journal, LogDone::StaleRemoved(result))
            });
        }
        self.log.pending_cut = None;
        self.log.appender.go_on(now.mono_ns);
    }

    /// What was void is gone.
    pub fn stale_removed(&mut self, result: Result<(), DiskError>, now: Now, fx: &mut Effects) {
        match result {
            // Another took the space that the wiped part had.
            Err(error) if error.kind == DiskErrorKind::NoSpace => self.upkeep.active_short = true,
            Err(error) => return fx.out.push(Output::Fatal(Fatal::Write(error))),
            Ok(()) => {}
        }
        self.log.pending_cut.as_mut().expect("a cut is pending").removing = false;
        self.go_on_after_cut(now, fx);
    }
}
