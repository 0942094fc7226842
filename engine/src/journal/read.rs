//! Reads of entries that are not in memory: found through the index, checked before use.
//!
//! A procedure works on a snapshot of what the journal had when it began: sealed segments by
//! reference, and of segments still in memory the partition's items.

use super::index::Item;
use super::recovery::Context;
use super::sealed_index::IndexError;
use super::segment::Sealed;
use crate::collections::Map;
use crate::disk::{BLOCK, DiskError, IO_BYTES_MAX};
use crate::entry::reader::{EntryFault, Expect, check_body, check_head};
use crate::entry::{EntryBytes, Slice};
use crate::ids::{FileId, Index, JournalIdentity, Offset, PartitionId};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::rc::Rc;

/// Entries read ahead of the one being checked: four of them keep a disk busy.
const AHEAD_ENTRIES: usize = 4;
/// Items asked of a sealed index at a time.
pub const ITEMS_AT_ONCE: usize = 64;

/// One partition's part of an answer keeps at most so many bytes of entries in memory, however
/// thinly it lies in them: what it gives is sent from those very buffers.
const PART_BYTES_MAX: usize = 8 << 20;
/// The same of a whole answer.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// Entries that were read for one fetch: partitions that lie in the same entries share them.
#[derive(Default)]
pub struct Shelf {
    entries: Map<(FileId, u64), EntryBytes>,
    bytes: usize,
}

impl Shelf {
    fn get(&self, located: &Located) -> Option<EntryBytes> {
        self.entries.get(&(located.file, located.item.position)).cloned()
    }

    fn put(&mut self, located: &Located, entry: &EntryBytes) {
        self.bytes += entry.capacity();
        self.entries.insert((located.file, located.item.position), entry.clone());
    }
}

/// An entry on its way, or there already.
enum Coming {
    Here(EntryBytes),
    Load(Load),
}

/// An index item and the file it speaks of.
#[derive(Clone, Copy, Debug)]
pub struct Located {
    pub file: FileId,
    pub base: Index,
    pub item: Item,
}

/// Where a partition's entries can be, oldest first.
pub struct Places {
    pub identity: JournalIdentity,
    pub sealed: Vec<Rc<Sealed>>,
    /// Items of segments whose index is in memory.
    pub memory: Vec<Located>,
}

/// One partition's part of a read.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    pub partition: PartitionId,
    pub offset: Offset,
    /// Entries up to here may be shown.
    pub commit: Index,
    pub bytes_max: usize,
    /// Give the first batch even when it is longer.
    pub at_least_one: bool,
    /// Offsets below this may be missing: their loss was accepted.
    pub skipped_below: Offset,
}

/// What was found for a [`Want`].
#[derive(Debug, Default)]
pub struct Gathered {
    pub slices: SmallVec<[Slice; 1]>,
    pub bytes: usize,
    /// The offset after the last batch gathered.
    pub next_offset: Option<Offset>,
    pub fault: Option<ReadFault>,
    /// Whole entries that were read and proved good.
    pub read: Vec<EntryBytes>,
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
    #[error("offset {0} is in an entry that is lost")]
    Lost(Offset),
    #[error("entry {0} is in no segment")]
    Missing(Index),
}

impl PartialEq for Located {
    fn eq(&self, other: &Self) -> bool {
        (self.base, self.item) == (other.base, other.item)
    }
}

impl Eq for Located {}

/// Adds the batches of one entry to `gathered`, from `offset` on. False when it is full.
pub fn gather(gathered: &mut Gathered, entry: &EntryBytes, want: &Want) -> bool {
    for batch in entry.descriptors().iter().filter(|batch| batch.partition() == want.partition) {
        let from = gathered.next_offset.unwrap_or(want.offset);
        if batch.next_offset() <= from {
            continue;
        }
        let bytes = batch.bytes.get() as usize;
        let is_first = gathered.bytes == 0 && want.at_least_one;
        if gathered.bytes + bytes > want.bytes_max && !is_first {
            return false;
        }
        let gap = batch.base_offset() > from && from >= want.skipped_below;
        if gap {
            gathered.fault = Some(ReadFault::Lost(from));
            return false;
        }
        let start = batch.position.get() as usize;
        gathered.slices.extend(entry.slices(start..start + bytes));
        gathered.bytes += bytes;
        gathered.next_offset = Some(batch.next_offset());
    }
    gathered.bytes < want.bytes_max
}

/// Gathers one partition's batches from disk, or from what was read for others of the same fetch.
pub async fn gather_cold(context: &Context, places: &Places, want: Want, shelf: &mut Shelf) -> Gathered {
    let mut gathered = Gathered::default();
    loop {
        let from = gathered.next_offset.unwrap_or(want.offset);
        let located = match items_from(places, want.partition, from, want.commit).await {
            Ok(located) if located.is_empty() => return gathered,
            Ok(located) => located,
            Err(error) => {
                gathered.fault = Some(error.into());
                return gathered;
            }
        };
        let is_memory = places.memory.iter().any(|memory| memory.base == located[0].base);
        let goes_on = gather_items(context, places, &want, &located, &mut gathered, shelf).await;
        if !goes_on || is_memory || gathered.next_offset == Some(from) {
            return gathered;
        }
    }
}

/// Reads the entries of `located` in order, several ahead. False when the want is met or ended.
async fn gather_items(
    context: &Context,
    places: &Places,
    want: &Want,
    located: &[Located],
    gathered: &mut Gathered,
    shelf: &mut Shelf,
) -> bool {
    let mut ahead: VecDeque<(Located, Coming)> = VecDeque::new();
    let mut next = located.iter().peekable();
    let room = ANSWER_BYTES_MAX.saturating_sub(shelf.bytes).min(PART_BYTES_MAX);
    let (mut asked_bytes, mut coming_bytes) = (0, 0);
    loop {
        // One entry may always be read, so that every fetch gets on.
        while ahead.len() < AHEAD_ENTRIES
            && (asked_bytes == 0 || asked_bytes < room)
            && (coming_bytes == 0 || gathered.bytes + coming_bytes < want.bytes_max)
            && let Some(located) = next.next()
        {
            let coming = match shelf.get(located) {
                Some(entry) => Coming::Here(entry),
                None => Coming::Load(Load::start(context, located)),
            };
            asked_bytes += located.item.entry_bytes as usize;
            coming_bytes += located.item.entry_bytes as usize;
            ahead.push_back((*located, coming));
        }
        let Some((located, coming)) = ahead.pop_front() else {
            return next.peek().is_none() && asked_bytes > 0;
        };
        coming_bytes -= located.item.entry_bytes as usize;
        let entry = match coming {
            Coming::Here(entry) => entry,
            Coming::Load(load) => match load.finish(&places.identity, &located).await {
                Ok(entry) => {
                    shelf.put(&located, &entry);
                    gathered.read.push(entry.clone());
                    entry
                }
                Err(fault) => {
                    gathered.fault = Some(fault);
                    return false;
                }
            },
        };
        if !gather(gathered, &entry, want) {
            return false;
        }
    }
}

/// The partition's items from the one that holds `offset` on: of one sealed segment, or of those
/// in memory.
async fn items_from(
    places: &Places,
    partition: PartitionId,
    offset: Offset,
    commit: Index,
) -> Result<Vec<Located>, IndexError> {
    // The newest segment in which the partition begins at or below the offset holds it; when it
    // ends there, the one after it that has the partition at all.
    let in_memory = |located: &&Located| located.item.partition == partition && located.item.entry <= commit;
    let memory: Vec<Located> = places.memory.iter().filter(in_memory).copied().collect();
    if memory.first().is_some_and(|first| first.item.first_offset <= offset) {
        let start = memory.iter().rposition(|located| located.item.first_offset <= offset).unwrap_or(0);
        return Ok(memory[start..].to_vec());
    }
    let mut after = None;
    for sealed in places.sealed.iter().rev() {
        let items = sealed.index.items_from(partition, offset, ITEMS_AT_ONCE).await?;
        let Some(first) = items.first() else {
            if sealed.index.partition(partition).await?.is_some() {
                break;
            }
            continue;
        };
        let holds = first.first_offset <= offset;
        after = Some((sealed, items));
        if holds {
            break;
        }
    }
    Ok(match after {
        Some((sealed, items)) => {
            items.iter().map(|item| Located { file: sealed.file, base: sealed.base, item: *item }).collect()
        }
        None => memory,
    })
}

/// An entry on its way into memory.
struct Load {
    pieces: Vec<crate::disk::io::Pending>,
}

impl Load {
    fn start(context: &Context, located: &Located) -> Self {
        let entry_bytes = located.item.entry_bytes as usize;
        let pieces = (0..entry_bytes).step_by(IO_BYTES_MAX).map(|at| {
            let bytes = (entry_bytes - at).min(IO_BYTES_MAX);
            context.io.read_ahead(located.file, located.item.position + at as u64, bytes)
        });
        Self { pieces: pieces.collect() }
    }

    async fn finish(self, identity: &JournalIdentity, located: &Located) -> Result<EntryBytes, ReadFault> {
        let position = located.item.position;
        let expect = Expect { identity: *identity, segment_base: located.base, position };
        let mut pieces: SmallVec<[crate::disk::Buffer; 1]> = SmallVec::new();
        for piece in self.pieces {
            pieces.push(piece.read().await?);
        }
        let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        let faulty = |fault| ReadFault::Entry { base: located.base, located: *located, fault };
        let header = check_head(&pieces[0][..], &expect).map_err(faulty)?;
        if header.entry_bytes() != bytes || header.index() != located.item.entry || bytes < BLOCK {
            let kind = crate::entry::reader::FaultKind::Length;
            return Err(faulty(EntryFault { position, kind }));
        }
        let entry = EntryBytes::new(pieces);
        check_body(&entry).map_err(faulty)?;
        Ok(entry)
    }
}

/// Reads one entry.
pub async fn load(
    context: &Context,
    identity: &JournalIdentity,
    located: &Located,
) -> Result<EntryBytes, ReadFault> {
    Load::start(context, located).finish(identity, located).await
}
