//! What a read wants, and what it gathered.

use crate::batch::records::RecordsError;
use crate::disk::DiskError;
use crate::entry::reader::EntryFault;
use crate::entry::{BatchDescriptor, Slice};
use crate::ids::{FileId, Index, Offset, PartitionId};
use crate::journal::read::index::Item;
use crate::journal::read::sealed_index::IndexError;
use crate::port::AbortedTransaction;
use smallvec::SmallVec;

/// An index item and the file it speaks of.
#[derive(Clone, Copy, Debug)]
pub struct Located {
    pub file: FileId,
    pub base: Index,
    pub item: Item,
}

/// One partition's part of a read.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    pub partition: PartitionId,
    pub offset: Offset,
    /// Entries up to here may be shown.
    pub commit: Index,
    /// Nor anything from this offset on.
    pub end: Offset,
    /// With the aborted transactions among what is given.
    pub with_aborted: bool,
    pub bytes_max: usize,
    /// Give the first batch even when it is longer.
    pub at_least_one: bool,
    /// Offsets below this may be missing: their loss was accepted.
    pub skipped_below: Offset,
    /// Partitions that the same fetch reads from this journal, this one among them.
    pub together: u64,
}

/// What was found for a [`Want`].
#[derive(Debug, Default)]
pub struct Gathered {
    pub slices: SmallVec<[Slice; 1]>,
    pub bytes: usize,
    /// The offset after the last batch gathered.
    pub next_offset: Option<Offset>,
    pub fault: Option<ReadFault>,
    /// Transactions that were aborted, with records among those gathered.
    pub aborted: Vec<AbortedTransaction>,
}

/// Why an entry cannot be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadFault {
    #[error("{0}")]
    Disk(#[from] DiskError),
    #[error("{0}")]
    Index(#[from] IndexError),
    #[error("entry {} of the segment of {base}: {fault}", located.item.entry)]
    Entry { base: Index, located: Located, fault: EntryFault },
    #[error("entry {} of the segment of {base} cannot be read: {error}", located.item.entry)]
    Unreadable { base: Index, located: Located, error: DiskError },
    #[error("offset {0} is in an entry that is lost")]
    Lost(Offset),
    #[error("entry {0} is in no segment")]
    Missing(Index),
    /// Its bytes are those that were appended; what they say cannot be decoded.
    #[error("the batch at offset {offset} in entry {entry} cannot be decoded: {error}")]
    Batch { entry: Index, offset: Offset, error: RecordsError },
}

impl PartialEq for Located {
    fn eq(&self, other: &Self) -> bool {
        (self.base, self.item) == (other.base, other.item)
    }
}

impl Eq for Located {}

/// Whether a batch belongs to what is gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    No,
    Yes,
    /// Nor anything behind it.
    Full,
}

impl Gathered {
    pub fn admits(&mut self, batch: &BatchDescriptor, want: &Want) -> Admitted {
        let from = self.next_offset.unwrap_or(want.offset);
        if batch.partition() != want.partition || batch.next_offset() <= from {
            return Admitted::No;
        }
        if batch.base_offset() >= want.end {
            return Admitted::Full;
        }
        let is_first = self.bytes == 0 && want.at_least_one;
        if self.bytes + batch.bytes.get() as usize > want.bytes_max && !is_first {
            return Admitted::Full;
        }
        let gap = batch.base_offset() > from && from >= want.skipped_below;
        if gap {
            self.fault = Some(ReadFault::Lost(from));
            return Admitted::Full;
        }
        Admitted::Yes
    }

    pub fn take(&mut self, batch: &BatchDescriptor, slices: impl IntoIterator<Item = Slice>) {
        self.slices.extend(slices);
        self.bytes += batch.bytes.get() as usize;
        self.next_offset = Some(batch.next_offset());
    }
}
