//! Reads of entries that are not in memory: found through the index, checked before use.
//!
//! A procedure asks the catalog for one container after the other; of segments that were in memory when it began it
//! has the partition's items.

use super::aborted::{AbortedSearch, MarkerAt};
use super::catalog::{Finder, FoundIn};
use super::container::Container;
use super::index::Spread;
use super::run::OpenRun;
use super::sealed_index::IndexError;
use super::thin::Thin;
use crate::collections::Map;
use crate::disk::io::Pending;
use crate::disk::{BLOCK, Buffer, DiskError, IO_BYTES_MAX};
use crate::entry::EntryBytes;
use crate::entry::reader::{EntryFault, Expect, FaultKind, check_body, check_head};
use crate::ids::{FileId, Index, JournalIdentity, Offset, PartitionId};
use crate::journal::context::Context;
use crate::journal::read::thin::is_thin;
use crate::journal::read::want::{Admitted, Gathered, Located, ReadFault, Want};
use crate::rewrite::RunChunk;
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
    /// Only what is wanted of it.
    Thin(Thin),
}

/// Where a partition's entries can be, oldest first.
pub struct Places {
    pub identity: JournalIdentity,
    pub finder: Finder,
    /// Items of segments whose index is in memory.
    pub memory: Vec<Located>,
    /// Markers of the segments whose index is in memory, where it is asked which transactions were aborted.
    pub markers: Vec<MarkerAt>,
    /// Entries among them that this replica's disk may not have yet; for queries by time alone: a fetch
    /// finds those in the cache.
    pub not_durable: Vec<EntryBytes>,
    pub memory_spread: Spread,
    /// Tells the journal that its files are being read.
    pub reader: Rc<()>,
}

/// What is to be read next of a partition.
enum Read {
    Entries(Items),
    Chunks { run: Rc<OpenRun>, chunks: Vec<RunChunk>, covered_from: Offset },
}

/// Some of a partition's items, and how it lies in the entries there.
struct Items {
    located: Vec<Located>,
    spread: Spread,
}

/// Adds the batches of one entry to `gathered`, from `offset` on. False when it is full.
pub fn gather(gathered: &mut Gathered, entry: &EntryBytes, want: &Want) -> bool {
    for batch in entry.descriptors() {
        match gathered.admits(batch, want) {
            Admitted::No => {}
            Admitted::Full => return false,
            Admitted::Yes => {
                let start = batch.position.get() as usize;
                gathered.take(batch, entry.slices(start..start + batch.bytes.get() as usize));
            }
        }
    }
    gathered.bytes < want.bytes_max
}

/// Gathers one partition's batches from disk, or from what was read for others of the same fetch, and what of them was
/// aborted. Where a run took the place of others meanwhile, all of it comes from there: what was aborted is gone from a
/// run, and nothing tells of it any more, but batches that were read from a segment before have it.
pub async fn gather_cold(context: &Context, places: &Places, want: Want, shelf: &mut Shelf) -> Gathered {
    loop {
        let run = places.finder.run();
        let gathered = gather_once(context, places, want, shelf).await;
        let is_of_one = places.finder.run() == run;
        if is_of_one || !want.with_aborted {
            return gathered;
        }
    }
}

async fn gather_once(context: &Context, places: &Places, want: Want, shelf: &mut Shelf) -> Gathered {
    let mut gathered = gather_batches(context, places, want, shelf, Gathered::default()).await;
    if let Some(to) = gathered.next_offset.filter(|_| want.with_aborted) {
        match aborted(places, want.partition, want.offset, to).await {
            Ok(search) => gathered.aborted = search.found(),
            // Without it a reader would take what was aborted for committed.
            Err(error) => gathered = Gathered { fault: Some(error.into()), ..Gathered::default() },
        }
    }
    gathered
}

/// The aborted transactions with records in these offsets. Their markers may come much later.
pub async fn aborted(
    places: &Places,
    partition: PartitionId,
    from: Offset,
    to: Offset,
) -> Result<AbortedSearch, IndexError> {
    let mut search = AbortedSearch::new(from, to);
    let mut next = from;
    while let Some(found) = places.finder.items_from(partition, next, 1).await? {
        let container = match found {
            FoundIn::Items(sealed, _) => {
                sealed.index.search_aborted(partition, &mut search).await?;
                Container::Segment(sealed)
            }
            // What was aborted in it is gone.
            FoundIn::Chunks(run, _) => Container::Run(run),
        };
        if search.is_over() {
            return Ok(search);
        }
        let here = container.facts(partition).await?.map(|here| here.next_offset);
        next = here.filter(|end| *end > next).expect("it has the partition at that offset or behind");
    }
    for marker in &places.markers {
        if !search.take(marker) {
            break;
        }
    }
    Ok(search)
}

/// Adds one partition's batches to what is gathered.
pub async fn gather_batches(
    context: &Context,
    places: &Places,
    want: Want,
    shelf: &mut Shelf,
    mut gathered: Gathered,
) -> Gathered {
    loop {
        let from = gathered.next_offset.unwrap_or(want.offset);
        let items = match items_from(places, want.partition, from, want.commit).await {
            Ok(Read::Entries(items)) if items.located.is_empty() => return gathered,
            Ok(Read::Entries(items)) => items,
            Ok(Read::Chunks { run, chunks, covered_from }) => {
                match run.gather(&chunks, covered_from, &want, &mut gathered).await {
                    Ok(true) if gathered.next_offset.is_some_and(|next| next > from) => continue,
                    Ok(_) => {}
                    Err(fault) => gathered.fault = Some(fault),
                }
                return gathered;
            }
            Err(error) => {
                gathered.fault = Some(error.into());
                return gathered;
            }
        };
        let is_memory = places.memory.iter().any(|memory| memory.base == items.located[0].base);
        let goes_on = gather_items(context, places, &want, &items, &mut gathered, shelf).await;
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
    items: &Items,
    gathered: &mut Gathered,
    shelf: &mut Shelf,
) -> bool {
    let mut ahead: VecDeque<(Located, Coming, usize)> = VecDeque::new();
    let mut next = items.located.iter().peekable();
    let room = ANSWER_BYTES_MAX.saturating_sub(shelf.bytes).min(PART_BYTES_MAX);
    let (mut asked_bytes, mut coming_bytes) = (0, 0);
    loop {
        // One entry may always be read, so that every fetch gets on.
        while ahead.len() < AHEAD_ENTRIES
            && (asked_bytes == 0 || asked_bytes < room)
            && (coming_bytes == 0 || gathered.bytes + coming_bytes < want.bytes_max)
            && let Some(located) = next.next()
        {
            let (coming, bytes) = begin(context, located, want, items.spread, shelf);
            asked_bytes += bytes;
            coming_bytes += bytes;
            ahead.push_back((*located, coming, bytes));
        }
        let Some((located, coming, bytes)) = ahead.pop_front() else {
            return next.peek().is_none() && asked_bytes > 0;
        };
        coming_bytes -= bytes;
        let goes_on = match coming {
            Coming::Here(entry) => Ok(gather(gathered, &entry, want)),
            Coming::Load(load) => load.share(context, &places.identity, &located).await.map(|entry| {
                shelf.put(&located, &entry);
                gather(gathered, &entry, want)
            }),
            Coming::Thin(thin) => thin.gather(context, &places.identity, &located, want, gathered).await,
        };
        match goes_on {
            Ok(true) => {}
            Ok(false) => return false,
            Err(fault) => {
                gathered.fault = Some(fault);
                return false;
            }
        }
    }
}

/// Finds an entry or begins to read it; with the bytes that this keeps in memory.
fn begin(
    context: &Context,
    located: &Located,
    want: &Want,
    spread: Spread,
    shelf: &Shelf,
) -> (Coming, usize) {
    let entry_bytes = located.item.entry_bytes as usize;
    let here = shelf.get(located).or_else(|| context.entries.get(located.item.entry));
    match here {
        Some(entry) => (Coming::Here(entry), entry_bytes),
        None if is_thin(want, located, spread) => {
            (Coming::Thin(Thin::start(context, located)), spread.item_bytes as usize)
        }
        None => (Coming::Load(Load::join(context, located)), entry_bytes),
    }
}

/// The partition's items from the one that holds `offset` on: of one sealed segment, or of those
/// in memory.
async fn items_from(
    places: &Places,
    partition: PartitionId,
    offset: Offset,
    commit: Index,
) -> Result<Read, IndexError> {
    let in_memory = |located: &&Located| located.item.partition == partition && located.item.entry <= commit;
    let memory: Vec<Located> = places.memory.iter().filter(in_memory).copied().collect();
    let spread = places.memory_spread;
    if memory.first().is_some_and(|first| first.item.first_offset <= offset) {
        let start = memory.iter().rposition(|located| located.item.first_offset <= offset).unwrap_or(0);
        return Ok(Read::Entries(Items { located: memory[start..].to_vec(), spread }));
    }
    let (sealed, items) = match places.finder.items_from(partition, offset, ITEMS_AT_ONCE).await? {
        None => return Ok(Read::Entries(Items { located: memory, spread })),
        Some(FoundIn::Chunks(run, chunks)) => {
            let facts = run.facts(partition).await?;
            let covered_from = facts.map_or(Offset(i64::MAX), |facts| facts.first_offset);
            return Ok(Read::Chunks { run, chunks, covered_from });
        }
        Some(FoundIn::Items(sealed, items)) => (sealed, items),
    };
    // One that was sealed since has entries that may not be shown to this reader.
    let shown = items.iter().filter(|item| item.entry <= commit);
    let located = shown.map(|item| Located { file: sealed.file, base: sealed.base, item: *item }).collect();
    Ok(Read::Entries(Items { located, spread: sealed.index.spread(partition).await? }))
}

/// An entry on its way into memory.
struct Load {
    pieces: SmallVec<[Pending; 1]>,
}

impl Load {
    /// Begins to read an entry that is committed, together with those that read it now.
    fn join(context: &Context, located: &Located) -> Self {
        Self::begin(located, |position, bytes| context.io.join_read(located.file, position, bytes))
    }

    fn start(context: &Context, located: &Located) -> Self {
        Self::begin(located, |position, bytes| context.io.read_ahead(located.file, position, bytes))
    }

    fn begin(located: &Located, read: impl Fn(u64, usize) -> Pending) -> Self {
        let entry_bytes = located.item.entry_bytes as usize;
        let pieces = (0..entry_bytes).step_by(IO_BYTES_MAX).map(|at| {
            let bytes = (entry_bytes - at).min(IO_BYTES_MAX);
            read(located.item.position + at as u64, bytes)
        });
        Self { pieces: pieces.collect() }
    }

    async fn read(self, located: &Located) -> Result<SmallVec<[Buffer; 1]>, ReadFault> {
        let mut pieces = SmallVec::new();
        for piece in self.pieces {
            let unreadable =
                |error: DiskError| ReadFault::Unreadable { base: located.base, located: *located, error };
            pieces.push(piece.read().await.map_err(unreadable)?);
        }
        Ok(pieces)
    }

    /// The entry; checked once, by the first of those who read it, and kept for the next.
    async fn share(
        self,
        context: &Context,
        identity: &JournalIdentity,
        located: &Located,
    ) -> Result<EntryBytes, ReadFault> {
        let pieces = self.read(located).await?;
        if let Some(entry) = context.entries.get(located.item.entry) {
            return Ok(entry);
        }
        let entry = checked(pieces, identity, located)?;
        context.entries.insert_read(entry.clone());
        Ok(entry)
    }
}

fn checked(
    pieces: SmallVec<[Buffer; 1]>,
    identity: &JournalIdentity,
    located: &Located,
) -> Result<EntryBytes, ReadFault> {
    let position = located.item.position;
    let expect = Expect { identity: *identity, segment_base: located.base, position };
    let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
    let faulty = |fault| ReadFault::Entry { base: located.base, located: *located, fault };
    // Of a lost entry not even the length is known.
    let first = pieces.first().map_or(&[][..], |piece| &piece[..]);
    let header = check_head(first, &expect).map_err(faulty)?;
    if header.entry_bytes() != bytes || header.index() != located.item.entry || bytes < BLOCK {
        return Err(faulty(EntryFault { position, kind: FaultKind::Length }));
    }
    let entry = EntryBytes::new(pieces);
    check_body(&entry).map_err(faulty)?;
    Ok(entry)
}

/// Reads one entry.
pub async fn load(
    context: &Context,
    identity: &JournalIdentity,
    located: &Located,
) -> Result<EntryBytes, ReadFault> {
    checked(Load::start(context, located).read(located).await?, identity, located)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::read::index::Item;
    use crate::journal::read::thin::HEAD_BYTES;

    fn is_thin(entry_bytes: u32, item_bytes: u64, together: u64) -> bool {
        let partition = PartitionId(1);
        let item = Item {
            partition,
            entry: Index(1),
            position: 0,
            entry_bytes,
            first_offset: Offset(0),
            max_timestamp: 0,
        };
        let want = Want {
            partition,
            offset: Offset(0),
            commit: Index(1),
            end: Offset(i64::MAX),
            with_aborted: false,
            bytes_max: 1 << 20,
            at_least_one: true,
            skipped_below: Offset(0),
            together,
        };
        let spread = Spread { item_bytes, entry_bytes: item_bytes };
        super::is_thin(&want, &Located { file: FileId(1), base: Index(1), item }, spread)
    }

    #[test]
    fn only_a_long_entry_of_which_little_is_wanted_is_read_in_parts() {
        assert!(is_thin(1 << 20, 16 << 10, 1));
        assert!(!is_thin(1 << 20, 16 << 10, 8), "eight partitions want most of it");
        assert!(!is_thin(4096, 100, 1), "one read gives all of it");
        assert!(!is_thin(HEAD_BYTES as u32, 100, 1) && is_thin(HEAD_BYTES as u32 + 4096, 100, 1));
    }
}
