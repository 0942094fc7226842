//! Rewriting within a journal: which runs are here, the pass that is under way, and what became of it.
//!
//! ```text
//! pass ─▶ file durable ─▶ RunMade proposed ─▶ folded ─▶ on a majority ─▶ RunSettled ─▶ folded ─▶ catalog switched ─▶
//!                                                                              files of its inputs go
//! ```
//! A run is named by the journal from its first entry on. A file that is named by none and never can be is removed.

pub mod done;
pub mod gate;
pub mod on_disk;
pub mod pass;
pub mod plan;
pub mod survey;

use crate::ids::{FileId, Index, RunId, Term};
use crate::journal::read::container::Container;
use crate::journal::read::run::OpenRun;
use crate::partition::runs::Runs;
use crate::rewrite::PassCounts;
use crate::rng::Rng;
use core::cell::Cell;
use gate::{Gate, PassWork};
use on_disk::RunsOnDisk;
use pass::{Attempt, NotDue};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The pass of a journal.
#[derive(Default)]
pub enum Stage {
    #[default]
    Idle,
    /// A procedure works at it.
    Runs,
    /// It waits for bytes that it may spend.
    Waits(PassWork<Attempt>),
    /// Its run was proposed, and the entry is not folded.
    Proposed(RunId),
}

/// Figures since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct RewriteCounts {
    pub passes: u64,
    pub failed: u64,
    /// Bytes of the files that went in, and that came out.
    pub input_bytes: u64,
    pub output_bytes: u64,
    /// Of those that went in: segments alone.
    pub new_bytes: u64,
    /// When the last pass ended, milliseconds since 1970.
    pub last_ms: i64,
    pub records: PassCounts,
}

/// What a journal knows of its runs.
pub struct Rewriting {
    /// Files of runs that are here; none where it cannot be used.
    here: BTreeMap<RunId, Option<Rc<OpenRun>>>,
    /// What is wrong with those that are bad, or not there.
    bad: BTreeMap<RunId, String>,
    /// Of those the first that was not told yet.
    to_tell: Vec<RunId>,
    pub(in crate::journal) stage: Stage,
    pub(in crate::journal) gate: Gate,
    /// The term that the last run was numbered in, and its number there.
    numbered: (Term, u32),
    rng: Rng,
    /// What was decided of the run that waits, and proposed.
    pub(in crate::journal) decided: Option<(RunId, Term)>,
    pub(in crate::journal) is_removing: bool,
    /// Not before then is looked again.
    pub(in crate::journal) again_ns: u64,
    /// The last segment that was there when it was looked.
    pub(in crate::journal) looked_at: Index,
    /// The next chunk that the scrub reads.
    pub(in crate::journal) scrubbed_to: Rc<Cell<u32>>,
    /// What could be compacted, as it was found last.
    pub looked: NotDue,
    pub counts: RewriteCounts,
}

/// The term that a run was made in.
pub fn term_of(run: RunId) -> Term {
    Term(run.0 >> 32)
}

impl Rewriting {
    pub fn new(found: RunsOnDisk, seed: u64) -> Self {
        let to_tell = found.bad.keys().copied().collect();
        Self {
            here: found.here,
            bad: found.bad,
            to_tell,
            stage: Stage::Idle,
            gate: Gate::default(),
            numbered: (Term(0), 0),
            rng: Rng::new(seed),
            decided: None,
            is_removing: false,
            again_ns: 0,
            looked_at: Index::NONE,
            scrubbed_to: Rc::default(),
            looked: NotDue::default(),
            counts: RewriteCounts::default(),
        }
    }

    /// A run's file that is here and whole.
    pub fn run(&self, run: RunId) -> Option<&Rc<OpenRun>> {
        self.here.get(&run)?.as_ref().filter(|_| !self.bad.contains_key(&run))
    }

    /// A run is durable here under its name.
    pub fn note_here(&mut self, run: Rc<OpenRun>) {
        self.bad.remove(&run.id);
        self.here.insert(run.id, Some(run));
    }

    /// Something is wrong with a run; false when that is known.
    pub fn note_bad(&mut self, run: RunId, why: String) -> bool {
        let is_new = !self.bad.contains_key(&run);
        if is_new {
            self.bad.insert(run, why);
            self.to_tell.push(run);
        }
        is_new
    }

    /// Whether a run whose file is open was found to be bad.
    pub fn is_bad_run(&self, run: RunId) -> bool {
        self.bad.contains_key(&run) && self.here.get(&run).is_some_and(Option::is_some)
    }

    /// Nothing of it is bad any more; gives the file.
    pub fn mended(&mut self, run: RunId) -> Option<FileId> {
        self.bad.remove(&run);
        self.to_tell.retain(|bad| *bad != run);
        self.here.get(&run)?.as_ref().map(|run| run.file)
    }

    /// Those that nobody was told of yet.
    pub fn take_to_tell(&mut self) -> Vec<(RunId, String)> {
        let told = core::mem::take(&mut self.to_tell);
        told.into_iter().filter_map(|run| Some((run, self.bad.get(&run)?.clone()))).collect()
    }

    pub fn is_bad(&self, container: &Container) -> bool {
        container.run().is_some_and(|run| self.bad.contains_key(&run.id))
    }

    pub fn bad_count(&self) -> usize {
        self.bad.len()
    }

    /// The id of the next run, of a leader of this term; none when its terms do not fit an id any more.
    pub fn number(&mut self, term: Term) -> Option<RunId> {
        u32::try_from(term.0).ok()?;
        let (numbered, count) = self.numbered;
        self.numbered = (term, if numbered == term { count + 1 } else { 1 });
        let run = RunId(term.0 << 32 | u64::from(self.numbered.1));
        assert!(!self.here.contains_key(&run), "{run:?} is made again");
        Some(run)
    }

    pub fn secret(&mut self) -> u128 {
        u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64())
    }

    /// Whether a procedure works at a pass, or could.
    pub fn is_under_way(&self) -> bool {
        matches!(self.stage, Stage::Runs | Stage::Waits(_)) || self.is_removing
    }

    /// Takes the runs whose files may go: nothing reads them, and no entry names them or ever will.
    ///
    /// A run is named by an entry of the term that it was made in. Once an entry of a later term is folded, all of that
    /// term that ever count are; and runs are numbered in the order in which they take each other's place.
    pub fn take_unnamed(
        &mut self,
        runs: &Runs,
        read: Option<RunId>,
        folded: Term,
    ) -> Vec<(RunId, Option<Rc<OpenRun>>)> {
        let proposed = match self.stage {
            Stage::Proposed(run) => Some(run),
            _ => None,
        };
        let newest = runs.settled().last().map(|made| made.run);
        let may_go = |run: RunId, file: &Option<Rc<OpenRun>>| {
            let is_over = term_of(run) < folded || newest.is_some_and(|newest| run < newest);
            let is_held = file.as_ref().is_some_and(|file| Rc::strong_count(file) > 1);
            is_over && !runs.names(run) && read != Some(run) && proposed != Some(run) && !is_held
        };
        let gone: Vec<RunId> =
            self.here.iter().filter(|(run, file)| may_go(**run, file)).map(|(run, _)| *run).collect();
        gone.into_iter().map(|run| (run, self.here.remove(&run).expect("listed above"))).collect()
    }

    /// All files of runs that are open.
    pub fn files(&self) -> impl Iterator<Item = FileId> {
        self.here.values().flatten().map(|run| run.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewriting(here: &[u64]) -> Rewriting {
        let here = here.iter().map(|run| (RunId(*run), None)).collect();
        Rewriting::new(RunsOnDisk { here, bad: BTreeMap::new() }, 1)
    }

    #[test]
    fn a_run_that_no_entry_can_name_any_more_goes_and_no_other() {
        let id = |term: u64, number: u64| term << 32 | number;
        let mut rewriting = rewriting(&[id(3, 1), id(3, 2), id(4, 1), id(5, 1)]);
        let mut gone = |folded| {
            let gone = rewriting.take_unnamed(&Runs::default(), Some(RunId(id(4, 1))), Term(folded));
            gone.into_iter().map(|(run, _)| run.0).collect::<Vec<_>>()
        };
        assert_eq!(gone(3), [], "an entry of term 3 may still come");
        assert_eq!(gone(4), [id(3, 1), id(3, 2)]);
        assert_eq!(gone(6), [id(5, 1)], "4 is read");
    }

    #[test]
    fn ids_ascend_within_a_term_and_from_term_to_term() {
        let mut rewriting = rewriting(&[]);
        let ids = [7, 7, 8].map(|term| rewriting.number(Term(term)).expect("a low term").0);
        assert_eq!(ids, [7 << 32 | 1, 7 << 32 | 2, 8 << 32 | 1]);
        assert_eq!(rewriting.number(Term(1 << 32)), None);
        assert_eq!(term_of(RunId(ids[1])), Term(7));
    }
}
