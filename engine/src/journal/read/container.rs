//! What reads go to: a file of entries and the index beside it, or a run.

use super::index::PartitionFacts;
use super::run::OpenRun;
use super::sealed_index::{IndexError, SealedIndex};
use crate::ids::{FileId, Index, PartitionId};
use std::rc::Rc;

/// A file that batches are read from.
#[derive(Clone)]
pub enum Container {
    Segment(Rc<Sealed>),
    Run(Rc<OpenRun>),
}

impl Container {
    /// The last entry that it stands for.
    pub fn last(&self) -> Index {
        match self {
            Self::Segment(sealed) => sealed.last,
            Self::Run(run) => run.rewritten,
        }
    }

    pub fn bytes(&self) -> u64 {
        match self {
            Self::Segment(sealed) => sealed.bytes,
            Self::Run(run) => run.bytes(),
        }
    }

    pub fn segment(&self) -> Option<&Rc<Sealed>> {
        match self {
            Self::Segment(sealed) => Some(sealed),
            Self::Run(_) => None,
        }
    }

    pub fn run(&self) -> Option<&Rc<OpenRun>> {
        match self {
            Self::Segment(_) => None,
            Self::Run(run) => Some(run),
        }
    }

    /// How many partitions it has.
    pub fn partitions(&self) -> u32 {
        match self {
            Self::Segment(sealed) => sealed.index.header().partitions.get(),
            Self::Run(run) => run.partitions(),
        }
    }

    /// What it has of a partition: of a run that is all that it answers for.
    pub async fn facts(&self, partition: PartitionId) -> Result<Option<PartitionFacts>, IndexError> {
        match self {
            Self::Segment(sealed) => sealed.index.facts(partition).await,
            Self::Run(run) => run.facts(partition).await,
        }
    }

    /// Up to `count` partitions from row `first` on.
    pub async fn facts_from(&self, first: u32, count: u32) -> Result<Vec<PartitionFacts>, IndexError> {
        match self {
            Self::Segment(sealed) => sealed.index.facts_from(first, count).await,
            Self::Run(run) => run.facts_from(first, count).await,
        }
    }
}

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
    /// `owners` keep it without reading it: the log, and the catalog unless a run took its place there.
    pub fn is_read(self: &Rc<Self>, owners: usize) -> bool {
        let is_held =
            |replaced: &Sealed| replaced.replaced.as_ref().is_some_and(|one| Rc::strong_count(one) > 1);
        Rc::strong_count(self) > owners || self.with_replaced().any(is_held)
    }
}
