//! Which partitions are to be looked at next.

use crate::ids::PartitionId;
use crate::journal::read::catalog::Catalog;
use std::collections::BTreeSet;

/// Partitions of a round: what they need is put together in one step.
const ROUND: usize = 64;

/// Invariants:
/// - A partition that is noted is given out before the pass goes on.
/// - A pass gives out every partition that is in the catalog from its begin to its end.
#[derive(Debug, Default)]
pub struct Sweep {
    /// Something changed: more of them may be dead.
    noted: BTreeSet<PartitionId>,
    /// A pass over all is under way, and came to this one.
    pass: Option<Option<PartitionId>>,
}

impl Sweep {
    /// One that begins with a pass over all partitions.
    pub fn of_all() -> Self {
        Self { noted: BTreeSet::new(), pass: Some(None) }
    }

    /// Begins a pass over all partitions, unless one is under way.
    pub fn begin(&mut self) {
        self.pass.get_or_insert(None);
    }

    pub fn note(&mut self, partition: PartitionId) {
        self.noted.insert(partition);
    }

    /// The next ones to be looked at, each once; none when all were.
    pub fn round(&mut self, catalog: &Catalog) -> Vec<PartitionId> {
        let mut round = Vec::new();
        while round.len() < ROUND
            && let Some(partition) = self.noted.pop_first()
        {
            round.push(partition);
        }
        if let Some(last) = self.pass.filter(|_| round.is_empty()) {
            round = catalog.partitions_behind(last, ROUND);
            self.pass = round.last().map(|last| Some(*last));
        }
        assert!(round.is_sorted() && round.len() <= ROUND);
        round
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_comes_first_and_each_once() {
        let mut sweep = Sweep::default();
        let catalog = Catalog::default();
        assert!(sweep.round(&catalog).is_empty());
        (0..100).rev().for_each(|partition| sweep.note(PartitionId(partition % 70)));
        let rounds: Vec<_> = core::iter::repeat_with(|| sweep.round(&catalog).len()).take(3).collect();
        assert_eq!(rounds, [64, 6, 0]);
    }

    #[test]
    fn a_pass_ends_where_the_catalog_does() {
        let mut sweep = Sweep::of_all();
        assert!(sweep.round(&Catalog::default()).is_empty());
        assert_eq!(sweep.pass, None);
        sweep.begin();
        assert_eq!(sweep.pass, Some(None));
    }
}
