//! A whole run checked, byte for byte: in a file that is at hand, for tests, tools and what was fetched. The scrub does the
//! same chunk by chunk.

use super::chunk::check_chunk;
use super::run_file::{RunPartitionRow, RunSection, RunSum};
use super::run_index::{RunIndex, WholeRun};
use crate::disk::BLOCK;
use crate::framing::FormatFault;
use crate::ids::{JournalIdentity, Offset, PartitionId, RunId};
use futures_lite::future::block_on;
use zerocopy::IntoBytes;

/// What is wrong with a run, and with whose batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct RunFault {
    pub partition: Option<PartitionId>,
    pub fault: FormatFault,
}

impl From<FormatFault> for RunFault {
    fn from(fault: FormatFault) -> Self {
        Self { partition: None, fault }
    }
}

/// The first thing that is wrong with the run.
pub fn check_run(file: &[u8], identity: &JournalIdentity, run: RunId) -> Result<(), RunFault> {
    let (_, index) = RunIndex::open_whole(file, *identity, run)?;
    let rows = block_on(index.partitions(0, u32::MAX))?;
    block_on(index.inputs())?;
    let foot = index.foot();
    let counts = FormatFault::Value { position: file.len() as u64 - BLOCK as u64 };
    let mut sum = RunSum::new(identity);
    sum.add(rows.as_bytes());
    let (mut position, mut batches, mut chunks) = (BLOCK as u64, 0u64, 0u32);
    let mut last = None;
    for row in &rows {
        let partition = PartitionId(row.partition.get());
        let of_partition = |fault| RunFault { partition: Some(partition), fault };
        let is_next = last < Some(partition)
            && (row.position.get(), row.first_chunk.get()) == (position, chunks)
            && row.covered_from.get() <= row.covered_to.get();
        if !is_next {
            return Err(of_partition(counts));
        }
        check_partition(&index, file, identity, row).map_err(of_partition)?;
        position = position.saturating_add(row.kept_bytes.get());
        batches += u64::from(row.batches.get());
        chunks = chunks.saturating_add(row.chunks.get());
        last = Some(partition);
    }
    let total = (position, batches, chunks, sum.value());
    if total != (foot.body_end(), foot.batches.get(), foot.chunks.get(), foot.partitions_sum.get()) {
        return Err(counts.into());
    }
    let body_end = foot.body_end() as usize;
    let padding = &file[body_end..body_end.next_multiple_of(BLOCK)];
    if let Some(at) = padding.iter().position(|byte| *byte != 0) {
        return Err(FormatFault::Value { position: (body_end + at) as u64 }.into());
    }
    check_fences(&index, file)
}

/// Chunks follow each other without a gap, each is proven, and together they are what the row says.
fn check_partition(
    index: &RunIndex<WholeRun<'_>>,
    file: &[u8],
    identity: &JournalIdentity,
    row: &RunPartitionRow,
) -> Result<(), FormatFault> {
    let partition = PartitionId(row.partition.get());
    let wrong = FormatFault::Value { position: row.position.get() };
    let chunks = match row.chunks.get() {
        0 => Vec::new(),
        _ => block_on(index.chunks_from(partition, Offset(row.first_offset.get()), usize::MAX))?,
    };
    let mut sum = RunSum::new(identity);
    let (mut position, mut batches, mut max_timestamp) = (row.position.get(), 0u32, -1);
    for chunk in &chunks {
        let bytes = file.get(chunk.position as usize..chunk.end() as usize).ok_or(wrong)?;
        if chunk.position != position || chunk.max_timestamp < max_timestamp {
            return Err(FormatFault::Value { position: chunk.position });
        }
        check_chunk(identity, chunk, bytes)?;
        sum.add(&chunk.sum.to_le_bytes());
        position = chunk.end();
        batches = batches.saturating_add(chunk.batches);
        max_timestamp = chunk.max_timestamp;
    }
    let first = chunks.first().map_or(row.covered_to.get(), |chunk| chunk.first_offset.0);
    let next = chunks.last().map_or(row.covered_to.get(), |chunk| chunk.next_offset.0);
    let is_so = (chunks.len() as u32, batches, sum.value())
        == (row.chunks.get(), row.batches.get(), row.checksum.get())
        && (first, next) == (row.first_offset.get(), row.next_offset.get())
        && position - row.position.get() == row.kept_bytes.get()
        && max_timestamp == row.max_timestamp.get();
    if is_so { Ok(()) } else { Err(wrong) }
}

/// Blocks of fences are only read where there are many rows: here all of them are.
fn check_fences(index: &RunIndex<WholeRun<'_>>, file: &[u8]) -> Result<(), RunFault> {
    for section in [RunSection::PartitionFences, RunSection::ChunkFences] {
        for number in 0..index.foot().blocks(section) {
            block_on(index.check_fence_block(section, number))?;
        }
    }
    assert!(index.foot().file_bytes.get() == file.len() as u64, "checked when it was opened");
    Ok(())
}
