//! What the descriptor of a transaction's marker says in place of what only records have, so that the fold and the
//! index of aborted ranges follow from heads alone.
//!
//! ```text
//! base_timestamp   where the transaction began in this partition; the marker's own offset when nothing was open
//! base_sequence    the coordinator's epoch
//! reserved         bit 31: it commits; the others: how far the stable offset behind the marker lies below its end
//! ```

use super::BatchDescriptor;
use crate::batch::Ending;
use crate::batch::header::attribute;
use crate::ids::Offset;

const COMMITS: u32 = 1 << 31;
/// So far or farther: where the stable offset is then is not told.
const FAR: u32 = COMMITS - 1;

/// A marker, as its descriptor has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkerFields {
    pub ending: Ending,
    pub coordinator_epoch: i32,
    /// Where the transaction that it ends began.
    pub first_offset: Offset,
    /// The first offset that is undecided behind it: no transaction that began below it is open. `None` when it is too
    /// far away to be told.
    pub stable: Option<Offset>,
}

impl BatchDescriptor {
    pub fn is_transactional(&self) -> bool {
        self.attributes.get() & attribute::TRANSACTIONAL != 0
    }

    /// Whether a program that knows no transactions would fold something else.
    pub fn needs_transactions(&self) -> bool {
        self.attributes.get() & (attribute::TRANSACTIONAL | attribute::CONTROL) != 0
    }

    pub fn is_marker(&self) -> bool {
        self.attributes.get() & attribute::CONTROL != 0
    }

    /// What it says, if it is a marker's.
    pub fn marker(&self) -> Option<MarkerFields> {
        if !self.is_marker() {
            return None;
        }
        let (reserved, end) = (self.reserved.get(), self.next_offset().0);
        let ending = if reserved & COMMITS != 0 { Ending::Commit } else { Ending::Abort };
        let distance = reserved & FAR;
        Some(MarkerFields {
            ending,
            coordinator_epoch: self.base_sequence.get(),
            first_offset: Offset(self.base_timestamp.get()),
            stable: (distance < FAR).then_some(Offset(end - i64::from(distance))),
        })
    }

    /// Makes it say this; its base offset is set.
    pub fn set_marker(&mut self, fields: &MarkerFields) {
        assert!(self.is_marker(), "only a control batch ends a transaction");
        let (own, end) = (self.base_offset(), self.next_offset().0);
        assert!(fields.first_offset <= own, "a transaction begins before its marker: {fields:?} at {own}");
        let distance = fields.stable.map_or(i64::from(FAR), |stable| end - stable.0);
        assert!(distance >= 0, "the stable offset is behind the log end: {fields:?} at {own}");
        let distance = u32::try_from(distance).unwrap_or(FAR).min(FAR);
        let commits = if fields.ending == Ending::Commit { COMMITS } else { 0 };
        self.base_timestamp.set(fields.first_offset.0);
        self.base_sequence.set(fields.coordinator_epoch);
        self.reserved.set(commits | distance);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    fn descriptor() -> BatchDescriptor {
        let mut descriptor = BatchDescriptor::new_zeroed();
        descriptor.base_offset.set(1 << 40);
        descriptor.record_count.set(1);
        descriptor.attributes.set(attribute::CONTROL | attribute::TRANSACTIONAL);
        descriptor
    }

    #[test]
    fn what_a_marker_says_comes_back() {
        let end = (1 << 40) + 1;
        for ending in [Ending::Abort, Ending::Commit] {
            for stable in [end, end - 1, end - i64::from(FAR) + 1] {
                let stable = Some(Offset(stable));
                let fields = MarkerFields { ending, coordinator_epoch: 5, first_offset: Offset(77), stable };
                let mut descriptor = descriptor();
                descriptor.set_marker(&fields);
                assert_eq!(descriptor.marker(), Some(fields));
            }
        }
    }

    #[test]
    fn a_stable_offset_too_far_away_is_not_told() {
        for stable in [Some(Offset(3)), None] {
            let ending = Ending::Commit;
            let fields = MarkerFields { ending, coordinator_epoch: 5, first_offset: Offset(77), stable };
            let mut descriptor = descriptor();
            descriptor.set_marker(&fields);
            assert_eq!(descriptor.marker(), Some(MarkerFields { stable: None, ..fields }));
        }
    }

    #[test]
    fn a_batch_of_records_is_no_marker() {
        let mut descriptor = descriptor();
        descriptor.attributes.set(attribute::TRANSACTIONAL);
        assert!(descriptor.marker().is_none() && descriptor.needs_transactions());
        descriptor.attributes.set(0);
        assert!(!descriptor.needs_transactions());
    }
}
