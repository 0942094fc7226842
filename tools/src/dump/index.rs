//! `index`: the index files of sealed segments.

use super::cli::{Common, IndexTable};
use super::filter::Filter;
use super::journal::{Journal, Segment};
use super::list::Limit;
use super::names::Names;
use super::out::{Out, Row};
use super::source::Source;
use super::trouble::Trouble;
use crate::row;
use engine::disk::BLOCK;
use engine::ids::{Index, JournalIdentity, PartitionId};
use engine::journal::format::index_file::{
    EntryRow, EpochRow, IndexHeader, ItemRow, PartitionRow, Section, check_block, rows_of,
};
use std::path::Path;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// An index file, read whole; blocks are checked as they are asked for.
pub struct IndexFile {
    bytes: Vec<u8>,
    pub header: IndexHeader,
    identity: JournalIdentity,
    base: Index,
}

impl IndexFile {
    /// `None` when it was deleted since it was listed.
    pub fn open(path: &Path, identity: JournalIdentity, base: Index) -> Result<Option<Self>, Trouble> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Trouble::unreadable(path, error)),
        };
        let header =
            IndexHeader::decode(&bytes, &identity, base).map_err(|fault| Trouble::unreadable(path, fault))?;
        Ok(Some(Self { bytes, header, identity, base }))
    }

    /// The rows of a section with their byte positions; an error names the bad block.
    pub fn rows<T>(&self, section: Section) -> impl Iterator<Item = Result<(u64, T), String>> + '_
    where
        T: FromBytes + KnownLayout + Immutable + Unaligned + Copy + 'static,
    {
        let first = self.header.first_block(section);
        let numbers = first..first + self.header.blocks(section);
        numbers.flat_map(move |number| self.block_rows(section, number))
    }

    fn block_rows<T>(&self, section: Section, number: u32) -> Vec<Result<(u64, T), String>>
    where
        T: FromBytes + KnownLayout + Immutable + Unaligned + Copy,
    {
        let position = number as usize * BLOCK;
        let block = self.bytes.get(position..).unwrap_or_default();
        match check_block(block, &self.identity, self.base, section, number) {
            Ok(rows) => {
                let at = |row: usize| (position + 16 + row * size_of::<T>()) as u64;
                rows_of::<T>(block, rows)
                    .iter()
                    .enumerate()
                    .map(|(row, value)| Ok((at(row), *value)))
                    .collect()
            }
            Err(fault) => vec![Err(fault.at(position as u64).to_string())],
        }
    }
}

pub fn index(
    source: &Source,
    common: &Common,
    table: IndexTable,
    filter: &Filter,
    names: &Names,
    out: &mut Out<'_>,
) -> Result<(), Trouble> {
    let mut limit = Limit::new(common);
    for journal in &source.journals {
        for segment in &journal.segments {
            let Some(path) = &segment.index_path else { continue };
            let Some(file) = IndexFile::open(path, journal.identity, segment.base)? else { continue };
            let shown = Shown { journal, segment, path, file: &file, filter, names };
            for row in shown.rows(table) {
                let Some(row) = row? else { continue };
                out.row(row)?;
                if limit.count().is_break() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

struct Shown<'a> {
    journal: &'a Journal,
    segment: &'a Segment,
    path: &'a Path,
    file: &'a IndexFile,
    filter: &'a Filter,
    names: &'a Names,
}

type Rows<'a> = Box<dyn Iterator<Item = Result<Option<Row>, Trouble>> + 'a>;

impl<'a> Shown<'a> {
    fn rows(&'a self, table: IndexTable) -> Rows<'a> {
        match table {
            IndexTable::Header => Box::new(std::iter::once(Ok(Some(self.header_row())))),
            IndexTable::Partitions => self.section(Section::Partitions, Self::partition_row),
            IndexTable::Items => self.section(Section::Items, Self::item_row),
            IndexTable::Epochs => self.section(Section::Epochs, Self::epoch_row),
            IndexTable::Entries => self.section(Section::Entries, Self::entry_row),
        }
    }

    fn section<T>(&'a self, section: Section, row: fn(&Self, u64, &T) -> Option<Row>) -> Rows<'a>
    where
        T: FromBytes + KnownLayout + Immutable + Unaligned + Copy + 'static,
    {
        Box::new(self.file.rows::<T>(section).map(move |found| match found {
            Ok((position, value)) => Ok(row(self, position, &value)),
            Err(text) => Err(Trouble::unreadable(self.path, text)),
        }))
    }

    fn file_name(&self) -> String {
        super::journal::file_name(self.path)
    }

    fn header_row(&self) -> Row {
        let header = &self.file.header;
        row! {
            "journal" => self.journal.id().0,
            "file" => self.file_name(),
            "base" => header.base.get(),
            "last" => header.last.get(),
            "last_term" => header.last_term.get(),
            "data_bytes" => header.data_bytes.get(),
            "entries" => header.entries.get(),
            "batches" => header.batches.get(),
            "batch_bytes" => header.batch_bytes.get(),
            "partitions" => header.partitions.get(),
            "items" => header.items.get(),
            "epochs" => header.epochs.get(),
            "file_bytes" => header.file_bytes(),
        }
    }

    fn partition_row(&self, position: u64, row: &PartitionRow) -> Option<Row> {
        let partition = self.wanted(row.partition.get())?;
        Some(row! {
            "topic" => self.names.topic_partition(partition),
            "partition" => partition.0,
            "file" => self.file_name(),
            "position" => position,
            "first_offset" => row.first_offset.get(),
            "next_offset" => row.next_offset.get(),
            "batches" => row.batches.get(),
            "batch_bytes" => row.batch_bytes.get(),
            "max_timestamp" => row.max_timestamp.get(),
            "first_epoch" => row.first_epoch.get(),
            "last_epoch" => row.last_epoch.get(),
            "items" => row.items.get(),
        })
    }

    fn item_row(&self, position: u64, row: &ItemRow) -> Option<Row> {
        let partition = self.wanted(row.partition.get())?;
        Some(row! {
            "topic" => self.names.topic_partition(partition),
            "partition" => partition.0,
            "file" => self.file_name(),
            "position" => position,
            "first_offset" => row.first_offset.get(),
            "offsets" => row.offsets.get(),
            "max_timestamp" => row.max_timestamp.get(),
            "entry" => row.entry.get(),
            "entry_position" => row.position.get(),
            "entry_bytes" => row.entry_bytes.get(),
        })
    }

    fn epoch_row(&self, position: u64, row: &EpochRow) -> Option<Row> {
        let partition = self.wanted(row.partition.get())?;
        Some(row! {
            "topic" => self.names.topic_partition(partition),
            "partition" => partition.0,
            "file" => self.file_name(),
            "position" => position,
            "epoch" => row.epoch.get(),
            "start_offset" => row.start_offset.get(),
        })
    }

    fn entry_row(&self, position: u64, row: &EntryRow) -> Option<Row> {
        Some(row! {
            "file" => self.file_name(),
            "position" => position,
            "segment" => self.segment.name(),
            "entry_position" => row.position.get(),
            "term" => row.term.get(),
            "entry_bytes" => row.entry_bytes.get(),
            "checksum" => format!("{:08x}", row.checksum.get()),
        })
    }

    fn wanted(&self, partition: u64) -> Option<PartitionId> {
        let partition = PartitionId(partition);
        self.filter.takes_partition(partition).then_some(partition)
    }
}
