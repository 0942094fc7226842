//! Look-ups in the index file of a sealed segment, a few blocks each, through the shard's cache.
//!
//! An error says that the file is bad or cannot be read; the caller rebuilds the index from the
//! segment. Nothing here reads a segment.

use super::aborted::AbortedSearch;
use super::block_cache::{Block, BlockCache, BlockKey};
use super::index::{EntryAt, Item, PartitionFacts, PartitionSummary, Spread, Totals};
use crate::disk::io::Io;
use crate::disk::{BLOCK, DiskError};
use crate::framing::{FormatError, FormatFault};
use crate::ids::{FileId, Index, JournalIdentity, LeaderEpoch, Offset, PartitionId, RunId, Term};
use crate::journal::format::index_file::{
    EntryRow, EpochRow, FenceRow, IndexHeader, ItemRow, MarkerRow, PartitionRow, Section, check_block,
    rows_of,
};
use core::cell::Cell;
use std::rc::Rc;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Of a run the index is a part: there is nothing that it could be made again from.
    #[error("run {run}: {fault}")]
    Run { run: RunId, fault: FormatFault },
}

/// An open index file. Cheap to clone.
#[derive(Clone)]
pub struct SealedIndex(Rc<Opened>);

struct Opened {
    io: Io,
    cache: BlockCache,
    file: FileId,
    path: String,
    identity: JournalIdentity,
    base: Index,
    header: IndexHeader,
    /// A block could not be read or was not right: the file is to be made again.
    is_bad: Cell<bool>,
}

/// A checked block and its number of rows.
struct Rows {
    block: Block,
    rows: u16,
}

impl SealedIndex {
    /// Opens the file and reads its header; its length must be what the header says.
    pub async fn open(
        io: Io,
        cache: BlockCache,
        path: String,
        identity: JournalIdentity,
        base: Index,
    ) -> Result<Self, IndexError> {
        let (file, bytes) = io.open(&path).await?;
        match read_header(&io, file, bytes, &path, &identity, base).await {
            Ok(header) => {
                let is_bad = Cell::new(false);
                Ok(Self(Rc::new(Opened { io, cache, file, path, identity, base, header, is_bad })))
            }
            Err(error) => {
                io.close(file).await?;
                Err(error)
            }
        }
    }

    /// Closes the file and forgets its blocks. No look-up may be running.
    pub async fn close(self) -> Result<(), DiskError> {
        self.0.cache.forget(self.0.file);
        self.0.io.close(self.0.file).await
    }

    /// A look-up met a block that is not right.
    pub fn is_bad(&self) -> bool {
        self.0.is_bad.get()
    }

    /// The segment holds another entry than the index knows of.
    pub fn mark_bad(&self) {
        self.0.is_bad.set(true);
    }

    pub fn header(&self) -> &IndexHeader {
        &self.0.header
    }

    pub fn base(&self) -> Index {
        self.0.base
    }

    pub fn last(&self) -> Index {
        self.0.header.last()
    }

    pub fn totals(&self) -> Totals {
        let header = &self.0.header;
        Totals {
            data_bytes: header.data_bytes.get(),
            entries: u64::from(header.entries.get()),
            batches: header.batches.get(),
            batch_bytes: header.batch_bytes.get(),
        }
    }

    /// Where the entry `index` is.
    pub async fn entry(&self, index: Index) -> Result<Option<EntryAt>, IndexError> {
        if index < self.0.base || index > self.last() {
            return Ok(None);
        }
        let number = (index.0 - self.0.base.0) as u32;
        let row: EntryRow = self.row(Section::Entries, number).await?;
        Ok(Some(EntryAt {
            index,
            term: Term(row.term.get()),
            position: row.position.get(),
            entry_bytes: row.entry_bytes.get(),
            checksum: row.checksum.get(),
        }))
    }

    /// The item whose entry holds `offset`, or the first one behind it.
    pub async fn find(&self, partition: PartitionId, offset: Offset) -> Result<Option<Item>, IndexError> {
        Ok(self.items_from(partition, offset, 1).await?.pop())
    }

    /// Up to `items_max` of the partition's items from the one that holds `offset` on.
    pub async fn items_from(
        &self,
        partition: PartitionId,
        offset: Offset,
        items_max: usize,
    ) -> Result<Vec<Item>, IndexError> {
        let Some(row) = self.partition_row(partition).await? else { return Ok(Vec::new()) };
        if offset.0 >= row.next_offset.get() {
            return Ok(Vec::new());
        }
        // The last item that begins at or below the offset holds it, unless an accepted loss left
        // a gap behind that one.
        let behind = self.item_point(&row, |item| item.first_offset.get() <= offset.0).await?;
        let first = match behind.checked_sub(1).filter(|last| *last >= row.first_item.get()) {
            Some(last) if self.row::<ItemRow>(Section::Items, last).await?.reaches(offset) => last,
            _ => behind,
        };
        self.items(first, row.first_item.get() + row.items.get(), items_max).await
    }

    /// The first item that has a batch at or after `timestamp` in it.
    pub async fn first_at_time(
        &self,
        partition: PartitionId,
        timestamp: i64,
    ) -> Result<Option<Item>, IndexError> {
        let Some(row) = self.partition_row(partition).await? else { return Ok(None) };
        if row.max_timestamp.get() < timestamp {
            return Ok(None);
        }
        let first = self.item_point(&row, |item| item.max_timestamp.get() < timestamp).await?;
        Ok(self.items(first, row.first_item.get() + row.items.get(), 1).await?.pop())
    }

    pub async fn partition(&self, partition: PartitionId) -> Result<Option<PartitionSummary>, IndexError> {
        match self.partition_row(partition).await? {
            Some(row) => Ok(Some(row.summary(self.epochs(&row).await?))),
            None => Ok(None),
        }
    }

    pub async fn facts(&self, partition: PartitionId) -> Result<Option<PartitionFacts>, IndexError> {
        Ok(self.partition_row(partition).await?.map(|row| row.facts()))
    }

    /// Up to `count` partitions, by their id, from row `first` on.
    pub async fn facts_from(&self, first: u32, count: u32) -> Result<Vec<PartitionFacts>, IndexError> {
        let per_block = Section::Partitions.rows_per_block();
        let end = first.saturating_add(count).min(self.0.header.partitions.get());
        let mut facts = Vec::with_capacity(end.saturating_sub(first) as usize);
        let mut next = first;
        while next < end {
            let rows = self.block(Section::Partitions, next / per_block).await?;
            let rows = &rows.of::<PartitionRow>()[(next % per_block) as usize..];
            let taken = rows.len().min((end - next) as usize);
            assert!(taken > 0, "row {next} of {} is in a block that ends before it", self.0.path);
            facts.extend(rows[..taken].iter().map(PartitionRow::facts));
            next += taken as u32;
        }
        Ok(facts)
    }

    /// How a partition lies in the segment's entries.
    pub async fn spread(&self, partition: PartitionId) -> Result<Spread, IndexError> {
        let row = self.partition_row(partition).await?;
        let entries = u64::from(self.0.header.entries.get());
        let spread =
            |row: PartitionRow| Spread::new(row.batch_bytes.get(), u64::from(row.items.get()), entries);
        Ok(row.map(spread).unwrap_or_default())
    }

    /// Takes the partition's markers from where the search begins on into it, until those behind do not matter.
    pub async fn search_aborted(
        &self,
        partition: PartitionId,
        search: &mut AbortedSearch,
    ) -> Result<(), IndexError> {
        let Some(row) = self.partition_row(partition).await? else { return Ok(()) };
        if row.markers.get() == 0 || row.next_offset.get() <= search.from().0 {
            return Ok(());
        }
        let wanted = (partition.0, search.from().0);
        let (mut low, mut high) = (0, self.0.header.rows(Section::Markers));
        while low < high {
            let middle = low + (high - low) / 2;
            let row: MarkerRow = self.row(Section::Markers, middle).await?;
            if (row.partition.get(), row.offset.get()) < wanted {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        for number in low..self.0.header.rows(Section::Markers) {
            let row: MarkerRow = self.row(Section::Markers, number).await?;
            if row.partition.get() != partition.0 || !search.take(&row.marker()) {
                break;
            }
        }
        Ok(())
    }

    async fn epochs(&self, row: &PartitionRow) -> Result<Vec<(LeaderEpoch, Offset)>, IndexError> {
        let mut epochs = Vec::with_capacity(row.epoch_rows.get() as usize);
        let first = row.first_epoch_row.get();
        for number in first..first + row.epoch_rows.get() {
            let epoch: EpochRow = self.row(Section::Epochs, number).await?;
            epochs.push((LeaderEpoch(epoch.epoch.get()), Offset(epoch.start_offset.get())));
        }
        Ok(epochs)
    }

    async fn partition_row(&self, partition: PartitionId) -> Result<Option<PartitionRow>, IndexError> {
        let key = partition.0;
        let blocks = self.0.header.blocks(Section::Partitions);
        let after =
            self.fence_point(Section::PartitionFences, 0..blocks, |f| f.partition.get() <= key).await?;
        let Some(block) = after.checked_sub(1) else { return Ok(None) };
        let rows = self.block(Section::Partitions, block).await?;
        let rows = rows.of::<PartitionRow>();
        let found = rows.binary_search_by_key(&key, |row| row.partition.get());
        Ok(found.ok().map(|at| rows[at]))
    }

    /// The first of a partition's items for which `below` is false; its items are sorted so that
    /// `below` is true for a first part of them.
    async fn item_point(
        &self,
        row: &PartitionRow,
        below: impl Fn(&FenceRow) -> bool,
    ) -> Result<u32, IndexError> {
        let per_block = Section::Items.rows_per_block();
        let (first, end) = (row.first_item.get(), row.first_item.get() + row.items.get());
        // Fences of the blocks that begin within this partition; the one before may hold its first.
        let inner = first.div_ceil(per_block)..end.div_ceil(per_block);
        let after = self.fence_point(Section::ItemFences, inner, &below).await?;
        let block = after.saturating_sub(1).max(first / per_block);
        let rows = self.block(Section::Items, block).await?;
        let begin = block * per_block;
        let (from, to) = (first.max(begin), end.min(begin + u32::from(rows.rows)));
        let items = &rows.of::<ItemRow>()[(from - begin) as usize..(to - begin) as usize];
        let fence = |item: &ItemRow| FenceRow {
            partition: item.partition,
            first_offset: item.first_offset,
            max_timestamp: item.max_timestamp,
        };
        Ok(from + items.partition_point(|item| below(&fence(item))) as u32)
    }

    /// The first of these fences for which `below` is false.
    async fn fence_point(
        &self,
        section: Section,
        range: core::ops::Range<u32>,
        below: impl Fn(&FenceRow) -> bool,
    ) -> Result<u32, IndexError> {
        let (mut low, mut high) = (range.start, range.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if below(&self.row(section, middle).await?) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    async fn items(&self, first: u32, end: u32, items_max: usize) -> Result<Vec<Item>, IndexError> {
        let per_block = Section::Items.rows_per_block();
        let end = end.min(first.saturating_add(u32::try_from(items_max).unwrap_or(u32::MAX)));
        let mut items = Vec::with_capacity(end.saturating_sub(first) as usize);
        let mut next = first;
        while next < end {
            let rows = self.block(Section::Items, next / per_block).await?;
            let in_block = (next % per_block) as usize;
            let rows = &rows.of::<ItemRow>()[in_block..];
            let taken = rows.len().min((end - next) as usize);
            items.extend(rows[..taken].iter().map(ItemRow::item));
            next += taken as u32;
        }
        Ok(items)
    }

    async fn row<T>(&self, section: Section, number: u32) -> Result<T, IndexError>
    where
        T: Copy + zerocopy::FromBytes + zerocopy::KnownLayout + zerocopy::Immutable + zerocopy::Unaligned,
    {
        let per_block = section.rows_per_block();
        let rows = self.block(section, number / per_block).await?;
        Ok(rows.of::<T>()[(number % per_block) as usize])
    }

    /// A block of a section, from the cache or the file; checked when it is read.
    async fn block(&self, section: Section, block: u32) -> Result<Rows, IndexError> {
        let opened = &*self.0;
        let number = opened.header.first_block(section) + block;
        let key = BlockKey { file: opened.file, number };
        let left = opened.header.rows(section) - block * section.rows_per_block();
        let rows = left.min(section.rows_per_block()) as u16;
        if let Some(block) = opened.cache.get(key) {
            return Ok(Rows { block, rows });
        }
        let checked = self.read_block(section, number, rows).await;
        opened.is_bad.set(opened.is_bad.get() || checked.is_err());
        let block = checked?;
        opened.cache.put(key, Rc::clone(&block));
        Ok(Rows { block, rows })
    }

    async fn read_block(&self, section: Section, number: u32, rows: u16) -> Result<Block, IndexError> {
        let opened = &*self.0;
        let position = u64::from(number) * BLOCK as u64;
        let read = opened.io.read(opened.file, position, BLOCK).await?;
        let found = check_block(&read, &opened.identity, opened.base, section, number)
            .map_err(|fault| fault.at(position).of(&opened.path))?;
        if found != rows {
            let fault = crate::framing::FormatFault::Value { position: position + 10 };
            return Err(fault.of(&opened.path).into());
        }
        Ok(Rc::new(<[u8; BLOCK]>::try_from(&read[..BLOCK]).expect("a whole block")))
    }
}

impl Rows {
    fn of<T>(&self) -> &[T]
    where
        T: zerocopy::FromBytes + zerocopy::KnownLayout + zerocopy::Immutable + zerocopy::Unaligned,
    {
        rows_of(&self.block[..], self.rows)
    }
}

async fn read_header(
    io: &Io,
    file: FileId,
    bytes: u64,
    path: &str,
    identity: &JournalIdentity,
    base: Index,
) -> Result<IndexHeader, IndexError> {
    let block = io.read(file, 0, BLOCK).await?;
    let header = IndexHeader::decode(&block, identity, base).map_err(|fault| fault.of(path))?;
    if bytes != header.file_bytes() {
        let short = crate::framing::FormatFault::Short { found: bytes, expected: header.file_bytes() };
        return Err(short.of(path).into());
    }
    Ok(header)
}
