//! What a read wants, and what it gathered.

use crate::batch::records::RecordsError;
use crate::disk::DiskError;
use crate::entry::reader::EntryFault;
use crate::entry::{BatchDescriptor, Slice};
use crate::framing::FormatFault;
use crate::ids::{FileId, Index, Offset, PartitionId, RunId};
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
    /// The newest time of each batch, where that is asked for.
    pub times: Option<Vec<i64>>,
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
    #[error("run {run}: {fault}")]
    Run { run: RunId, fault: FormatFault },
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

/// Offsets that a batch takes.
#[derive(Clone, Copy, Debug)]
pub struct BatchStretch {
    pub base: Offset,
    pub next: Offset,
    pub bytes: usize,
    /// From here on whatever is missing before it is not lost.
    pub explained_from: Offset,
}

impl BatchStretch {
    /// Of a batch that was never rewritten: nothing is missing before it.
    fn of(batch: &BatchDescriptor) -> Self {
        let (base, next) = (batch.base_offset(), batch.next_offset());
        Self { base, next, bytes: batch.bytes.get() as usize, explained_from: Offset(i64::MAX) }
    }
}

impl Gathered {
    pub fn admits(&mut self, batch: &BatchDescriptor, want: &Want) -> Admitted {
        if batch.partition() != want.partition {
            return Admitted::No;
        }
        self.admits_stretch(&BatchStretch::of(batch), want)
    }

    pub fn admits_stretch(&mut self, batch: &BatchStretch, want: &Want) -> Admitted {
        let from = self.next_offset.unwrap_or(want.offset);
        if batch.next <= from {
            return Admitted::No;
        }
        if batch.base >= want.end {
            return Admitted::Full;
        }
        let is_first = self.bytes == 0 && want.at_least_one;
        if self.bytes + batch.bytes > want.bytes_max && !is_first {
            return Admitted::Full;
        }
        let gap = batch.base > from && from >= want.skipped_below && from < batch.explained_from;
        if gap {
            self.fault = Some(ReadFault::Lost(from));
            return Admitted::Full;
        }
        Admitted::Yes
    }

    pub fn take(&mut self, batch: &BatchDescriptor, slices: impl IntoIterator<Item = Slice>) {
        self.take_stretch(&BatchStretch::of(batch), batch.max_timestamp.get(), slices);
    }

    pub fn take_stretch(
        &mut self,
        batch: &BatchStretch,
        max_timestamp: i64,
        slices: impl IntoIterator<Item = Slice>,
    ) {
        self.slices.extend(slices);
        self.bytes += batch.bytes;
        self.next_offset = Some(batch.next);
        if let Some(times) = &mut self.times {
            times.push(max_timestamp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    const P: PartitionId = PartitionId(3);

    fn batch(partition: u64, base_offset: i64, bytes: u32) -> BatchDescriptor {
        let mut batch = BatchDescriptor::new_zeroed();
        batch.partition.set(partition);
        batch.base_offset.set(base_offset);
        batch.record_count.set(10);
        batch.bytes.set(bytes);
        batch
    }

    /// From offset 15 up to 50, at most 250 bytes.
    fn want() -> Want {
        Want {
            partition: P,
            offset: Offset(15),
            commit: Index(9),
            end: Offset(50),
            with_aborted: false,
            bytes_max: 250,
            at_least_one: false,
            skipped_below: Offset(0),
            together: 1,
        }
    }

    fn given(want: &Want, batches: &[BatchDescriptor]) -> (Vec<Admitted>, Gathered) {
        let mut gathered = Gathered::default();
        let admit = |batch: &BatchDescriptor| {
            let admitted = gathered.admits(batch, want);
            if admitted == Admitted::Yes {
                gathered.take(batch, []);
            }
            admitted
        };
        (batches.iter().map(admit).collect(), gathered)
    }

    #[test]
    fn batches_of_the_partition_from_the_one_with_the_offset_within_the_bytes() {
        use Admitted::{Full, No, Yes};
        let batches =
            [batch(3, 0, 100), batch(4, 10, 100), batch(3, 10, 100), batch(3, 20, 100), batch(3, 30, 100)];
        let (admitted, gathered) = given(&want(), &batches);
        assert_eq!(admitted, [No, No, Yes, Yes, Full]);
        assert_eq!((gathered.bytes, gathered.next_offset, gathered.fault), (200, Some(Offset(30)), None));
    }

    #[test]
    fn nothing_is_given_from_the_end_on() {
        assert_eq!(given(&Want { end: Offset(20), ..want() }, &[batch(3, 20, 1)]).0, [Admitted::Full]);
    }

    #[test]
    fn the_first_one_may_be_longer_where_one_must_be_given() {
        let long = [batch(3, 10, 900), batch(3, 20, 1)];
        assert_eq!(given(&want(), &long[..1]).0, [Admitted::Full]);
        let want = Want { at_least_one: true, ..want() };
        assert_eq!(given(&want, &long).0, [Admitted::Yes, Admitted::Full]);
    }

    #[test]
    fn a_gap_is_a_fault_but_where_a_loss_was_accepted() {
        let (admitted, gathered) = given(&want(), &[batch(3, 20, 1)]);
        assert_eq!((admitted, gathered.fault), (vec![Admitted::Full], Some(ReadFault::Lost(Offset(15)))));
        let accepted = Want { skipped_below: Offset(20), ..want() };
        assert_eq!(given(&accepted, &[batch(3, 20, 1)]).0, [Admitted::Yes]);
    }
}
