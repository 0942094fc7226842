//! A doubt as the hard state keeps it: what stood there, and where.

use crate::entry::reader::Link;
use crate::ids::{Index, LogEnd, Term};
use crate::peer::doubt::Held;

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

impl Doubt {
    /// This doubt, where another one is not settled yet: the higher end counts. What stood first in
    /// either place is then no longer the one entry that is asked for.
    pub fn beside(self, earlier: Option<Doubt>) -> Doubt {
        match earlier {
            None => self,
            // The crash came between the note and the cut.
            Some(earlier) if earlier.good == self.good && earlier.place == self.place => earlier,
            Some(earlier) => Doubt { end: earlier.end.max(self.end), first: Hidden::default(), ..self },
        }
    }

    /// The entry that the voters are asked for.
    pub fn asked_for(&self) -> Index {
        self.good.index.next()
    }

    /// Whether a log that has this in the place of the first bad entry never had that one.
    pub fn is_without(&self, held: Held) -> bool {
        match held {
            Held::Nothing => true,
            Held::Passed => false,
            Held::Entry { term, checksum } if self.first.checksum != 0 && checksum != 0 => {
                (term, checksum) != (self.first.term, self.first.checksum)
            }
            Held::Entry { term, .. } => term > self.end.term,
        }
    }

    /// Whether the entry that stands there now may be the one that was lost.
    pub fn may_be(&self, term: Term, checksum: u32) -> bool {
        !self.is_without(Held::Entry { term, checksum })
    }
}
