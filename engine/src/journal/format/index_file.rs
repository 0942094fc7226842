//! The index file of a sealed segment, byte for byte: what `FORMAT.md` describes in words.
//!
//! ```text
//! block 0  header: counts, from which every section's place follows
//! then     partition table   sorted by partition
//!          partition fences  first key of each block of the table
//!          items             sorted by (partition, offset)
//!          item fences       first key of each block of items
//!          epochs            of partitions whose leader epoch changes within the segment
//!          entry table       one row per entry
//!          markers           of aborted transactions, and the last one of each partition
//! ```
//! Each block proves itself (checksum over its bytes, seeded with the journal's secret, its
//! number within), so that a look-up reads and trusts a few blocks alone.

use crate::disk::BLOCK;
use crate::framing::{FormatFault, FrameKind, block_checksum};
use crate::ids::{Index, JournalIdentity, LeaderEpoch, Offset, PartitionId, ProducerId, Term};
use crate::journal::read::aborted::MarkerAt;
use crate::journal::read::index::{PartitionFacts, PartitionSummary};
use crate::planted::{Bug, is_planted};
use zerocopy::little_endian::{I32, I64, U16, U32, U64, U128};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub const INDEX_KIND: FrameKind = FrameKind { magic: *b"DURAMENI", version: 2 };
/// Where no transaction ends in the segment.
pub const INDEX_KIND_FIRST: FrameKind = FrameKind { version: 1, ..INDEX_KIND };

/// The body of block 0.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct IndexHeader {
    pub cluster: U128,
    pub journal: U64,
    /// Index of the segment's first entry.
    pub base: U64,
    /// Index, term and header checksum of its last.
    pub last: U64,
    pub last_term: U64,
    pub last_checksum: U32,
    /// Rows of section 7; zero in version 1.
    pub markers: U32,
    /// The sealed segment's length.
    pub data_bytes: U64,
    pub batches: U64,
    pub batch_bytes: U64,
    /// Rows of each section.
    pub partitions: U32,
    pub items: U32,
    pub epochs: U32,
    pub entries: U32,
}

/// The first bytes of every block but block 0.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct IndexBlockHeader {
    /// CRC-32C over the secret (8 bytes, little-endian), then the block with this field as zero.
    pub checksum: U32,
    /// The block's number in the file.
    pub number: U32,
    /// A [`Section`].
    pub section: u8,
    /// Zero.
    pub reserved: u8,
    /// Rows in this block.
    pub rows: U16,
    /// The segment's base, low half: a block of another file does not pass for this one's.
    pub base_low: U32,
}

pub const INDEX_BLOCK_HEADER_BYTES: usize = 16;
const _: () = assert!(size_of::<IndexBlockHeader>() == INDEX_BLOCK_HEADER_BYTES);
const ROWS_BYTES_MAX: usize = BLOCK - INDEX_BLOCK_HEADER_BYTES;

/// A row of the partition table.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct PartitionRow {
    pub partition: U64,
    pub first_offset: I64,
    pub next_offset: I64,
    pub batch_bytes: U64,
    pub max_timestamp: I64,
    pub batches: U32,
    pub first_epoch: I32,
    pub last_epoch: I32,
    /// Its items: the first one's row and how many.
    pub first_item: U32,
    pub items: U32,
    /// Its epoch rows; none when the epoch does not change.
    pub first_epoch_row: U32,
    pub epoch_rows: U32,
    /// How many rows of section 7 it has; zero in version 1.
    pub markers: U32,
}

/// The first key of a block of the partition table or of items.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct FenceRow {
    pub partition: U64,
    pub first_offset: I64,
    /// Of the item; zero for the partition table.
    pub max_timestamp: I64,
}

/// One item: a partition's batches in an entry.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct ItemRow {
    pub partition: U64,
    pub first_offset: I64,
    /// The highest timestamp of the partition in the segment up to and with this entry.
    pub max_timestamp: I64,
    /// Index of the entry.
    pub entry: U64,
    /// Where it begins in the segment.
    pub position: U64,
    pub entry_bytes: U32,
    /// Offsets that its batches take together; all ones when that does not fit.
    pub offsets: U32,
}

/// Where a leader epoch of a partition begins.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct EpochRow {
    pub partition: U64,
    pub start_offset: I64,
    pub epoch: I32,
    /// Zero.
    pub reserved: U32,
}

/// One entry of the segment.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct EntryRow {
    pub position: U64,
    pub term: U64,
    pub entry_bytes: U32,
    /// The entry's header checksum.
    pub checksum: U32,
}

/// A marker that aborts a transaction, or the last one of its partition in the segment.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct MarkerRow {
    pub partition: U64,
    pub offset: I64,
    pub producer_id: I64,
    /// Where the transaction began that it ends.
    pub first_offset: I64,
    /// The first offset that is undecided behind it; −1 where that is not known.
    pub stable: I64,
    /// 1: it aborts.
    pub aborts: U32,
    /// Zero.
    pub reserved: U32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Section {
    Partitions = 1,
    PartitionFences = 2,
    Items = 3,
    ItemFences = 4,
    Epochs = 5,
    Entries = 6,
    Markers = 7,
}

impl Section {
    pub const ALL: [Section; 7] = [
        Self::Partitions,
        Self::PartitionFences,
        Self::Items,
        Self::ItemFences,
        Self::Epochs,
        Self::Entries,
        Self::Markers,
    ];

    pub fn row_bytes(self) -> usize {
        match self {
            Self::Partitions => size_of::<PartitionRow>(),
            Self::PartitionFences | Self::ItemFences => size_of::<FenceRow>(),
            Self::Items => size_of::<ItemRow>(),
            Self::Epochs => size_of::<EpochRow>(),
            Self::Entries => size_of::<EntryRow>(),
            Self::Markers => size_of::<MarkerRow>(),
        }
    }

    pub fn rows_per_block(self) -> u32 {
        (ROWS_BYTES_MAX / self.row_bytes()) as u32
    }
}

impl IndexHeader {
    pub fn rows(&self, section: Section) -> u32 {
        match section {
            Section::Partitions => self.partitions.get(),
            Section::Items => self.items.get(),
            Section::Epochs => self.epochs.get(),
            Section::Entries => self.entries.get(),
            Section::Markers => self.markers.get(),
            Section::PartitionFences => self.blocks(Section::Partitions),
            Section::ItemFences => self.blocks(Section::Items),
        }
    }

    pub fn blocks(&self, section: Section) -> u32 {
        self.rows(section).div_ceil(section.rows_per_block())
    }

    /// The number of the section's first block in the file.
    pub fn first_block(&self, section: Section) -> u32 {
        let before = Section::ALL.iter().filter(|other| **other < section);
        1 + before.map(|other| self.blocks(*other)).sum::<u32>()
    }

    /// The file's length.
    pub fn file_bytes(&self) -> u64 {
        let blocks: u64 = Section::ALL.iter().map(|section| u64::from(self.blocks(*section))).sum();
        (1 + blocks) * BLOCK as u64
    }

    pub fn last(&self) -> Index {
        Index(self.last.get())
    }

    pub fn last_term(&self) -> Term {
        Term(self.last_term.get())
    }

    /// Reads block 0.
    pub fn decode(block: &[u8], identity: &JournalIdentity, base: Index) -> Result<Self, FormatFault> {
        let body = INDEX_KIND.decode(identity.secret, block)?;
        let value = FormatFault::Value { position: crate::framing::FRAME_BYTES as u64 };
        let header = *Self::ref_from_bytes(body).map_err(|_| value)?;
        let own = header.cluster.get() == identity.cluster.0
            && header.journal.get() == identity.journal.0
            && header.base.get() == base.0;
        if !own {
            return Err(FormatFault::Foreign { position: crate::framing::FRAME_BYTES as u64 });
        }
        if header.last.get() + 1 != base.0 + u64::from(header.entries.get()) {
            return Err(value);
        }
        Ok(header)
    }
}

/// The rows of one block behind its header, checked. Positions count from the block's begin.
pub fn check_block(
    block: &[u8],
    identity: &JournalIdentity,
    base: Index,
    section: Section,
    number: u32,
) -> Result<u16, FormatFault> {
    if block.len() < BLOCK {
        return Err(FormatFault::Short { found: block.len() as u64, expected: BLOCK as u64 });
    }
    let (header, _) = IndexBlockHeader::ref_from_prefix(block).expect("a header is unaligned bytes");
    let (found, expected) = (header.checksum.get(), block_checksum(identity.secret, &block[..BLOCK], 0));
    if found != expected {
        return Err(FormatFault::Checksum { position: 0, found, expected });
    }
    let own = header.number.get() == number
        && header.section == section as u8
        && header.base_low.get() == base.0 as u32;
    if !own {
        return Err(FormatFault::Foreign { position: 4 });
    }
    if u32::from(header.rows.get()) > section.rows_per_block() {
        return Err(FormatFault::Value { position: 10 });
    }
    Ok(header.rows.get())
}

/// The rows of a block that [`check_block`] found good.
pub fn rows_of<T: FromBytes + KnownLayout + Immutable + Unaligned>(block: &[u8], rows: u16) -> &[T] {
    let bytes = &block[INDEX_BLOCK_HEADER_BYTES..][..usize::from(rows) * size_of::<T>()];
    <[T]>::ref_from_bytes(bytes).expect("rows are unaligned bytes")
}

impl PartitionRow {
    pub fn facts(&self) -> PartitionFacts {
        PartitionFacts {
            partition: PartitionId(self.partition.get()),
            first_offset: Offset(self.first_offset.get()),
            next_offset: Offset(self.next_offset.get()),
            max_timestamp: self.max_timestamp.get(),
            batch_bytes: self.batch_bytes.get(),
        }
    }

    pub fn summary(&self, epochs: Vec<(LeaderEpoch, Offset)>) -> PartitionSummary {
        let first = || vec![(LeaderEpoch(self.first_epoch.get()), Offset(self.first_offset.get()))];
        PartitionSummary {
            partition: PartitionId(self.partition.get()),
            first_offset: Offset(self.first_offset.get()),
            next_offset: Offset(self.next_offset.get()),
            batches: self.batches.get(),
            batch_bytes: self.batch_bytes.get(),
            max_timestamp: self.max_timestamp.get(),
            epochs: if epochs.is_empty() { first() } else { epochs },
        }
    }
}

impl PartitionRow {
    /// Without the places of its rows.
    pub(super) fn of(summary: &PartitionSummary) -> Self {
        Self {
            partition: summary.partition.0.into(),
            first_offset: summary.first_offset.0.into(),
            next_offset: summary.next_offset.0.into(),
            batch_bytes: summary.batch_bytes.into(),
            max_timestamp: summary.max_timestamp.into(),
            batches: summary.batches.into(),
            first_epoch: summary.first_epoch().0.into(),
            last_epoch: summary.last_epoch().0.into(),
            first_item: 0.into(),
            items: 0.into(),
            first_epoch_row: 0.into(),
            epoch_rows: 0.into(),
            markers: 0.into(),
        }
    }
}

impl MarkerRow {
    /// Those that abort, and the last one, which says how far all is decided.
    pub(super) fn of_all(partition: PartitionId, markers: &[MarkerAt]) -> impl Iterator<Item = Self> {
        let last = markers.len().saturating_sub(1);
        let aborts = |marker: &MarkerAt| marker.aborts && !is_planted(Bug::AbortedForgotten);
        let kept = markers.iter().enumerate().filter(move |(at, marker)| aborts(marker) || *at == last);
        kept.map(move |(_, marker)| Self {
            partition: partition.0.into(),
            offset: marker.offset.0.into(),
            producer_id: marker.producer.0.into(),
            first_offset: marker.first_offset.0.into(),
            stable: marker.stable.map_or(-1, |stable| stable.0).into(),
            aborts: u32::from(aborts(marker)).into(),
            reserved: 0.into(),
        })
    }

    pub fn marker(&self) -> MarkerAt {
        MarkerAt {
            offset: Offset(self.offset.get()),
            producer: ProducerId(self.producer_id.get()),
            first_offset: Offset(self.first_offset.get()),
            stable: Some(Offset(self.stable.get())).filter(|stable| stable.0 >= 0),
            aborts: self.aborts.get() != 0,
        }
    }
}

impl FenceRow {
    pub(super) fn of_partition(row: &PartitionRow) -> Self {
        Self { partition: row.partition, first_offset: row.first_offset, max_timestamp: 0.into() }
    }

    pub(super) fn of_item(row: &ItemRow) -> Self {
        Self { partition: row.partition, first_offset: row.first_offset, max_timestamp: row.max_timestamp }
    }
}

impl ItemRow {
    pub(super) fn of(item: &crate::journal::read::index::Item, offsets: u32) -> Self {
        Self {
            partition: item.partition.0.into(),
            first_offset: item.first_offset.0.into(),
            max_timestamp: item.max_timestamp.into(),
            entry: item.entry.0.into(),
            position: item.position.into(),
            entry_bytes: item.entry_bytes.into(),
            offsets: offsets.into(),
        }
    }

    /// Whether its batches reach up to `offset`, which is not below its first.
    pub fn reaches(&self, offset: Offset) -> bool {
        let offsets = self.offsets.get();
        offsets == u32::MAX || offset.0 - self.first_offset.get() < i64::from(offsets)
    }

    pub fn item(&self) -> crate::journal::read::index::Item {
        crate::journal::read::index::Item {
            partition: PartitionId(self.partition.get()),
            first_offset: Offset(self.first_offset.get()),
            entry: Index(self.entry.get()),
            position: self.position.get(),
            entry_bytes: self.entry_bytes.get(),
            max_timestamp: self.max_timestamp.get(),
        }
    }
}

impl EpochRow {
    pub(super) fn of(partition: PartitionId, (epoch, start): (LeaderEpoch, Offset)) -> Self {
        Self {
            partition: partition.0.into(),
            start_offset: start.0.into(),
            epoch: epoch.0.into(),
            reserved: 0.into(),
        }
    }
}
