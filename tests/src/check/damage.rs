//! What the simulation broke on purpose, so that a report of damage can be told from an invention
//! and a loss from a permitted one.

use engine::ids::{JournalId, Offset, PartitionId};
use engine::port::{Damage, DamageKind};
use std::collections::BTreeSet;

/// Offsets whose bytes are broken on the medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    pub journal: JournalId,
    pub index: u64,
    pub partition: PartitionId,
    pub base: Offset,
    pub end: Offset,
}

/// An entry that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub journal: JournalId,
    pub index: u64,
    /// Its header or descriptors: what it held is not known any more.
    pub head: bool,
}

#[derive(Default)]
pub struct DamageLedger {
    pub broken: Vec<Broken>,
    pub holes: Vec<Hole>,
    /// Entries that were broken on some replicas of a cluster, and are whole on another.
    pub repairable: BTreeSet<(JournalId, u64)>,
    /// Journals that were reported to have lost descriptors.
    pub heads_reported: BTreeSet<JournalId>,
    /// A read failed once in this run of the process: it may be taken for damage there.
    pub read_failed: bool,
    /// An index file was broken: what it leads to is refused until it is made again.
    pub index_broken: bool,
    /// Every copy of a hard state was broken.
    pub hard_state_lost: bool,
}

impl DamageLedger {
    pub fn is_hole(&self, partition: PartitionId, offset: Offset) -> bool {
        self.holes.iter().any(|hole| hole.partition == partition && hole.base <= offset && offset < hole.end)
    }

    /// Whether entries of this partition were lost, and that accepted.
    pub fn has_holes(&self, partition: PartitionId) -> bool {
        self.holes.iter().any(|hole| hole.partition == partition)
    }

    /// The end of the hole that holds this offset.
    pub fn hole_end(&self, partition: PartitionId, offset: Offset) -> Option<Offset> {
        let holds = |hole: &&Hole| hole.partition == partition && hole.base <= offset && offset < hole.end;
        self.holes.iter().find(holds).map(|hole| hole.end)
    }

    /// Damage that was reported must have been done.
    pub fn reported(&mut self, damage: &Damage) {
        // A break in the chain is told behind the entry that was broken.
        let (first, last) = (damage.first.0.min(damage.last.0), damage.last.0);
        let mut repairable = self.repairable.range((damage.journal, first)..=(damage.journal, last));
        if repairable.next().is_some() {
            return;
        }
        if damage.kind == DamageKind::Head {
            self.heads_reported.insert(damage.journal);
        }
        let explains = |broken: &Broken| {
            broken.journal == damage.journal
                && damage.first.0 <= broken.index
                && broken.index <= damage.last.0
        };
        assert!(
            self.read_failed || self.broken.iter().any(explains),
            "damage was reported where none was done: {damage:?}"
        );
    }
}
