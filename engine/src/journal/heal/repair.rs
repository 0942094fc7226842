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
//!
//! Invariants:
//! - Jobs do not touch each other, but for the one that is under way: what joins it would change it.
//! - The highest job goes first: the entry behind it is whole, and proves it.

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
pub(in crate::journal) enum RepairStep {
    Idle,
    Judging,
    /// What the entry must be is known.
    Due {
        wanted: WantedEntry,
        peers_asked: usize,
    },
    Asked {
        wanted: WantedEntry,
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
pub(in crate::journal) struct WantedEntry {
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
    pub(in crate::journal) step: RepairStep,
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
            step: RepairStep::Idle,
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
        let under_way = if self.step == RepairStep::Idle { None } else { self.jobs.first().copied() };
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
        matches!(self.step, RepairStep::Judging | RepairStep::Writing)
    }

    /// A file is being written: its segment must stay.
    pub fn is_writing(&self) -> bool {
        self.step == RepairStep::Writing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::JournalId;
    use crate::port::DamageKind;

    fn damage(first: u64, last: u64) -> Damage {
        Damage {
            journal: JournalId(1),
            first: Index(first),
            last: Index(last),
            term: None,
            file: "a segment".into(),
            position: 0,
            bytes: 4096,
            kind: DamageKind::Body,
        }
    }

    fn jobs(repair: &Repair) -> Vec<(u64, u64)> {
        repair.jobs.iter().map(|job| (job.first.0, job.last.0)).collect()
    }

    #[test]
    fn ranges_that_touch_become_one_and_the_highest_goes_first() {
        let all = [damage(3, 4), damage(9, 9), damage(20, 21), damage(5, 8)];
        let repair = Repair::new(&all, Index(30), false);
        assert_eq!(jobs(&repair), [(20, 21), (3, 9)]);
        assert_eq!(repair.jobs[0].at, Index(21), "from the last entry down");
    }

    #[test]
    fn what_is_under_way_stays_as_it_is_and_in_front() {
        let mut repair = Repair::new(&[damage(3, 4)], Index(30), false);
        repair.step = RepairStep::Judging;
        repair.add(&damage(5, 6));
        repair.add(&damage(9, 9));
        assert_eq!(jobs(&repair), [(3, 4), (9, 9), (5, 6)]);
        assert!(repair.is_under_way() && !repair.is_writing());
        repair.step = RepairStep::Writing;
        assert!(repair.is_under_way() && repair.is_writing());
    }

    #[test]
    fn a_break_in_the_chain_is_a_job_without_an_entry() {
        let mut repair = Repair::new(&[], Index(30), false);
        repair.add_range(Index(8), Index(7));
        assert_eq!(jobs(&repair), [(8, 7)]);
        // Damage next to the break is looked at together with it.
        repair.add(&damage(6, 7));
        assert_eq!(jobs(&repair), [(6, 7)]);
    }

    #[test]
    fn a_replica_that_lost_entries_is_opened_anew_when_all_is_repaired() {
        let repair = Repair::new(&[damage(3, 3)], Index(30), true);
        assert!(repair.is_of_lost_entries() && repair.opens_anew);
        let mut repair = Repair::new(&[damage(3, 3)], Index(30), false);
        assert!(!repair.opens_anew);
        repair.open_anew();
        assert!(repair.opens_anew && repair.has_changed && !repair.is_of_lost_entries());
    }
}
