//! Runs over the entries of everything that was pointed at, in order, and tells the good ones from those that are
//! not as they were written.

use super::journal::{Journal, Segment};
use super::names::known_commit;
use super::progress::Progress;
use super::scan::{Entry, Scanner, Step};
use super::source::Source;
use super::trouble::{Trouble, complain, exit};
use engine::disk::BLOCK;
use engine::entry::layout::ENTRY_MAGIC;
use engine::entry::reader::check_body_pieces;
use engine::ids::Index;
use std::cell::Cell;
use std::ops::ControlFlow;

/// Calls `visit` for each entry whose head is good; `whole` reads bodies too, and marks those that are bad. What is
/// no entry is passed over with a line on stderr. `Break` ends the run. Gives the exit code that all of it comes to.
pub fn entries(
    source: &Source,
    whole: bool,
    progress: &Progress,
    mut visit: impl FnMut(&Journal, &Segment, &Entry<'_>) -> Result<ControlFlow<()>, Trouble>,
) -> Result<u8, Trouble> {
    let mut code = exit::CLEAN;
    for journal in &source.journals {
        let mut walk = Walk::new(source, journal, whole);
        for (at, segment) in journal.segments.iter().enumerate() {
            let mut done = 0;
            walk.next_base = journal.segments.get(at + 1).map(|next| next.base);
            let flow = walk.segment(segment, &mut |segment, entry| {
                let end = entry.position + entry.header().entry_bytes() as u64;
                progress.advance(end - done);
                done = end;
                visit(journal, segment, entry)
            })?;
            if flow.is_break() {
                return Ok(code.max(walk.code));
            }
            progress.advance(segment.file_bytes.saturating_sub(done));
        }
        walk.end();
        code = code.max(walk.code);
    }
    Ok(code)
}

/// The way through one journal.
pub struct Walk<'a> {
    source: &'a Source,
    journal: &'a Journal,
    whole: bool,
    /// Where the next segment begins.
    next_base: Option<Index>,
    /// The last entry that was met.
    last: Index,
    /// The highest commit that entries met so far know.
    commit: Index,
    /// Up to here everything was durable; found out when it is needed.
    bound: Cell<Option<Index>>,
    pub code: u8,
}

impl<'a> Walk<'a> {
    pub fn new(source: &'a Source, journal: &'a Journal, whole: bool) -> Self {
        let first = journal.segments.first().map_or(Index::NONE, |segment| Index(segment.base.0 - 1));
        Self {
            source,
            journal,
            whole,
            next_base: None,
            last: first,
            commit: Index::NONE,
            bound: Cell::new(None),
            code: exit::CLEAN,
        }
    }

    /// Goes through one segment.
    pub fn segment(
        &mut self,
        segment: &Segment,
        visit: &mut impl FnMut(&Segment, &Entry<'_>) -> Result<ControlFlow<()>, Trouble>,
    ) -> Result<ControlFlow<()>, Trouble> {
        let Some(bytes) = segment.open()? else { return Ok(ControlFlow::Continue(())) };
        // A live broker deletes and rolls segments behind the look.
        if self.last.next() < segment.base && self.code < exit::DAMAGE && !self.source.is_live {
            let text =
                format!("{segment}: begins at entry {}, the one before is {}", segment.base, self.last);
            self.note(exit::DAMAGE, &text);
        }
        self.last = self.last.max(Index(segment.base.0 - 1));
        let mut scanner = Scanner::new(&bytes, self.journal.identity, segment.base, self.whole);
        while let Some(step) = scanner.step() {
            match step {
                Step::Entry(mut entry) => {
                    if self.whole && !self.judge(segment, &mut entry)? {
                        break;
                    }
                    self.last = entry.header().index();
                    self.commit = self.commit.max(Index(entry.header().commit.get()));
                    if visit(segment, &entry)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Step::Gap { from, to, fault } => {
                    let text = format!("{segment}: bytes {from} to {to} are no entry: {fault}");
                    self.no_entry(segment, from, &text)?;
                }
                // What a raft cut left in a segment that was rolled since.
                Step::Tail { .. } if !segment.is_sealed() && self.next_base == Some(self.last.next()) => {}
                Step::Tail { from, to, fault } => {
                    let text = format!("{segment}: bytes {from} to {to}, the last, are no entry: {fault}");
                    self.no_entry(segment, from, &text)?;
                }
                Step::Unreadable(text) => return Err(Trouble::unreadable(&segment.path, text)),
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Notes that no entry begins at `position`, where one should. The bound is found out before the second look: what
    /// it covers is there by then, also where a live broker wrote it behind the first.
    fn no_entry(&mut self, segment: &Segment, position: u64, text: &str) -> Result<(), Trouble> {
        let code = self.code_of(segment, self.last.next())?;
        if !self.is_written_now(segment, position)? {
            self.note(code, text);
        }
        Ok(())
    }

    /// Whether an entry begins here by now, which a live broker wrote behind the look.
    fn is_written_now(&self, segment: &Segment, position: u64) -> Result<bool, Trouble> {
        if !self.source.is_live || segment.is_sealed() {
            return Ok(false);
        }
        let Some(bytes) = segment.open()? else { return Ok(true) };
        let block = bytes.read(position, BLOCK);
        let block = block.map_err(|error| Trouble::unreadable(&segment.path, error))?;
        Ok(block.starts_with(&ENTRY_MAGIC))
    }

    /// Marks an entry whose body is not what its head says; false where it is being written just now.
    fn judge(&mut self, segment: &Segment, entry: &mut Entry<'_>) -> Result<bool, Trouble> {
        let fault = match check_body_pieces(entry.head(), [&*entry.bytes]) {
            Ok(()) => return Ok(true),
            Err(fault) => fault,
        };
        let index = entry.header().index();
        let code = self.code_of(segment, index)?;
        if self.source.is_live {
            // It may have been half written; by now the bound says whether it has to be whole.
            let again = segment.open()?.map(|bytes| {
                let bytes = bytes.read(entry.position, entry.header().entry_bytes())?;
                Ok::<_, std::io::Error>(bytes.into_owned())
            });
            let again = again.transpose().map_err(|error| Trouble::unreadable(&segment.path, error))?;
            if let Some(again) = again.filter(|again| check_body_pieces(entry.head(), [&**again]).is_ok()) {
                entry.bytes = again.into();
                return Ok(true);
            }
            if code == exit::CLEAN {
                return Ok(false);
            }
        }
        let text = format!(
            "{segment}: entry {index} is not as it was written: byte {}: {}",
            fault.position, fault.kind
        );
        self.note(code, &text);
        entry.is_damaged = true;
        Ok(true)
    }

    /// What bad bytes from this entry on come to: damage below what is known to have been durable; above it a tail
    /// that was torn, or is being written.
    fn code_of(&self, segment: &Segment, index: Index) -> Result<u8, Trouble> {
        let is_durable = segment.is_sealed() || index <= self.bound()?;
        Ok(match (is_durable, self.source.is_live) {
            (true, _) => exit::DAMAGE,
            (false, true) => exit::CLEAN,
            // A segment alone says nothing of bounds.
            (false, false) if self.journal.dir.is_none() => exit::DAMAGE,
            (false, false) => exit::TORN,
        })
    }

    fn bound(&self) -> Result<Index, Trouble> {
        if let Some(bound) = self.bound.get() {
            return Ok(bound);
        }
        let bound = known_commit(self.journal)?.max(self.durable());
        self.bound.set(Some(bound));
        Ok(bound)
    }

    /// What the files beside the segments say was durable.
    fn durable(&self) -> Index {
        let state = self.journal.hard_state.and_then(|read| read.newest).unwrap_or_default();
        let checkpoint = self.journal.checkpoints.last().map_or(Index::NONE, |(last, _)| *last);
        state.commit.max(state.synced.index).max(checkpoint)
    }

    fn note(&mut self, code: u8, text: &str) {
        if code > exit::CLEAN {
            complain(text);
        }
        self.code = self.code.max(code);
    }

    /// Says so when the end is missing.
    fn end(&mut self) {
        let bound = self.durable().max(self.commit);
        if self.journal.dir.is_some() && self.last < bound && self.code < exit::DAMAGE && !self.source.is_live
        {
            let (last, id) = (self.last, self.journal.id());
            let text = format!("journal {id} ends at entry {last}, but entries up to {bound} were durable");
            self.note(exit::DAMAGE, &text);
        }
    }
}
