//! Which runs this replica lacks, and how it gets their files from the others: one run at a time, piece by piece.
//!
//! ```text
//! wanted ─▶ what is here of it? ─▶ ask ─▶ piece ─▶ write ─▶ ask … ─▶ check ─▶ it is here
//!             (a broken link, a     │  no answer, or none there: the next node      │
//!              restart: from there) └── nobody has it: told to whoever leads        └─ bad: those pieces anew
//! ```
//! Only what is decided is here; what it says is carried out by the journal, which answers each step before the next.
//! A run that is here and damaged goes the same way, in place: it is looked at, and what is bad of it is fetched and
//! written over until nothing is.
//!
//! Invariants:
//! - One run is fetched at a time, and one step of that is under way.
//! - `at` never goes back but for a piece that proved bad.

use crate::clock::Now;
use crate::ids::NodeId;
use crate::peer::run::{RUN_PIECE_BYTES, RunName};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A piece that did not come in this time is asked for again: links lose what is under way.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// After so many questions without an answer another node is asked.
const QUESTIONS_MAX: u32 = 3;

/// A run that nobody had is asked for again after this.
const NOWHERE_AGAIN: Duration = Duration::from_secs(2);

/// One that nobody gave for so long is told to be nowhere: whoever has it was asked more than once.
const NOWHERE_AFTER: Duration = Duration::from_secs(10);

/// A full disk is tried again after this, and a damaged run that nobody had.
const REST: Duration = Duration::from_secs(1);

/// A run to be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedRun {
    pub name: RunName,
    /// Its file's length, a whole number of blocks.
    pub bytes: u64,
}

/// What is to be done next; each is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchStep {
    /// How much of its file is durable here, from before? By [`RunFetch::resumed`].
    Resume(WantedRun),
    /// To this node; by a piece, by "absent", or by silence.
    Ask { node: NodeId, name: RunName, position: u64 },
    /// All of it is written: prove it, and give it its name. By [`RunFetch::checked`].
    Check(WantedRun),
    /// It has its name: prove it. By [`RunFetch::checked`], too.
    CheckHere(WantedRun),
}

/// Where a piece that came is to be written; answered by [`RunFetch::written`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PiecePlace {
    pub name: RunName,
    pub position: u64,
    /// Into the file that is here, over what is damaged.
    pub mends: bool,
}

/// How a whole file was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunChecked {
    /// It is durable under its name.
    Good,
    /// Something at this position is not what it should be.
    Bad { position: u64 },
    /// No room is left on the disk.
    NoSpace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The journal does something for it.
    Busy,
    /// To be asked for when the pace allows.
    Ready,
    /// Asked, at that moment.
    Asked(u64),
    /// All is written.
    Written,
}

#[derive(Debug)]
struct Job {
    wanted: WantedRun,
    mends: bool,
    /// The piece that comes next, and what follows up to there.
    at: u64,
    end: u64,
    state: State,
    /// Asked last, and how often without an answer.
    node: Option<NodeId>,
    questions: u32,
    /// These said that they have it not, or nothing at all.
    passed: BTreeSet<NodeId>,
}

/// The fetching of one journal's runs.
#[derive(Debug, Default)]
pub struct RunFetch {
    wanted: BTreeMap<RunName, u64>,
    mends: VecDeque<WantedRun>,
    job: Option<Job>,
    /// Everybody who was asked said no, or nothing: since when, and when that was last.
    nowhere: BTreeMap<RunName, (u64, u64)>,
    /// Not before that moment anything is begun.
    rests_until_ns: u64,
    /// Since the start.
    pub counts: RunFetchCounts,
}

/// Figures since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunFetchCounts {
    pub bytes: u64,
    pub runs: u64,
    pub mended: u64,
    pub bad_pieces: u64,
}

impl RunFetch {
    /// The runs that are lacking now, all of them: what is not among them any more is let go, once
    /// nothing is under way for it.
    pub fn want(&mut self, wanted: impl IntoIterator<Item = WantedRun>) {
        self.wanted = wanted.into_iter().map(|wanted| (wanted.name, wanted.bytes)).collect();
        let all = &self.wanted;
        self.nowhere.retain(|name, _| all.contains_key(name));
        let is_void = |job: &mut Job| !job.mends && !all.contains_key(&job.wanted.name);
        // What is under way for it is answered first.
        self.job.take_if(|job| is_void(job) && job.state != State::Busy);
    }

    /// A run that is here is damaged.
    pub fn mend(&mut self, wanted: WantedRun) {
        let is_known = self.mends.contains(&wanted)
            || self.job.as_ref().is_some_and(|job| job.mends && job.wanted == wanted);
        if !is_known {
            self.mends.push_back(wanted);
        }
    }

    /// What is next, when nothing is under way. `may_ask`: the pace allows another piece.
    pub fn tick(&mut self, nodes: &[NodeId], may_ask: bool, now: Now) -> Option<FetchStep> {
        if self.job.is_none() {
            self.begin(now)?;
            return self
                .job
                .as_ref()
                .filter(|job| job.state == State::Busy)
                .map(|job| FetchStep::Resume(job.wanted));
        }
        let job = self.job.as_mut().expect("there is one");
        match job.state {
            State::Busy => None,
            State::Asked(at_ns) if now.mono_ns < at_ns + ASK_AGAIN.as_nanos() as u64 => None,
            State::Written => {
                job.state = State::Busy;
                Some(if job.mends { FetchStep::CheckHere(job.wanted) } else { FetchStep::Check(job.wanted) })
            }
            State::Ready | State::Asked(_) if may_ask => self.ask(nodes, now),
            State::Ready | State::Asked(_) => None,
        }
    }

    fn begin(&mut self, now: Now) -> Option<()> {
        if now.mono_ns < self.rests_until_ns {
            return None;
        }
        if let Some(wanted) = self.mends.pop_front() {
            self.job = Some(Job::new(wanted, true, 0..0, State::Written));
            return Some(());
        }
        let again_ns = NOWHERE_AGAIN.as_nanos() as u64;
        let is_due =
            |name: &RunName| self.nowhere.get(name).is_none_or(|(_, at_ns)| now.mono_ns >= at_ns + again_ns);
        let (name, bytes) = self.wanted.iter().find(|(name, _)| is_due(name))?;
        let wanted = WantedRun { name: *name, bytes: *bytes };
        self.job = Some(Job::new(wanted, false, 0..*bytes, State::Busy));
        Some(())
    }

    fn ask(&mut self, nodes: &[NodeId], now: Now) -> Option<FetchStep> {
        let job = self.job.as_mut().expect("somebody is to be asked for it");
        assert!(job.at < job.end && job.state != State::Busy, "nothing is to be asked for {job:?}");
        if let Some(silent) = job.node.filter(|_| job.questions >= QUESTIONS_MAX) {
            job.passed.insert(silent);
        }
        let may = |node: &&NodeId| !job.passed.contains(node);
        let Some(node) = job.node.filter(|node| may(&node)).or_else(|| nodes.iter().find(may).copied())
        else {
            self.give_up(now);
            return None;
        };
        job.questions = if job.node == Some(node) { job.questions + 1 } else { 1 };
        (job.node, job.state) = (Some(node), State::Asked(now.mono_ns));
        Some(FetchStep::Ask { node, name: job.wanted.name, position: job.at })
    }

    /// Nobody gives it: others come first.
    fn give_up(&mut self, now: Now) {
        let job = self.job.take().expect("it was under way");
        if job.mends {
            self.rests_until_ns = now.plus(REST);
            self.mends.push_back(job.wanted);
        } else {
            self.nowhere.entry(job.wanted.name).or_insert((now.mono_ns, 0)).1 = now.mono_ns;
        }
    }

    /// So much of the file is durable here; all of it is proven before it counts.
    pub fn resumed(&mut self, result: Result<u64, ()>, now: Now) {
        let job = self.job.as_mut().expect("it was asked");
        assert_eq!(job.state, State::Busy, "{job:?} was not looked at");
        let Ok(at) = result else { return self.rest(now) };
        let is_whole = at == job.wanted.bytes;
        assert!(is_whole || at < job.end && at.is_multiple_of(RUN_PIECE_BYTES as u64), "{at} of {job:?}");
        job.at = at;
        self.go_on();
    }

    /// A piece came; where it is to be written, if it is the one that was asked for.
    pub fn piece(&mut self, from: NodeId, name: RunName, position: u64, bytes: usize) -> Option<PiecePlace> {
        let job = self.job.as_mut()?;
        let is_asked = matches!(job.state, State::Asked(_)) && job.node == Some(from);
        let expected = (job.end - job.at).min(RUN_PIECE_BYTES as u64);
        if !is_asked || (job.wanted.name, job.at) != (name, position) || bytes as u64 != expected {
            return None;
        }
        self.nowhere.remove(&name);
        (job.state, job.questions) = (State::Busy, 0);
        // Whoever was silent may have been busy.
        job.passed.clear();
        Some(PiecePlace { name, position, mends: job.mends })
    }

    /// A node has no such run.
    pub fn absent(&mut self, from: NodeId, name: RunName) {
        if let Some(job) = self.job.as_mut().filter(|job| job.wanted.name == name) {
            job.passed.insert(from);
            if job.node == Some(from) && matches!(job.state, State::Asked(_)) {
                job.state = State::Ready;
            }
        }
    }

    /// The piece is written; false when the disk had no room for it.
    pub fn written(&mut self, has_room: bool, now: Now) {
        if !has_room {
            return self.rest(now);
        }
        let job = self.job.as_mut().expect("its piece was written");
        let bytes = (job.end - job.at).min(RUN_PIECE_BYTES as u64);
        assert!(job.state == State::Busy && bytes > 0, "nothing was written for {job:?}");
        job.at += bytes;
        assert!(job.at <= job.end && job.end <= job.wanted.bytes, "{job:?} is beyond its end");
        self.counts.bytes += bytes;
        self.go_on();
    }

    /// The next piece, or the end; unless nobody wants it any more.
    fn go_on(&mut self) {
        let job = self.job.as_mut().expect("it goes on");
        if !job.mends && !self.wanted.contains_key(&job.wanted.name) {
            self.job = None;
            return;
        }
        job.state = if job.at < job.end { State::Ready } else { State::Written };
    }

    fn rest(&mut self, now: Now) {
        self.rests_until_ns = now.plus(REST);
        // Begun again later, from what is durable.
        let job = self.job.take().expect("it rests");
        self.mends.extend(job.mends.then_some(job.wanted));
    }

    /// The whole file was looked at. True when the run is here now.
    pub fn checked(&mut self, checked: RunChecked, now: Now) -> bool {
        let job = self.job.as_mut().expect("it was checked");
        assert!(job.state == State::Busy && job.at == job.end, "{job:?} was checked before all of it came");
        match checked {
            RunChecked::NoSpace => self.rest(now),
            RunChecked::Bad { position } => {
                job.at = piece_of(position.min(job.wanted.bytes - 1));
                job.end = job.wanted.bytes.min(job.at + RUN_PIECE_BYTES as u64);
                // Whoever gave it last has it bad, if anybody: another one is asked.
                job.passed.extend(job.node.take());
                self.counts.bad_pieces += 1;
                self.go_on();
            }
            RunChecked::Good => {
                self.wanted.remove(&job.wanted.name);
                self.nowhere.remove(&job.wanted.name);
                *if job.mends { &mut self.counts.mended } else { &mut self.counts.runs } += 1;
                self.job = None;
                return true;
            }
        }
        false
    }

    /// Files are read or written for it.
    pub fn is_under_way(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.state == State::Busy)
    }

    /// Whether nobody gave this run, though all were asked again and again.
    pub fn is_nowhere(&self, name: RunName, now: Now) -> bool {
        let after_ns = NOWHERE_AFTER.as_nanos() as u64;
        self.nowhere.get(&name).is_some_and(|(since_ns, _)| now.mono_ns >= since_ns + after_ns)
    }

    /// Runs that are lacking, and their bytes that did not come yet.
    pub fn left(&self) -> (usize, u64) {
        let come = self.job.as_ref().filter(|job| !job.mends).map_or(0, |job| job.at);
        let all: u64 = self.wanted.values().sum();
        (self.wanted.len(), all.saturating_sub(come))
    }

    /// Whether this run's file is being fetched now.
    pub fn fetches(&self, name: RunName) -> bool {
        self.job.as_ref().is_some_and(|job| !job.mends && job.wanted.name == name)
    }
}

impl Job {
    fn new(wanted: WantedRun, mends: bool, range: core::ops::Range<u64>, state: State) -> Self {
        let (node, questions, passed) = (None, 0, BTreeSet::new());
        Self { wanted, mends, at: range.start, end: range.end, state, node, questions, passed }
    }
}

fn piece_of(position: u64) -> u64 {
    position / RUN_PIECE_BYTES as u64 * RUN_PIECE_BYTES as u64
}

#[cfg(test)]
#[path = "run_fetch_tests.rs"]
mod tests;
