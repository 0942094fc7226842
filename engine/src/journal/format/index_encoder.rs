//! Makes the index file of a segment out of its index in memory, step by step: the segment of a journal with
//! 100,000 partitions takes tens of milliseconds, and nobody shall wait for that.

use super::index_file::{
    EntryRow, EpochRow, FenceRow, INDEX_BLOCK_HEADER_BYTES, INDEX_KIND, INDEX_KIND_FIRST, IndexBlockHeader,
    IndexHeader, ItemRow, MarkerRow, PartitionRow, Section,
};
use crate::disk::BLOCK;
use crate::framing::block_checksum;
use crate::ids::{Index, JournalIdentity, PartitionId};
use crate::journal::read::index::{ActiveIndex, PartitionSlots};
use hashbrown::hash_map::Keys;
use std::collections::{BTreeSet, btree_set};
use zerocopy::little_endian::U32;
use zerocopy::{Immutable, IntoBytes};

/// Of a step, so that it takes less than half a millisecond: partitions, items, blocks.
const PARTITIONS_AT_ONCE: usize = 1_024;
const ITEMS_AT_ONCE: usize = 4_096;
const BLOCKS_AT_ONCE: usize = 128;

/// Rows being gathered, section by section.
#[derive(Default)]
struct Rows {
    partitions: Vec<PartitionRow>,
    partition_fences: Vec<FenceRow>,
    items: Vec<ItemRow>,
    item_fences: Vec<FenceRow>,
    epochs: Vec<EpochRow>,
    entries: Vec<EntryRow>,
    markers: Vec<MarkerRow>,
}

/// The file in the making. [`Self::step`] until it is whole.
pub struct IndexEncoder<'a> {
    index: &'a ActiveIndex,
    identity: &'a JournalIdentity,
    stage: Stage<'a>,
    rows: Rows,
    file: Vec<u8>,
}

enum Stage<'a> {
    /// Partitions are put in order.
    Sorting(Keys<'a, PartitionId, PartitionSlots>, BTreeSet<PartitionId>),
    Gathering(btree_set::IntoIter<PartitionId>),
    /// The next section, and rows of it that are written.
    Writing(usize, usize),
    Whole,
}

/// The sections in the order of the file.
const SECTIONS: [Section; 7] = [
    Section::Partitions,
    Section::PartitionFences,
    Section::Items,
    Section::ItemFences,
    Section::Epochs,
    Section::Entries,
    Section::Markers,
];

impl<'a> IndexEncoder<'a> {
    pub fn new(index: &'a ActiveIndex, identity: &'a JournalIdentity) -> Self {
        let stage = Stage::Sorting(index.partitions.keys(), BTreeSet::new());
        Self { index, identity, stage, rows: Rows::default(), file: Vec::new() }
    }

    /// Goes on for a little; false once the file is whole.
    pub fn step(&mut self) -> bool {
        self.stage = match core::mem::replace(&mut self.stage, Stage::Whole) {
            Stage::Sorting(mut keys, mut sorted) => {
                sorted.extend(keys.by_ref().take(PARTITIONS_AT_ONCE));
                if sorted.len() < self.index.partitions.len() {
                    Stage::Sorting(keys, sorted)
                } else {
                    Stage::Gathering(sorted.into_iter())
                }
            }
            Stage::Gathering(mut left) => {
                self.gather(&mut left);
                if left.len() > 0 { Stage::Gathering(left) } else { self.begin_to_write() }
            }
            Stage::Writing(section, written) => self.write(section, written),
            Stage::Whole => Stage::Whole,
        };
        !matches!(self.stage, Stage::Whole)
    }

    /// The file's content.
    pub fn finish(mut self) -> Vec<u8> {
        while self.step() {}
        self.file
    }

    fn gather(&mut self, left: &mut btree_set::IntoIter<PartitionId>) {
        let items_before = self.rows.items.len();
        for id in left.take(PARTITIONS_AT_ONCE) {
            self.rows.gather(self.index, id, &self.index.partitions[&id]);
            if self.rows.items.len() - items_before >= ITEMS_AT_ONCE {
                return;
            }
        }
    }

    fn begin_to_write(&mut self) -> Stage<'a> {
        let rows = &mut self.rows;
        let entry = |slot: &crate::journal::read::index::EntrySlot| EntryRow {
            position: slot.position.into(),
            term: slot.term.0.into(),
            entry_bytes: slot.bytes.into(),
            checksum: slot.checksum.into(),
        };
        rows.entries.extend(self.index.entries.iter().map(entry));
        rows.partition_fences =
            first_of_blocks(&rows.partitions, Section::Partitions).map(FenceRow::of_partition).collect();
        rows.item_fences = first_of_blocks(&rows.items, Section::Items).map(FenceRow::of_item).collect();
        let header = self.file_header();
        self.file = Vec::with_capacity(header.file_bytes() as usize);
        let kind = if header.markers.get() == 0 { INDEX_KIND_FIRST } else { INDEX_KIND };
        self.file.extend_from_slice(&kind.encode(self.identity.secret, header.as_bytes()));
        Stage::Writing(0, 0)
    }

    /// Writes some blocks of a section, from one of its rows on.
    fn write(&mut self, at: usize, written: usize) -> Stage<'a> {
        let Some(section) = SECTIONS.get(at).copied() else {
            assert_eq!(self.file.len() as u64, self.file_header().file_bytes());
            return Stage::Whole;
        };
        let Self { rows, file, identity, index, .. } = self;
        let mut writer = SectionWriter { file, identity, base: index.base() };
        let written = match section {
            Section::Partitions => writer.some(section, &rows.partitions, written),
            Section::PartitionFences => writer.some(section, &rows.partition_fences, written),
            Section::Items => writer.some(section, &rows.items, written),
            Section::ItemFences => writer.some(section, &rows.item_fences, written),
            Section::Epochs => writer.some(section, &rows.epochs, written),
            Section::Entries => writer.some(section, &rows.entries, written),
            Section::Markers => writer.some(section, &rows.markers, written),
        };
        written.map_or(Stage::Writing(at + 1, 0), |written| Stage::Writing(at, written))
    }

    fn file_header(&self) -> IndexHeader {
        let last = self.index.entries.last().expect("a sealed segment has entries");
        let totals = self.index.totals();
        let count = |rows: usize| U32::new(u32::try_from(rows).expect("bounded by the segment"));
        IndexHeader {
            cluster: self.identity.cluster.0.into(),
            journal: self.identity.journal.0.into(),
            base: self.index.base().0.into(),
            last: self.index.last().0.into(),
            last_term: last.term.0.into(),
            last_checksum: last.checksum.into(),
            markers: count(self.rows.markers.len()),
            data_bytes: totals.data_bytes.into(),
            batches: totals.batches.into(),
            batch_bytes: totals.batch_bytes.into(),
            partitions: count(self.rows.partitions.len()),
            items: count(self.rows.items.len()),
            epochs: count(self.rows.epochs.len()),
            entries: count(self.rows.entries.len()),
        }
    }
}

impl ActiveIndex {
    /// The index file of this segment once sealed; the same bytes on every replica.
    pub fn encode_sealed(&self, identity: &JournalIdentity) -> Vec<u8> {
        IndexEncoder::new(self, identity).finish()
    }
}

impl Rows {
    fn gather(&mut self, index: &ActiveIndex, id: PartitionId, slots: &PartitionSlots) {
        let first_item = self.items.len();
        self.items.extend(slots.items.iter().map(|slot| ItemRow::of(&index.item(id, slot), slot.offsets())));
        let summary = slots.summary(id);
        let first_epoch_row = self.epochs.len();
        if summary.epochs.len() > 1 {
            self.epochs.extend(summary.epochs.iter().map(|start| EpochRow::of(id, *start)));
        }
        let mut row = PartitionRow::of(&summary);
        row.first_item.set(first_item as u32);
        row.items.set(slots.items.len() as u32);
        row.first_epoch_row.set(first_epoch_row as u32);
        row.epoch_rows.set((self.epochs.len() - first_epoch_row) as u32);
        let first_marker = self.markers.len();
        self.markers.extend(MarkerRow::of_all(id, &slots.markers));
        row.markers.set((self.markers.len() - first_marker) as u32);
        self.partitions.push(row);
    }
}

fn first_of_blocks<T>(rows: &[T], section: Section) -> impl Iterator<Item = &T> {
    rows.iter().step_by(section.rows_per_block() as usize)
}

struct SectionWriter<'a> {
    file: &'a mut Vec<u8>,
    identity: &'a JournalIdentity,
    base: Index,
}

impl SectionWriter<'_> {
    /// Writes some blocks of rows; how many rows are written then, unless all are.
    fn some<T: IntoBytes + Immutable>(
        &mut self,
        section: Section,
        rows: &[T],
        written: usize,
    ) -> Option<usize> {
        let per_block = section.rows_per_block() as usize;
        let end = rows.len().min(written + BLOCKS_AT_ONCE * per_block);
        rows[written..end].chunks(per_block).for_each(|rows| self.block(section, rows));
        (end < rows.len()).then_some(end)
    }

    fn block<T: IntoBytes + Immutable>(&mut self, section: Section, rows: &[T]) {
        let header = IndexBlockHeader {
            checksum: 0.into(),
            number: ((self.file.len() / BLOCK) as u32).into(),
            section: section as u8,
            reserved: 0,
            rows: (rows.len() as u16).into(),
            base_low: (self.base.0 as u32).into(),
        };
        let mut block = [0; BLOCK];
        let bytes = rows.as_bytes();
        block[..INDEX_BLOCK_HEADER_BYTES].copy_from_slice(header.as_bytes());
        block[INDEX_BLOCK_HEADER_BYTES..][..bytes.len()].copy_from_slice(bytes);
        let checksum = block_checksum(self.identity.secret, &block, 0);
        block[..4].copy_from_slice(&checksum.to_le_bytes());
        self.file.extend_from_slice(&block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::read::samples::{IDENTITY, descriptor, header};

    /// No step does more than its share, and how it was cut into steps does not show in the file.
    #[test]
    fn many_partitions_take_many_steps_and_give_one_file() {
        const PARTITIONS: u64 = 3 * PARTITIONS_AT_ONCE as u64;
        let base = Index(5);
        let mut index = ActiveIndex::new(base);
        for (number, partition) in (0..PARTITIONS).rev().enumerate() {
            let of_it = [descriptor(partition, 7, 1, 1_000)];
            let next = if number == 0 { base } else { index.last().next() };
            index.append(&header(base, next, number as u64 * 8192, 1), &of_it);
        }
        let mut encoder = IndexEncoder::new(&index, &IDENTITY);
        let mut steps = 0;
        while encoder.step() {
            steps += 1;
        }
        assert!(steps >= 2 * PARTITIONS / PARTITIONS_AT_ONCE as u64, "{steps} steps");
        assert!(!encoder.step(), "a whole file stays whole");
        assert!(encoder.rows.partitions.is_sorted_by_key(|row| row.partition.get()));
        assert_eq!(encoder.finish(), index.encode_sealed(&IDENTITY));
    }
}
