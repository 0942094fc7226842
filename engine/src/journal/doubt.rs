//! A doubt: entries that this replica may have acknowledged and cannot show any more.
//!
//! ```text
//! good ... good | bad  bad  bad | never written
//!          good ┘ first         └ end (U)
//! ```
//! An entry above every bound that cannot be read was either never synced, or it was, and
//! acknowledged, and the disk lies now. Until that is settled the replica counts as one whose log
//! ends at `end`, though it can show no more than up to `good`.

use crate::entry::reader::Link;
use crate::ids::{Index, LogEnd, Term};

/// What is remembered, durably, before a byte of a bad tail is cut, removed or overwritten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubt {
    /// The last good entry.
    pub good: Link,
    /// U: nothing behind it was acknowledged here.
    pub end: LogEnd,
    /// The first bad entry.
    pub first: Hidden,
    /// Where the bad bytes stood.
    pub place: Place,
}

/// The bad entry behind the last good one, when its own head can still be read; else zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    pub term: Term,
    /// Its header checksum.
    pub checksum: u32,
}

/// A range of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The segment's base.
    pub segment: Index,
    pub position: u64,
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_log_of_an_older_term_is_behind() {
        let end = |term, index| LogEnd { term: Term(term), index: Index(index) };
        assert!(end(2, 9) < end(3, 1));
        assert!(end(3, 1) < end(3, 2));
    }
}
