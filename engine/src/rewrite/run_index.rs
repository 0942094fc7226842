//! Look-ups in a run's index, a few blocks each, through whatever gives blocks. Each block is checked where it is used.

use super::run_file::*;
use crate::disk::BLOCK;
use crate::framing::FormatFault;
use crate::ids::{JournalIdentity, Offset, PartitionId, RunId};
use core::future::{Future, ready};
use core::ops::Deref;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Gives the blocks of a run's file by their number, from disk, cache or memory.
pub trait RunBlocks {
    type Block: Deref<Target = [u8]>;
    type Error: From<FormatFault>;

    fn block(&self, number: u32) -> impl Future<Output = Result<Self::Block, Self::Error>>;
}

/// A run's index.
pub struct RunIndex<B> {
    blocks: B,
    identity: JournalIdentity,
    run: RunId,
    foot: RunFoot,
}

impl<B: RunBlocks> RunIndex<B> {
    /// `foot` was read from the file's last block.
    pub fn new(blocks: B, identity: JournalIdentity, run: RunId, foot: RunFoot) -> Self {
        Self { blocks, identity, run, foot }
    }

    pub fn foot(&self) -> &RunFoot {
        &self.foot
    }

    pub fn blocks(&self) -> &B {
        &self.blocks
    }

    /// One row of a section, by its number.
    async fn row<T>(&self, section: RunSection, number: u32) -> Result<T, B::Error>
    where
        T: FromBytes + KnownLayout + Immutable + Unaligned + Copy,
    {
        let rows_per_block = section.rows_per_block();
        let block = self.rows_block::<T, _>(section, number / rows_per_block, |rows| {
            rows.get((number % rows_per_block) as usize).copied()
        });
        // The section has fewer rows than the foot says, or the partition's row tells of others.
        Ok(block.await?.ok_or(FormatFault::Value { position: 0 })?)
    }

    /// Looks at the rows of a section's block, by its number in the section.
    async fn rows_block<T, R>(
        &self,
        section: RunSection,
        number: u32,
        look: impl FnOnce(&[T]) -> R,
    ) -> Result<R, B::Error>
    where
        T: FromBytes + KnownLayout + Immutable + Unaligned,
    {
        if number >= self.foot.blocks(section) {
            return Err(FormatFault::Value { position: 0 }.into());
        }
        let number = self.foot.first_block(section) + number;
        let block = self.blocks.block(number).await?;
        let rows = run_rows::<T>(&block, &self.identity, self.run, (section, number));
        Ok(look(rows.map_err(|fault| fault.at(u64::from(number) * BLOCK as u64))?))
    }

    /// How many rows among `range` of a section come before the point where `is_before` turns false. Its fences, which
    /// answer the same question by `fence_is_before`, say which block that is in.
    async fn point<T>(
        &self,
        (section, fences): (RunSection, RunSection),
        range: core::ops::Range<u32>,
        fence_is_before: impl Fn(&RunFenceRow) -> bool,
        is_before: impl Fn(&T) -> bool,
    ) -> Result<u32, B::Error>
    where
        T: FromBytes + KnownLayout + Immutable + Unaligned,
    {
        if range.is_empty() {
            return Ok(range.start);
        }
        let per_block = section.rows_per_block();
        assert!(range.end <= self.foot.rows(section), "{section:?} has no rows {range:?}");
        // Blocks whose first row lies within the range; the point is in the last of them that begins before it.
        let (mut low, mut high) = (range.start / per_block + 1, (range.end - 1) / per_block + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let fence: RunFenceRow = self.row(fences, middle).await?;
            if fence_is_before(&fence) { low = middle + 1 } else { high = middle }
        }
        let block = low - 1;
        assert!(block < self.foot.blocks(section), "{section:?} has no block {block}");
        let first = block * per_block;
        let found = self.rows_block::<T, _>(section, block, |rows| {
            let from = (range.start.saturating_sub(first) as usize).min(rows.len());
            let to = ((range.end - first) as usize).min(rows.len());
            first + (from + rows[from..to].partition_point(&is_before)) as u32
        });
        found.await
    }

    /// What the run has of a partition.
    pub async fn partition(&self, partition: PartitionId) -> Result<Option<RunPartitionRow>, B::Error> {
        let sections = (RunSection::Partitions, RunSection::PartitionFences);
        let is_before = |row: &RunPartitionRow| row.partition.get() < partition.0;
        let fence_is_before = |row: &RunFenceRow| row.partition.get() < partition.0;
        let at = self.point(sections, 0..self.foot.partitions.get(), fence_is_before, is_before).await?;
        if at >= self.foot.partitions.get() {
            return Ok(None);
        }
        let row: RunPartitionRow = self.row(RunSection::Partitions, at).await?;
        if row.partition.get() != partition.0 {
            return Ok(None);
        }
        let end = u64::from(row.first_chunk.get()) + u64::from(row.chunks.get());
        if end > u64::from(self.foot.chunks.get()) {
            return Err(FormatFault::Value { position: 0 }.into());
        }
        Ok(Some(row))
    }

    async fn chunk_point(
        &self,
        row: &RunPartitionRow,
        fence_is_before: impl Fn(&RunFenceRow) -> bool,
        is_before: impl Fn(&RunChunkRow) -> bool,
    ) -> Result<u32, B::Error> {
        let sections = (RunSection::Chunks, RunSection::ChunkFences);
        let first = row.first_chunk.get();
        self.point(sections, first..first + row.chunks.get(), fence_is_before, is_before).await
    }

    /// Up to `chunks_max` of the partition's chunks, from the one on that has the first batch which ends above `offset`.
    pub async fn chunks_from(
        &self,
        partition: PartitionId,
        offset: Offset,
        chunks_max: usize,
    ) -> Result<Vec<RunChunk>, B::Error> {
        let Some(row) = self.partition(partition).await? else { return Ok(Vec::new()) };
        if offset.0 >= row.next_offset.get() {
            return Ok(Vec::new());
        }
        let fence_is_before = |fence: &RunFenceRow| fence.first_offset.get() <= offset.0;
        let is_before = |chunk: &RunChunkRow| chunk.first_offset.get() <= offset.0;
        let behind = self.chunk_point(&row, fence_is_before, is_before).await?;
        // The last one that begins at or below the offset has it, unless it ends before.
        let first = match behind.checked_sub(1).filter(|last| *last >= row.first_chunk.get()) {
            Some(last) if self.chunk(last).await?.next_offset > offset => last,
            _ => behind,
        };
        self.chunks(&row, first, chunks_max).await
    }

    /// The first chunk with a batch at or after `timestamp` in it.
    pub async fn first_at_time(
        &self,
        partition: PartitionId,
        timestamp: i64,
    ) -> Result<Option<RunChunk>, B::Error> {
        let Some(row) = self.partition(partition).await? else { return Ok(None) };
        if row.chunks.get() == 0 || row.max_timestamp.get() < timestamp {
            return Ok(None);
        }
        let fence_is_before = |fence: &RunFenceRow| fence.max_timestamp.get() < timestamp;
        let is_before = |chunk: &RunChunkRow| chunk.max_timestamp.get() < timestamp;
        let first = self.chunk_point(&row, fence_is_before, is_before).await?;
        Ok(self.chunks(&row, first, 1).await?.pop())
    }

    async fn chunks(
        &self,
        row: &RunPartitionRow,
        first: u32,
        chunks_max: usize,
    ) -> Result<Vec<RunChunk>, B::Error> {
        let end = row.first_chunk.get() + row.chunks.get();
        let wanted = ((end - first.min(end)) as usize).min(chunks_max);
        let mut chunks = Vec::with_capacity(wanted);
        for number in first..first + wanted as u32 {
            let chunk = self.chunk(number).await?;
            if chunk.partition.0 != row.partition.get() {
                return Err(FormatFault::Value { position: chunk.position }.into());
            }
            chunks.push(chunk);
        }
        Ok(chunks)
    }

    async fn chunk(&self, number: u32) -> Result<RunChunk, B::Error> {
        Ok(RunChunk::of(&self.row(RunSection::Chunks, number).await?))
    }

    /// Up to `count` chunks from number `first` on.
    pub async fn chunks_at(&self, first: u32, count: u32) -> Result<Vec<RunChunk>, B::Error> {
        let end = self.foot.chunks.get().min(first.saturating_add(count));
        let mut chunks = Vec::new();
        for number in first.min(end)..end {
            chunks.push(self.chunk(number).await?);
        }
        Ok(chunks)
    }

    /// Whether the rows of partitions are those that the foot sums up.
    pub async fn check_rows(&self) -> Result<(), B::Error> {
        let mut sum = RunSum::new(&self.identity);
        for number in 0..self.foot.partitions.get() {
            let row: RunPartitionRow = self.row(RunSection::Partitions, number).await?;
            sum.add(row.as_bytes());
        }
        let is_so = sum.value() == self.foot.partitions_sum.get();
        let position = self.foot.file_bytes.get() - BLOCK as u64;
        if is_so { Ok(()) } else { Err(FormatFault::Value { position }.into()) }
    }

    /// Up to `rows_max` partitions from row `first` on.
    pub async fn partitions(&self, first: u32, rows_max: u32) -> Result<Vec<RunPartitionRow>, B::Error> {
        let count = self.foot.partitions.get();
        let end = count.min(first.saturating_add(rows_max));
        let mut rows = Vec::new();
        for number in first.min(end)..end {
            rows.push(self.row(RunSection::Partitions, number).await?);
        }
        Ok(rows)
    }

    /// Whether each fence of a block is the first row of its own block.
    pub(super) async fn check_fence_block(&self, fences: RunSection, number: u32) -> Result<(), B::Error> {
        let rows = self.rows_block::<RunFenceRow, _>(fences, number, |rows| rows.to_vec()).await?;
        let first = number * fences.rows_per_block();
        for (at, fence) in rows.iter().enumerate() {
            let row = first + at as u32;
            let expected = match fences {
                RunSection::PartitionFences => {
                    let row = row * RunSection::Partitions.rows_per_block();
                    RunFenceRow::of_partition(&self.row(RunSection::Partitions, row).await?)
                }
                _ => {
                    let row = row * RunSection::Chunks.rows_per_block();
                    RunFenceRow::of_chunk(&self.row(RunSection::Chunks, row).await?)
                }
            };
            if *fence != expected {
                let block = self.foot.first_block(fences) + number;
                return Err(FormatFault::Value { position: u64::from(block) * BLOCK as u64 }.into());
            }
        }
        Ok(())
    }

    /// What the run was made of.
    pub async fn inputs(&self) -> Result<Vec<RunInput>, B::Error> {
        let mut inputs = Vec::new();
        for number in 0..self.foot.inputs.get() {
            let row: RunInputRow = self.row(RunSection::Inputs, number).await?;
            inputs.push(row.input().ok_or(FormatFault::Value { position: 0 })?);
        }
        Ok(inputs)
    }
}

/// A run's whole file, in memory or mapped.
#[derive(Clone, Copy, Debug)]
pub struct WholeRun<'a>(pub &'a [u8]);

impl<'a> RunBlocks for WholeRun<'a> {
    type Block = &'a [u8];
    type Error = FormatFault;

    fn block(&self, number: u32) -> impl Future<Output = Result<&'a [u8], FormatFault>> {
        let at = number as usize * BLOCK;
        let short = FormatFault::Short { found: self.0.len() as u64, expected: (at + BLOCK) as u64 };
        ready(self.0.get(at..at + BLOCK).ok_or(short))
    }
}

impl<'a> RunIndex<WholeRun<'a>> {
    /// Opens a file that is at hand; its head and foot are checked.
    pub fn open_whole(
        file: &'a [u8],
        identity: JournalIdentity,
        run: RunId,
    ) -> Result<(RunHead, Self), FormatFault> {
        let head = RunHead::decode(file, &identity, run)?;
        let at = file.len().checked_sub(BLOCK).filter(|at| at.is_multiple_of(BLOCK) && *at > 0);
        let short = FormatFault::Short { found: file.len() as u64, expected: 2 * BLOCK as u64 };
        let at = at.ok_or(short)?;
        let foot = RunFoot::decode(&file[at..], &identity, run, file.len() as u64)
            .map_err(|fault| fault.at(at as u64))?;
        Ok((head, Self::new(WholeRun(file), identity, run, foot)))
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
