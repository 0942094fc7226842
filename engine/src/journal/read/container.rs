//! What reads go to: a file of entries and the index beside it.

use super::sealed_index::SealedIndex;
use crate::ids::{FileId, Index};
use std::rc::Rc;

/// Those that keep a segment without reading it: the log, and the catalog.
const OWNERS: usize = 2;

/// A segment that never changes again: cut to its last entry, index beside it.
pub struct Sealed {
    pub base: Index,
    pub last: Index,
    pub bytes: u64,
    pub file: FileId,
    pub index: Rc<SealedIndex>,
    /// This segment with an index that proved bad; reads that began with it may still run.
    pub replaced: Option<Rc<Sealed>>,
}

impl Sealed {
    /// This one, and those whose place it took since an index proved bad.
    pub fn with_replaced(&self) -> impl Iterator<Item = &Sealed> {
        core::iter::successors(Some(self), |sealed| sealed.replaced.as_deref())
    }

    /// A read holds it, or held it before its index was made again.
    pub fn is_read(self: &Rc<Self>) -> bool {
        let is_held =
            |replaced: &Sealed| replaced.replaced.as_ref().is_some_and(|one| Rc::strong_count(one) > 1);
        Rc::strong_count(self) > OWNERS || self.with_replaced().any(is_held)
    }
}
