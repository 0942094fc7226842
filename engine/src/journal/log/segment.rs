//! The segments of a journal: sealed ones, rolled ones on their way there, the one being written
//! and the one that comes next.

use crate::ids::{FileId, Index};
use crate::journal::read::container::Sealed;
use crate::journal::read::index::ActiveIndex;
use crate::journal::read::place::{Place, located};
use std::collections::VecDeque;
use std::rc::Rc;

/// A segment that takes no more entries and waits to be sealed.
#[derive(Debug)]
pub struct Rolled {
    pub base: Index,
    pub last: Index,
    pub bytes: u64,
    pub file: FileId,
    /// Held also by what makes the index file of it.
    pub index: Rc<ActiveIndex>,
    pub sealing: Sealing,
}

/// How far a rolled segment is.
#[derive(Debug)]
pub enum Sealing {
    /// Its last entry is not folded yet.
    Waiting,
    /// The checkpoint at its last entry: body and that entry's term.
    Checkpoint(Rc<Vec<u8>>),
    /// The procedure runs.
    Running,
}

/// The segment being written.
#[derive(Debug)]
pub struct Active {
    pub base: Index,
    pub file: FileId,
    pub index: ActiveIndex,
}

/// The segment after the active one.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Not asked for yet.
    None,
    Preparing,
    /// Allocated and synced, under a temporary name.
    Ready {
        file: FileId,
        name: String,
    },
    /// No space; tried again at `retry_ns`.
    Full {
        retry_ns: u64,
    },
}

/// All of them, ascending: sealed, rolled, active.
pub struct Segments {
    pub sealed: VecDeque<Rc<Sealed>>,
    pub rolled: VecDeque<Rolled>,
    pub active: Active,
    pub next: Next,
}

/// A segment that a cut made void.
#[derive(Clone, Copy, Debug)]
pub struct Stale {
    pub base: Index,
    pub file: FileId,
    /// Of its entries.
    pub bytes: u64,
}

impl Segments {
    /// Index of the first entry that is still there.
    pub fn first(&self) -> Index {
        let sealed = self.sealed.front().map(|segment| segment.base);
        sealed.or_else(|| self.rolled.front().map(|segment| segment.base)).unwrap_or(self.active.base)
    }

    /// File, base and index of the segments whose index is in memory, ascending.
    pub fn indexes(&self) -> impl DoubleEndedIterator<Item = (FileId, Index, &ActiveIndex)> + Clone {
        let rolled = self.rolled.iter().map(|segment| (segment.file, segment.base, &*segment.index));
        rolled.chain(core::iter::once((self.active.file, self.active.base, &self.active.index)))
    }

    /// The index in memory that covers an entry, and its segment's file.
    pub fn in_memory(&self, index: Index) -> Option<(FileId, Index, &ActiveIndex)> {
        self.indexes().rfind(|(_, base, _)| *base <= index)
    }

    /// Where an entry is on disk; a sealed segment's index tells more.
    pub fn place_of(&self, index: Index) -> Option<Place> {
        if let Some((file, base, entries)) = self.in_memory(index) {
            let at = entries.entry(index)?;
            return Some(Place::Here(located(file, base, at)));
        }
        let sealed = self.sealed_from(index)?;
        (sealed.base <= index).then(|| Place::Sealed(Rc::clone(sealed)))
    }

    /// The first sealed segment that ends at this entry or behind.
    pub fn sealed_from(&self, index: Index) -> Option<&Rc<Sealed>> {
        self.sealed.get(self.sealed.partition_point(|sealed| sealed.last < index))
    }

    /// The sealed segment that begins with this entry.
    pub fn sealed_at(&self, base: Index) -> Option<&Rc<Sealed>> {
        self.sealed_from(base).filter(|sealed| sealed.base == base)
    }

    /// Bytes of the entries from this one on, up to a position in the segment being written.
    /// Within a sealed segment, whose index is on disk, in proportion.
    pub fn bytes_from(&self, from: Index, position: u64) -> u64 {
        // Asked with every message from a follower: only those that it lacks are looked at.
        let lacking = self.sealed.iter().rev().take_while(|segment| segment.last >= from);
        let sealed = lacking.map(|segment| {
            let (base, last) = (segment.base.0, segment.last.0);
            let entries = (last + 1).saturating_sub(from.0.max(base));
            segment.bytes * entries / (last + 1 - base)
        });
        let behind = |base: Index, index: &ActiveIndex, bytes: u64| {
            let at = if from <= base { Some(0) } else { index.entry(from).map(|at| at.position) };
            at.map_or(0, |at| bytes.saturating_sub(at))
        };
        let rolled = self.rolled.iter().map(|segment| behind(segment.base, &segment.index, segment.bytes));
        sealed.chain(rolled).sum::<u64>() + behind(self.active.base, &self.active.index, position)
    }

    /// The segments that may be cut, by base, and where their entries end.
    pub fn ends(&self) -> Vec<(Index, u64)> {
        let rolled = self.rolled.iter().map(|segment| (segment.base, segment.bytes));
        rolled.chain([(self.active.base, self.active.index.totals().data_bytes)]).collect()
    }

    /// Ends the log before `first`. Segments that begin there or behind are gone, given back with
    /// their files; the one before them is written again. A sealed segment is never reached: it
    /// is sealed once an entry behind it is committed.
    pub fn cut(&mut self, first: Index) -> Vec<Stale> {
        let mut stale = Vec::new();
        while self.active.base >= first
            && let Some(rolled) = self.rolled.pop_back()
        {
            assert!(
                !matches!(rolled.sealing, Sealing::Running),
                "the segment of {} is being sealed, and {first} behind it is cut",
                rolled.base
            );
            let Rolled { base, file, index, .. } = rolled;
            let index = Rc::unwrap_or_clone(index);
            let cut = core::mem::replace(&mut self.active, Active { base, file, index });
            let bytes = cut.index.totals().data_bytes;
            stale.push(Stale { base: cut.base, file: cut.file, bytes });
        }
        let sealed = self.sealed.back().map_or(Index::NONE, |sealed| sealed.last);
        assert!(first > sealed, "entry {first} of a segment sealed up to {sealed} is cut");
        if self.active.base < first {
            self.active.index.truncate_from(first);
        } else {
            self.active.index = ActiveIndex::new(self.active.base);
        }
        stale
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sealed.len() + self.rolled.len() + 1
    }

    pub fn is_empty(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::samples::entry;

    fn index_of(base: u64, entries: u64) -> ActiveIndex {
        let mut index = ActiveIndex::new(Index(base));
        let mut position = 0;
        for number in base..base + entries {
            let entry = entry(number, base, position, 100);
            position += entry.len() as u64;
            index.append(entry.header(), entry.descriptors());
        }
        index
    }

    /// Rolled 1 to 3 and 4 to 6, active from 7 with two entries; each takes a block.
    fn segments() -> Segments {
        let rolled = |base: u64| Rolled {
            base: Index(base),
            last: Index(base + 2),
            bytes: 3 * 4096,
            file: FileId(base),
            index: Rc::new(index_of(base, 3)),
            sealing: Sealing::Waiting,
        };
        let active = Active { base: Index(7), file: FileId(7), index: index_of(7, 2) };
        Segments { sealed: VecDeque::new(), rolled: [1, 4].map(rolled).into(), active, next: Next::None }
    }

    #[test]
    fn entries_are_found_in_their_segments() {
        let segments = segments();
        let found = |index| segments.in_memory(Index(index)).map(|(file, base, _)| (file.0, base.0));
        assert_eq!([1, 3, 4, 6, 7, 8].map(found), [1, 1, 4, 4, 7, 7].map(|base| Some((base, base))));
        assert_eq!(found(0), None);
        assert_eq!((segments.first(), segments.len()), (Index(1), 3));
        assert!(matches!(segments.place_of(Index(5)), Some(Place::Here(at)) if at.item.position == 4096));
        assert!(segments.place_of(Index(9)).is_none());
        assert_eq!(segments.bytes_from(Index(5), 2 * 4096), (2 + 2) * 4096);
        assert_eq!(segments.bytes_from(Index(1), 2 * 4096), 8 * 4096);
    }

    #[test]
    fn a_cut_gives_back_what_is_void_and_writes_on_in_the_segment_before() {
        let mut segments = segments();
        let stale: Vec<_> = segments.cut(Index(5)).iter().map(|stale| (stale.base.0, stale.bytes)).collect();
        assert_eq!(stale, [(7, 2 * 4096)]);
        assert_eq!((segments.active.base, segments.active.index.totals().data_bytes), (Index(4), 4096));
        assert_eq!(segments.ends(), [(Index(1), 3 * 4096), (Index(4), 4096)]);
    }

    #[test]
    fn a_cut_at_a_segments_base_goes_back_to_the_one_before() {
        let mut segments = segments();
        assert_eq!(segments.cut(Index(7)).len(), 1);
        assert_eq!((segments.active.base, segments.active.index.totals().data_bytes), (Index(4), 3 * 4096));
        assert_eq!(segments.cut(Index(1)).len(), 1, "the first one stays, and is empty");
        assert_eq!((segments.active.base, segments.active.index.totals().data_bytes), (Index(1), 0));
        assert!(segments.rolled.is_empty());
    }

    #[test]
    #[should_panic(expected = "is being sealed")]
    fn what_is_being_sealed_is_never_cut() {
        let mut segments = segments();
        segments.rolled.back_mut().expect("there are two").sealing = Sealing::Running;
        segments.cut(Index(5));
    }
}
