//! The journal's part in a cut of its tail.

use super::Journal;
use crate::clock::Now;
use crate::disk::{DiskError, DiskErrorKind};
use crate::entry::reader::Link;
use crate::ids::{Index, Term};
use crate::journal::effects::{Done, Effects};
use crate::journal::log::CutStep;
use crate::journal::log::cut::put_aside;
use crate::journal::log::done::LogDone;
use crate::port::{Event, Fatal, Output};

impl Journal {
    /// Ends the log before `from`; what replaces it is appended next.
    pub(super) fn cut(&mut self, from: Index, fx: &mut Effects) {
        let last = Index(from.0 - 1);
        let checksum = self.ledger.cut(from);
        let term = self.quorum.replica.term_at(last).unwrap_or(Term(0));
        let was_last = self.log.last();
        self.context.entries.cut(from);
        self.log.cut(Link { index: last, term, checksum });
        self.quorum.works.cut(last);
        fx.out.push(Output::Event(Event::LogCut { journal: self.id, from, last: was_last }));
    }

    /// Takes the next step of a cut, if it is due.
    pub(super) fn go_on_after_cut(&mut self, now: Now, fx: &mut Effects) {
        let (stale, part) = match self.log.go_on_after_cut(now.mono_ns) {
            CutStep::Wait | CutStep::Done => return,
            CutStep::LowerBound => return self.write_hard_state(fx),
            CutStep::Remove(stale, part) => (stale, part),
        };
        let (context, journal, segment_bytes) = (self.context.clone(), self.id, self.log.limits.bytes);
        let term = self.log.votes.durable().term;
        fx.start(async move {
            let result = put_aside(&context, &stale, part, segment_bytes, term).await;
            Done::of(journal, LogDone::StaleRemoved(result))
        });
    }

    /// What was void is gone.
    pub fn stale_removed(&mut self, result: Result<(), DiskError>, now: Now, fx: &mut Effects) {
        match result {
            // Another took the space that the wiped part had.
            Err(error) if error.kind == DiskErrorKind::NoSpace => self.upkeep.active_short = true,
            Err(error) => return fx.out.push(Output::Fatal(Fatal::Write(error))),
            Ok(()) => {}
        }
        self.log.stale_removed();
        self.go_on_after_cut(now, fx);
    }
}
