//! Deleting the front of a journal: whole dead segments that two good checkpoints cover.
//!
//! Whether a file may go is asked in one place, [`may_drop`], by who plans it and again by who does it.

use crate::ids::Index;
use std::collections::BTreeSet;

/// How the deletion of the front goes.
#[derive(Debug, Default)]
pub struct Deleting {
    /// Checkpoints are read, or files removed.
    pub is_under_way: bool,
    pub(in crate::journal) again_ns: u64,
    /// Checkpoints that proved bad: they cover nothing.
    pub(in crate::journal) bad: BTreeSet<Index>,
    /// One is written so that two cover what is dead.
    pub writes_covering: bool,
}

/// Why a sealed segment at the front stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// A batch in it is alive.
    Alive,
    /// A replica does not have all of it yet, and could get it from nowhere else.
    ReplicaLacksIt,
    /// A read holds it.
    Read,
    /// A repair writes to a file of the journal.
    Repair,
    /// Fewer good checkpoints reach to its end than must cover it.
    NotCovered,
}

impl Why {
    pub const ALL: [Self; 5] =
        [Self::Alive, Self::ReplicaLacksIt, Self::Read, Self::Repair, Self::NotCovered];

    /// As a label of a metric.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::ReplicaLacksIt => "replica_lacks_it",
            Self::Read => "read",
            Self::Repair => "repair",
            Self::NotCovered => "not_covered",
        }
    }
}

/// What is known of a sealed segment at the front.
#[derive(Clone, Copy, Debug)]
pub struct Front {
    /// Its last entry.
    pub last: Index,
    /// Nothing in it is alive.
    pub is_dead: bool,
    pub is_read: bool,
    /// Up to here every replica has all entries.
    pub held_by_all: Index,
    pub is_repaired: bool,
    /// Up to here checkpoints cover.
    pub covered: Index,
}

/// Whether the file may be deleted; what forbids it for longest comes first.
pub fn may_drop(front: &Front) -> Result<(), Why> {
    let forbidden = [
        (!front.is_dead, Why::Alive),
        (front.last > front.held_by_all, Why::ReplicaLacksIt),
        (front.is_read, Why::Read),
        (front.is_repaired, Why::Repair),
        (front.last > front.covered, Why::NotCovered),
    ];
    forbidden.into_iter().find(|(is_so, _)| *is_so).map_or(Ok(()), |(_, why)| Err(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOES: Front = Front {
        last: Index(9),
        is_dead: true,
        is_read: false,
        held_by_all: Index(9),
        is_repaired: false,
        covered: Index(9),
    };

    #[test]
    fn each_reason_alone_keeps_a_segment() {
        assert_eq!(may_drop(&GOES), Ok(()));
        let kept = [
            (Front { is_dead: false, ..GOES }, Why::Alive),
            (Front { held_by_all: Index(8), ..GOES }, Why::ReplicaLacksIt),
            (Front { is_read: true, ..GOES }, Why::Read),
            (Front { is_repaired: true, ..GOES }, Why::Repair),
            (Front { covered: Index(8), ..GOES }, Why::NotCovered),
        ];
        for (front, why) in kept {
            assert_eq!(may_drop(&front), Err(why));
        }
    }

    #[test]
    fn every_reason_has_a_name_of_its_own() {
        let names: BTreeSet<_> = Why::ALL.iter().map(|why| why.name()).collect();
        assert_eq!(names.len(), Why::ALL.len());
    }
}
