//! What reads go to: a file of entries and the index beside it.

use super::sealed_index::SealedIndex;
use crate::ids::{FileId, Index};
use std::rc::Rc;

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
        Rc::strong_count(self) > 1 || self.replaced.as_ref().is_some_and(Self::is_read)
    }
}
