//! Losses that an operator accepted (`--accept-loss`): what the journal itself says is given up is no damage.

use super::journal::Journal;
use super::segment_check::SegmentCheck;
use super::state::read_checkpoint;
use engine::ids::Index;
use engine::partition::Fold;

/// The accepted losses of one journal.
pub struct Accepted {
    /// As entries say that are there.
    ranges: Vec<(Index, Index)>,
    /// Where those are deleted, checkpoints say it.
    folds: Vec<Fold>,
}

impl Accepted {
    pub fn of<'a>(journal: &Journal, checks: impl Iterator<Item = &'a SegmentCheck>) -> Self {
        let checkpoints = journal.checkpoints.iter().map(|(_, path)| path).chain(&journal.local_checkpoint);
        let folds = checkpoints.filter_map(|path| Some(read_checkpoint(path, journal).ok()?.1)).collect();
        Self { ranges: checks.flat_map(|check| check.accepted.iter().copied()).collect(), folds }
    }

    pub fn contains(&self, index: Index) -> bool {
        let is_in = |(first, last): &(Index, Index)| (*first..=*last).contains(&index);
        self.ranges.iter().any(is_in) || self.folds.iter().any(|fold| fold.is_accepted_loss(index))
    }
}
