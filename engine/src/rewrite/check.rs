//! A whole run checked, byte for byte, wherever its bytes come from: a file that is at hand, for tests and tools, or one on
//! the disk, read as it goes. Memory holds a few rows and one chunk at a time.

use super::chunk::{ReadSpan, check_chunk, span_of};
use super::run_file::{RunChunk, RunHead, RunPartitionRow, RunSection, RunSum};
use super::run_index::{RunBlocks, RunIndex, WholeRun};
use crate::disk::BLOCK;
use crate::framing::FormatFault;
use crate::ids::{JournalIdentity, Offset, PartitionId, RunId};
use core::future::{Future, ready};
use core::ops::Deref;
use futures_lite::future::block_on;
use zerocopy::IntoBytes;

/// Rows of chunks that are looked at together.
const CHUNKS_AT_ONCE: usize = 64;

/// What is wrong with a run, and with whose batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct RunFault<E: core::fmt::Display = FormatFault> {
    pub partition: Option<PartitionId>,
    pub fault: E,
}

impl<E: core::fmt::Display> From<E> for RunFault<E> {
    fn from(fault: E) -> Self {
        Self { partition: None, fault }
    }
}

/// Gives the bytes of a run's file besides its blocks.
pub trait RunBytes: RunBlocks {
    type Bytes: Deref<Target = [u8]>;

    /// All of the span, which may be as long as the longest batch.
    fn bytes(&self, span: ReadSpan) -> impl Future<Output = Result<Self::Bytes, Self::Error>>;
}

impl<'a> RunBytes for WholeRun<'a> {
    type Bytes = &'a [u8];

    fn bytes(&self, span: ReadSpan) -> impl Future<Output = Result<&'a [u8], FormatFault>> {
        let expected = span.position.saturating_add(span.bytes as u64);
        let short = FormatFault::Short { found: self.0.len() as u64, expected };
        let range = span.position as usize..expected as usize;
        ready(self.0.get(range).ok_or(short))
    }
}

/// The first thing that is wrong with the run in this file.
pub fn check_run(file: &[u8], identity: &JournalIdentity, run: RunId) -> Result<(), RunFault> {
    let (_, index) = RunIndex::open_whole(file, *identity, run)?;
    block_on(check_all(&index, identity, run))
}

/// The first thing that is wrong with a run whose foot was read.
pub async fn check_all<B: RunBytes>(
    index: &RunIndex<B>,
    identity: &JournalIdentity,
    run: RunId,
) -> Result<(), RunFault<B::Error>>
where
    B::Error: core::fmt::Display,
{
    let wrong = |fault: FormatFault| RunFault::from(B::Error::from(fault));
    RunHead::decode(&index.blocks().block(0).await?, identity, run).map_err(wrong)?;
    index.inputs().await?;
    let foot = *index.foot();
    let counts = FormatFault::Value { position: foot.file_bytes.get() - BLOCK as u64 };
    let mut sum = RunSum::new(identity);
    let (mut position, mut batches, mut chunks) = (BLOCK as u64, 0u64, 0u32);
    let mut last = None;
    for number in 0..foot.partitions.get() {
        let row = index.partitions(number, 1).await?.pop().ok_or(wrong(counts))?;
        sum.add(row.as_bytes());
        let partition = PartitionId(row.partition.get());
        let is_next = last < Some(partition)
            && (row.position.get(), row.first_chunk.get()) == (position, chunks)
            && row.covered_from.get() <= row.covered_to.get();
        if !is_next {
            return Err(RunFault { partition: Some(partition), fault: counts.into() });
        }
        let checked = check_partition(index, identity, &row).await;
        checked.map_err(|fault| RunFault { partition: Some(partition), fault })?;
        position = position.saturating_add(row.kept_bytes.get());
        batches += u64::from(row.batches.get());
        chunks = chunks.saturating_add(row.chunks.get());
        last = Some(partition);
    }
    assert!(position >= BLOCK as u64, "batches begin behind the head");
    assert!(last.is_some() || foot.partitions.get() == 0, "each partition was looked at");
    let total = (position, batches, chunks, sum.value());
    if total != (foot.body_end(), foot.batches.get(), foot.chunks.get(), foot.partitions_sum.get()) {
        return Err(wrong(counts));
    }
    check_padding(index, foot.body_end()).await?;
    check_fences(index).await?;
    Ok(())
}

/// Chunks follow each other without a gap, each is proven, and together they are what the row says.
async fn check_partition<B: RunBytes>(
    index: &RunIndex<B>,
    identity: &JournalIdentity,
    row: &RunPartitionRow,
) -> Result<(), B::Error> {
    let partition = PartitionId(row.partition.get());
    let wrong = FormatFault::Value { position: row.position.get() };
    let mut sum = RunSum::new(identity);
    let (mut position, mut batches, mut max_timestamp) = (row.position.get(), 0u32, -1);
    let (mut first, mut next, mut count) = (row.covered_to.get(), row.covered_to.get(), 0u32);
    while count < row.chunks.get() {
        let from = Offset(if count == 0 { row.first_offset.get() } else { next });
        let chunks = index.chunks_from(partition, from, CHUNKS_AT_ONCE).await?;
        // What follows is there, or the rows do not go with each other.
        let begin = chunks.first().ok_or(wrong)?;
        first = if count == 0 { begin.first_offset.0 } else { first };
        for chunk in &chunks {
            if chunk.position != position || chunk.max_timestamp < max_timestamp {
                return Err(FormatFault::Value { position: chunk.position }.into());
            }
            check_bytes(index, identity, chunk).await?;
            sum.add(&chunk.sum.to_le_bytes());
            position = chunk.end();
            batches = batches.saturating_add(chunk.batches);
            max_timestamp = chunk.max_timestamp;
            next = chunk.next_offset.0;
        }
        count += chunks.len() as u32;
    }
    assert!(position >= row.position.get(), "chunks of {partition:?} go on from {position}");
    let is_so = (count, batches, sum.value()) == (row.chunks.get(), row.batches.get(), row.checksum.get())
        && (first, next) == (row.first_offset.get(), row.next_offset.get())
        && position - row.position.get() == row.kept_bytes.get()
        && max_timestamp == row.max_timestamp.get();
    if is_so { Ok(()) } else { Err(wrong.into()) }
}

async fn check_bytes<B: RunBytes>(
    index: &RunIndex<B>,
    identity: &JournalIdentity,
    chunk: &RunChunk,
) -> Result<(), B::Error> {
    let wrong = FormatFault::Value { position: chunk.position };
    if chunk.bytes == 0 || chunk.end() > index.foot().body_end() {
        return Err(wrong.into());
    }
    let (span, _) = span_of(core::slice::from_ref(chunk), 0).expect("one chunk");
    let bytes = index.blocks().bytes(span).await?;
    assert!(
        span.position <= chunk.position && span.bytes >= chunk.bytes as usize,
        "{span:?} holds {chunk:?}"
    );
    let from = (chunk.position - span.position) as usize;
    check_chunk(identity, chunk, bytes.get(from..from + chunk.bytes as usize).ok_or(wrong)?)?;
    Ok(())
}

/// Between the batches and the index there are zeros.
async fn check_padding<B: RunBytes>(index: &RunIndex<B>, body_end: u64) -> Result<(), B::Error> {
    let within = (body_end % BLOCK as u64) as usize;
    if within > 0 {
        let block = index.blocks().block((body_end / BLOCK as u64) as u32).await?;
        if let Some(at) = block[within..].iter().position(|byte| *byte != 0) {
            return Err(FormatFault::Value { position: body_end + at as u64 }.into());
        }
    }
    Ok(())
}

/// Blocks of fences are only read where there are many rows: here all of them are.
async fn check_fences<B: RunBlocks>(index: &RunIndex<B>) -> Result<(), B::Error> {
    for section in [RunSection::PartitionFences, RunSection::ChunkFences] {
        for number in 0..index.foot().blocks(section) {
            index.check_fence_block(section, number).await?;
        }
    }
    Ok(())
}
