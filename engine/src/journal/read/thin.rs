//! One partition's batches out of an entry that has little else of what is wanted: its head is
//! read, then those batches, each checked by itself.
//!
//! An entry holds batches of many partitions. Read whole for one of them, 16 KiB would cost 1 MiB.

use super::want::{Admitted, Gathered, Located, ReadFault, Want};
use crate::disk::io::Pending;
use crate::disk::{BLOCK, Buffer, IO_BYTES_MAX};
use crate::entry::layout::descriptors_of;
use crate::entry::reader::{EntryFault, Expect, FaultKind, check_batch, check_head};
use crate::entry::{BatchDescriptor, EntryHeader, Slice};
use crate::ids::JournalIdentity;
use crate::journal::context::Context;
use crate::journal::read::index::Spread;
use smallvec::SmallVec;

/// Read first of an entry: the head of one with up to 225 batches.
pub const HEAD_BYTES: usize = 16 << 10;

/// An entry of which less than this part is wanted is not read whole: that costs more of the disk's
/// time than two short reads.
const THIN_PART: u64 = 8;

/// Whether so little of an entry is wanted, the other partitions' parts counted, that reading
/// the rest would be dear. Never where the first of the short reads would give all of it: a log
/// of one small record per entry took two reads one after the other for each record, and nothing
/// of them was kept.
pub fn is_thin(want: &Want, located: &Located, spread: Spread) -> bool {
    let wanted = spread.item_bytes + (want.together - 1) * spread.entry_bytes;
    let entry_bytes = u64::from(located.item.entry_bytes);
    entry_bytes > HEAD_BYTES as u64 && wanted * THIN_PART < entry_bytes
}

/// An entry whose head is on its way.
pub struct Thin {
    head: Pending,
}

impl Thin {
    pub fn start(context: &Context, located: &Located) -> Self {
        let bytes = HEAD_BYTES.min(located.item.entry_bytes as usize);
        Self { head: context.io.read_ahead(located.file, located.item.position, bytes) }
    }

    /// Adds the partition's batches from the wanted offset on. False when that is full.
    pub async fn gather(
        self,
        context: &Context,
        identity: &JournalIdentity,
        located: &Located,
        want: &Want,
        gathered: &mut Gathered,
    ) -> Result<bool, ReadFault> {
        let position = located.item.position;
        let expect = Expect { identity: *identity, segment_base: located.base, position };
        let faulty = |fault| ReadFault::Entry { base: located.base, located: *located, fault };
        let mut head = self.head.read().await?;
        if let Err(EntryFault { kind: FaultKind::Short { needed, .. }, .. }) = check_head(&head, &expect)
            && needed > head.len()
            && needed <= located.item.entry_bytes as usize
        {
            head = context.io.read(located.file, position, needed.next_multiple_of(BLOCK)).await?;
        }
        let header = check_head(&head, &expect).map_err(faulty)?;
        let is_meant = header.index() == located.item.entry;
        if !is_meant || header.entry_bytes() != located.item.entry_bytes as usize {
            return Err(faulty(EntryFault { position, kind: FaultKind::Length }));
        }
        let descriptors = descriptors_of(&head, header.count.get()).unwrap_or(&[]);
        for (number, batch) in (0..).zip(descriptors) {
            match gathered.admits(batch, want) {
                Admitted::No => {}
                Admitted::Full => return Ok(false),
                Admitted::Yes => {
                    let slices = read_batch(context, located, header, (number, batch)).await?;
                    gathered.take(batch, slices);
                }
            }
        }
        Ok(gathered.bytes < want.bytes_max)
    }
}

async fn read_batch(
    context: &Context,
    located: &Located,
    header: &EntryHeader,
    (number, batch): (u32, &BatchDescriptor),
) -> Result<SmallVec<[Slice; 1]>, ReadFault> {
    let begin = batch.position.get() as usize;
    let end = begin + batch.bytes.get() as usize;
    let (first, last) = (begin - begin % BLOCK, end.next_multiple_of(BLOCK));
    let pieces: SmallVec<[(usize, Pending); 1]> = (first..last)
        .step_by(IO_BYTES_MAX)
        .map(|at| {
            let bytes = (last - at).min(IO_BYTES_MAX);
            (at, context.io.read_ahead(located.file, located.item.position + at as u64, bytes))
        })
        .collect();
    let mut slices = SmallVec::new();
    for (at, piece) in pieces {
        let buffer: Buffer = piece.read().await?;
        let (start, end) = (begin.saturating_sub(at), (end - at).min(buffer.len()));
        slices.push(Slice { start: start as u32, end: end as u32, buffer });
    }
    let checked = check_batch(header, number, batch, slices.iter().map(|slice: &Slice| &**slice));
    checked.map_err(|fault| ReadFault::Entry { base: located.base, located: *located, fault })?;
    Ok(slices)
}
