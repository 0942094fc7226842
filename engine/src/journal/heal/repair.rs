//! Repair: a damaged entry is asked of the other replicas, proven, and written in its place.
//!
//! ```text
//! damage ─▶ job ─▶ judge: which checksum must it have? ─▶ ask one replica after the other ─▶ prove
//!                          ▲                                                                  │
//!                          └── the entry before, if it is damaged or another ◀── write, sync ◀┘
//! ```
//! It needs no leader, and any replica may give. A job goes down from its last entry: the entry
//! behind says which header checksum the one before must have, and so each proves the next. What is
//! known to be committed must besides be known so to its giver, for an entry of a tail that is to be cut
//! there continues a chain too; or the chain comes down from an entry whose header knows it committed.
//! That is proof enough; so is a hard state whose commit covers the very entry that its synced bound
//! names, for a bound is lowered before the log is written anew from there. Where all who know of the
//! commit lost the same entry there is no other proof. Where no chain is left, the word of one whose
//! own log is whole there will do. Damage above the commit is only ever replaced by the very same entry;
//! where a committed other one proves that it is void, the bound is lowered and recovery cuts it.
//!
//! A journal that had lost heads at its start is quarantined, and opened anew once all is repaired.

use crate::ids::{Index, NodeId};
use crate::port::Damage;

/// A leader with damage tries so often to hand over, once a second: the others may be damaged too.
const HAND_OVERS_MAX: u32 = 3;

/// Damaged entries next to each other. With `last` = `first` − 1: the chain breaks behind `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::journal) struct Job {
    pub(in crate::journal) first: Index,
    pub(in crate::journal) last: Index,
    /// The entry to be looked at next, from `last` down.
    pub(in crate::journal) at: Index,
    /// The lowest that was written.
    pub(in crate::journal) mended: Index,
    /// What the entry above, once proven, says of this one.
    pub(in crate::journal) chained: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::journal) enum Step {
    Idle,
    Judging,
    /// What the entry must be is known.
    Due {
        wanted: Wanted,
        peers_asked: usize,
    },
    Asked {
        wanted: Wanted,
        peers_asked: usize,
        of: NodeId,
        until_ns: u64,
    },
    Writing,
    Resting {
        until_ns: u64,
    },
}

/// Which entry will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::journal) struct Wanted {
    /// 0 is not known.
    pub(in crate::journal) checksum: u32,
    /// It is the committed entry's: whoever has that one may give it.
    pub(in crate::journal) is_proven: bool,
    /// Nobody had that one: what is there instead?
    pub(in crate::journal) any: bool,
}

/// The repairs of one journal.
#[derive(Debug)]
pub struct Repair {
    pub(in crate::journal) jobs: Vec<Job>,
    pub(in crate::journal) step: Step,
    /// The replica to be asked first: they take turns.
    pub(in crate::journal) turn: usize,
    /// Committed as far as recovery knew, where the fold stands still below a lost entry.
    pub(in crate::journal) known_commit: Index,
    /// Recovery found entries lost, and nothing worse.
    pub(in crate::journal) is_lost: bool,
    /// Once all is repaired the journal is to be opened anew.
    pub(in crate::journal) opens_anew: bool,
    /// Nobody had the entry under way with the checksum that it should have.
    pub(in crate::journal) nobody_had_it: bool,
    /// Something was repaired, so that another recovery will find more.
    pub(in crate::journal) has_changed: bool,
    pub(in crate::journal) stale_index: bool,
    pub(in crate::journal) hand_overs_left: u32,
    pub(in crate::journal) hand_over_ns: u64,
    pub(in crate::journal) entries: u64,
}

impl Repair {
    /// `is_lost`: what recovery found forbids to take part until it is repaired.
    pub fn new(damage: &[Damage], known_commit: Index, is_lost: bool) -> Self {
        let mut repair = Self {
            jobs: Vec::new(),
            step: Step::Idle,
            turn: 0,
            known_commit,
            is_lost,
            opens_anew: is_lost,
            nobody_had_it: false,
            has_changed: false,
            stale_index: false,
            hand_overs_left: 0,
            hand_over_ns: 0,
            entries: 0,
        };
        damage.iter().for_each(|damage| repair.add(damage));
        repair
    }

    /// Takes a damaged range; one that touches another becomes one with it.
    pub(in crate::journal) fn add(&mut self, damage: &Damage) {
        self.add_range(damage.first, damage.last);
        self.hand_overs_left = HAND_OVERS_MAX;
    }

    pub(in crate::journal) fn add_range(&mut self, mut first: Index, mut last: Index) {
        let under_way = if self.step == Step::Idle { None } else { self.jobs.first().copied() };
        self.jobs.retain(|job| {
            let touches = job.first.0 <= last.0 + 1 && first.0 <= job.last.0 + 1;
            let joins = touches && under_way != Some(*job);
            if joins {
                (first, last) = (first.min(job.first), last.max(job.last));
            }
            !joins
        });
        self.jobs.push(Job { first, last, at: last, mended: last.next(), chained: None });
        // The highest goes first: what it is proven by is whole. One that is under way stays in front.
        let from = usize::from(under_way.is_some());
        self.jobs[from..].sort_by_key(|job| core::cmp::Reverse(job.last));
    }

    /// Entries are missing that it may have acknowledged, and its vote is known.
    pub fn is_of_lost_entries(&self) -> bool {
        self.is_lost
    }

    /// Recovery will find more to be repaired than is known now.
    pub fn open_anew(&mut self) {
        (self.opens_anew, self.has_changed) = (true, true);
    }

    /// Reads or writes files.
    pub fn is_under_way(&self) -> bool {
        matches!(self.step, Step::Judging | Step::Writing)
    }

    /// A file is being written: its segment must stay.
    pub fn is_writing(&self) -> bool {
        self.step == Step::Writing
    }
}
