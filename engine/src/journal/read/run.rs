//! A run as a container: opened, looked up through the shard's cache of blocks, and read. Nothing of it is used that was
//! not checked.

use super::block_cache::{Block, BlockCache, BlockKey};
use super::index::PartitionFacts;
use super::sealed_index::IndexError;
use super::want::{Admitted, BatchStretch, Gathered, ReadFault, Want};
use crate::batch::BatchHeader;
use crate::disk::io::{Io, Pending};
use crate::disk::{BLOCK, Buffer, DiskError, IO_BYTES_MAX};
use crate::entry::Slice;
use crate::framing::FormatFault;
use crate::ids::{FileId, Index, JournalIdentity, Offset, PartitionId, RunId};
use crate::rewrite::run_file::{RunFoot, RunHead, RunPartitionRow};
use crate::rewrite::{RunBlocks, RunChunk, RunIndex, RunInput, check_chunk, span_of};
use core::ops::{Deref, Range};
use smallvec::SmallVec;

/// Chunks asked of the index at a time: up to 4 MiB.
pub const CHUNKS_AT_ONCE: usize = 64;

/// A run whose file is whole as far as opening it tells.
pub struct OpenRun {
    pub id: RunId,
    /// The last entry of the segments that it takes the place of.
    pub rewritten: Index,
    /// What it was made of.
    pub inputs: Vec<RunInput>,
    pub file: FileId,
    io: Io,
    cache: BlockCache,
    identity: JournalIdentity,
    foot: RunFoot,
}

/// Why a run, or a part of it, cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Fault(#[from] FormatFault),
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// A block of the index in the cache.
pub struct Cached(Block);

impl Deref for Cached {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0[..]
    }
}

/// Where the blocks of a run's index come from.
struct Blocks<'r> {
    io: &'r Io,
    cache: &'r BlockCache,
    file: FileId,
}

impl RunBlocks for Blocks<'_> {
    type Block = Cached;
    type Error = RunError;

    async fn block(&self, number: u32) -> Result<Cached, RunError> {
        let key = BlockKey { file: self.file, number };
        if let Some(block) = self.cache.get(key) {
            return Ok(Cached(block));
        }
        let read = self.io.read(self.file, u64::from(number) * BLOCK as u64, BLOCK).await?;
        let short = FormatFault::Short { found: read.len() as u64, expected: BLOCK as u64 };
        let block = Block::new(read.get(..BLOCK).and_then(|read| read.try_into().ok()).ok_or(short)?);
        self.cache.put(key, Block::clone(&block));
        Ok(Cached(block))
    }
}

/// A batch of a run.
pub struct RunBatch {
    pub header: BatchHeader,
    /// No record of it is later.
    pub max_timestamp: i64,
    pub bytes: usize,
    pub slices: SmallVec<[Slice; 1]>,
}

impl RunBatch {
    pub fn base_offset(&self) -> Offset {
        Offset(self.header.base_offset.get())
    }

    pub fn next_offset(&self) -> Offset {
        Offset(self.header.base_offset.get() + i64::from(self.header.last_offset_delta.get()) + 1)
    }
}

impl OpenRun {
    /// Opens the file of a run: its head, its foot and what it was made of are right, and it has the length and the sum
    /// that are `expected`.
    pub async fn open(
        (io, cache): (&Io, &BlockCache),
        identity: JournalIdentity,
        run: RunId,
        path: &str,
        expected: Option<(u64, u64)>,
    ) -> Result<Self, RunError> {
        let (file, bytes) = io.open(path).await?;
        match Self::read_ends((io, cache), identity, run, (file, bytes)).await {
            Ok(opened) if expected.is_none_or(|expected| expected == opened.sums()) => Ok(opened),
            Ok(opened) => {
                opened.close().await?;
                Err(FormatFault::Foreign { position: bytes - BLOCK as u64 }.into())
            }
            Err(error) => {
                cache.forget(file);
                io.close(file).await?;
                Err(error)
            }
        }
    }

    async fn read_ends(
        (io, cache): (&Io, &BlockCache),
        identity: JournalIdentity,
        run: RunId,
        (file, bytes): (FileId, u64),
    ) -> Result<Self, RunError> {
        if bytes < 2 * BLOCK as u64 || !bytes.is_multiple_of(BLOCK as u64) {
            return Err(FormatFault::Short { found: bytes, expected: 2 * BLOCK as u64 }.into());
        }
        RunHead::decode(&io.read(file, 0, BLOCK).await?, &identity, run)?;
        let last = bytes - BLOCK as u64;
        let foot = RunFoot::decode(&io.read(file, last, BLOCK).await?, &identity, run, bytes)
            .map_err(|fault| fault.at(last))?;
        let (io, cache) = (io.clone(), cache.clone());
        let mut opened =
            Self { id: run, rewritten: Index::NONE, inputs: Vec::new(), file, io, cache, identity, foot };
        opened.inputs = opened.index().inputs().await?;
        let last_segment = opened.inputs.iter().rev().find_map(|input| match input {
            RunInput::Segment { last, .. } => Some(*last),
            RunInput::Run(_) => None,
        });
        opened.rewritten = last_segment.ok_or(FormatFault::Value { position: last })?;
        Ok(opened)
    }

    /// Closes the file and forgets its blocks. Nobody may be reading it.
    pub async fn close(&self) -> Result<(), DiskError> {
        self.cache.forget(self.file);
        self.io.close(self.file).await
    }

    /// Its length, and the sum of all that it holds.
    pub fn sums(&self) -> (u64, u64) {
        (self.foot.file_bytes.get(), self.foot.partitions_sum.get())
    }

    pub fn bytes(&self) -> u64 {
        self.foot.file_bytes.get()
    }

    pub fn partitions(&self) -> u32 {
        self.foot.partitions.get()
    }

    pub fn chunks(&self) -> u32 {
        self.foot.chunks.get()
    }

    fn index(&self) -> RunIndex<Blocks<'_>> {
        let blocks = Blocks { io: &self.io, cache: &self.cache, file: self.file };
        RunIndex::new(blocks, self.identity, self.id, self.foot)
    }

    fn told<T>(&self, result: Result<T, RunError>) -> Result<T, IndexError> {
        result.map_err(|error| match error {
            RunError::Fault(fault) => IndexError::Run { run: self.id, fault },
            RunError::Disk(error) => IndexError::Disk(error),
        })
    }

    pub async fn facts(&self, partition: PartitionId) -> Result<Option<PartitionFacts>, IndexError> {
        let row = self.told(self.index().partition(partition).await)?;
        Ok(row.as_ref().map(facts_of))
    }

    /// Up to `count` partitions from row `first` on.
    pub async fn facts_from(&self, first: u32, count: u32) -> Result<Vec<PartitionFacts>, IndexError> {
        let rows = self.told(self.index().partitions(first, count).await)?;
        Ok(rows.iter().map(facts_of).collect())
    }

    /// As [`RunIndex::chunks_from`].
    pub async fn chunks_from(
        &self,
        partition: PartitionId,
        offset: Offset,
        chunks_max: usize,
    ) -> Result<Vec<RunChunk>, IndexError> {
        self.told(self.index().chunks_from(partition, offset, chunks_max).await)
    }

    /// As [`RunIndex::first_at_time`].
    pub async fn first_at_time(
        &self,
        partition: PartitionId,
        timestamp: i64,
    ) -> Result<Option<RunChunk>, IndexError> {
        self.told(self.index().first_at_time(partition, timestamp).await)
    }

    /// Chunks by their number.
    pub async fn chunks_at(&self, first: u32, count: u32) -> Result<Vec<RunChunk>, IndexError> {
        self.told(self.index().chunks_at(first, count).await)
    }

    /// Whether all rows of partitions are those that the foot sums up.
    pub async fn check_rows(&self) -> Result<(), IndexError> {
        self.told(self.index().check_rows().await)
    }

    /// Reads the first of these chunks, and of those that follow it in the file as many as `bytes_max` holds: their
    /// batches, and how many chunks that was.
    pub async fn read(
        &self,
        chunks: &[RunChunk],
        bytes_max: usize,
    ) -> Result<(usize, Vec<RunBatch>), ReadFault> {
        let (span, count) = span_of(chunks, bytes_max.min(IO_BYTES_MAX)).expect("there are chunks");
        let pieces: SmallVec<[(usize, Pending); 1]> = (0..span.bytes)
            .step_by(IO_BYTES_MAX)
            .map(|at| {
                let bytes = (span.bytes - at).min(IO_BYTES_MAX);
                (at, self.io.read_ahead(self.file, span.position + at as u64, bytes))
            })
            .collect();
        let mut read = SmallVec::<[(usize, Buffer); 1]>::new();
        for (at, piece) in pieces {
            read.push((at, piece.read().await?));
        }
        let mut batches = Vec::new();
        for chunk in &chunks[..count] {
            let begin = (chunk.position - span.position) as usize;
            let place = begin..begin + chunk.bytes as usize;
            let slices = slices_of(&read, place.clone());
            let fault = |fault| ReadFault::Run { run: self.id, fault };
            let copy;
            let bytes: &[u8] = match &slices[..] {
                [whole] => whole,
                _ => {
                    copy = slices.iter().flat_map(|slice| slice.iter().copied()).collect::<Vec<u8>>();
                    &copy
                }
            };
            for batch in check_chunk(&self.identity, chunk, bytes).map_err(fault)? {
                let header = *BatchHeader::of(&bytes[batch.clone()]).expect("it was checked");
                let own = header.max_timestamp.get();
                batches.push(RunBatch {
                    header,
                    max_timestamp: if own >= 0 { own } else { chunk.max_timestamp },
                    bytes: batch.len(),
                    slices: slices_of(&read, begin + batch.start..begin + batch.end),
                });
            }
        }
        Ok((count, batches))
    }

    /// Adds the batches of these chunks, from the wanted offset on. False when that is full. Whatever is missing between
    /// them was rewritten away, from `covered_from` on.
    pub async fn gather(
        &self,
        chunks: &[RunChunk],
        covered_from: Offset,
        want: &Want,
        gathered: &mut Gathered,
    ) -> Result<bool, ReadFault> {
        let mut left = chunks;
        while !left.is_empty() {
            let room = want.bytes_max.saturating_sub(gathered.bytes).max(1);
            let (count, batches) = self.read(left, room).await?;
            left = &left[count..];
            for batch in batches {
                let (base, next) = (batch.base_offset(), batch.next_offset());
                let stretch = BatchStretch { base, next, bytes: batch.bytes, explained_from: covered_from };
                match gathered.admits_stretch(&stretch, want) {
                    Admitted::No => {}
                    Admitted::Full => return Ok(false),
                    Admitted::Yes => {
                        gathered.take_stretch(&stretch, batch.max_timestamp, batch.slices);
                    }
                }
            }
        }
        Ok(gathered.bytes < want.bytes_max)
    }
}

fn facts_of(row: &RunPartitionRow) -> PartitionFacts {
    PartitionFacts {
        partition: PartitionId(row.partition.get()),
        first_offset: Offset(row.covered_from.get()),
        next_offset: Offset(row.covered_to.get()),
        max_timestamp: row.max_timestamp.get(),
        batch_bytes: row.kept_bytes.get(),
    }
}

/// The parts of these buffers, which follow one another, that hold a range of bytes.
fn slices_of(read: &[(usize, Buffer)], place: Range<usize>) -> SmallVec<[Slice; 1]> {
    let overlapping = read.iter().filter(|(at, piece)| *at < place.end && at + piece.len() > place.start);
    let slices = overlapping.map(|(at, piece)| Slice {
        start: place.start.saturating_sub(*at) as u32,
        end: (place.end - at).min(piece.len()) as u32,
        buffer: piece.clone(),
    });
    slices.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, NewRecord};
    use crate::disk::BufferPool;
    use crate::journal::read::samples::{IDENTITY, on_files};
    use crate::rewrite::run_writer::whole_file;
    use crate::rewrite::{RewriteRule, RunPlan, RunWriter};
    use std::collections::BTreeMap;

    const P: PartitionId = PartitionId(4);

    fn batch(base: i64, records: usize, value: &[u8]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(1_000 + base);
        builder.base_offset(base);
        for _ in 0..records {
            builder.push(NewRecord::value(value));
        }
        builder.build()
    }

    /// Offsets 5 to 40 of one partition, of which 10 to 12, 20 and 39 are left; the batch of 20 is longer than a read.
    fn file() -> Vec<u8> {
        let inputs = vec![RunInput::Run(RunId(2)), RunInput::Segment { base: Index(3), last: Index(9) }];
        let plan = RunPlan { run: RunId(3), applied: Index(70), rule: RewriteRule::Compact, inputs };
        let mut writer = RunWriter::new(IDENTITY, plan, BufferPool::new(1 << 20));
        writer.begin(P, Offset(5)..Offset(40));
        writer.push(&batch(10, 3, b"value"), 1_010);
        writer.push(&batch(20, 1, &vec![7; 3 << 20]), 1_020);
        writer.push(&batch(39, 1, b"value"), 1_039);
        writer.end();
        writer.finish();
        whole_file(&mut writer)
    }

    fn on_run<T: 'static>(file: Vec<u8>, look: impl AsyncFn(Result<OpenRun, RunError>) -> T + 'static) -> T {
        on_files(BTreeMap::from([("3.run".to_owned(), file)]), async move |io| {
            let cache = BlockCache::new(1 << 20);
            look(OpenRun::open((&io, &cache), IDENTITY, RunId(3), "3.run", None).await).await
        })
    }

    fn want(offset: i64, bytes_max: usize) -> Want {
        Want {
            partition: P,
            offset: Offset(offset),
            commit: Index(100),
            end: Offset(100),
            with_aborted: false,
            bytes_max,
            at_least_one: true,
            skipped_below: Offset(0),
            together: 1,
        }
    }

    /// The batches from an offset on, by their bytes, and where it goes on.
    async fn gathered(run: &OpenRun, want: Want) -> (Vec<u8>, Option<i64>, bool) {
        let chunks = run.chunks_from(P, want.offset, CHUNKS_AT_ONCE).await.expect("a good index");
        let mut gathered = Gathered::default();
        let goes_on = run.gather(&chunks, Offset(5), &want, &mut gathered).await.expect("good chunks");
        let bytes = gathered.slices.iter().flat_map(|slice| slice.to_vec()).collect();
        (bytes, gathered.next_offset.map(|next| next.0), goes_on && gathered.fault.is_none())
    }

    #[test]
    fn a_run_says_what_it_answers_for_and_gives_what_is_left() {
        on_run(file(), async |run| {
            let run = run.expect("a good file");
            assert_eq!((run.rewritten, run.partitions(), run.chunks()), (Index(9), 1, 3));
            let facts = run.facts(P).await.expect("a good index").expect("it has the partition");
            assert_eq!(
                (facts.first_offset, facts.next_offset, facts.max_timestamp),
                (Offset(5), Offset(40), 1_039)
            );
            assert_eq!(run.facts(PartitionId(5)).await, Ok(None));
            let all =
                [batch(10, 3, b"value"), batch(20, 1, &vec![7; 3 << 20]), batch(39, 1, b"value")].concat();
            assert_eq!(gathered(&run, want(5, 8 << 20)).await, (all.clone(), Some(40), true));
            let (first, rest) = all.split_at(batch(10, 3, b"value").len());
            assert_eq!(
                gathered(&run, want(12, 100)).await,
                (first.to_vec(), Some(13), false),
                "within a batch"
            );
            let long = rest.len() - batch(39, 1, b"value").len();
            assert_eq!(
                gathered(&run, want(13, 100)).await,
                (rest[..long].to_vec(), Some(21), false),
                "longer than asked"
            );
            assert_eq!(gathered(&run, want(21, 100)).await, (rest[long..].to_vec(), Some(40), true));
        });
    }

    #[test]
    fn what_is_missing_before_the_covered_offsets_is_lost() {
        on_run(file(), async |run| {
            let run = run.expect("a good file");
            let chunks = run.chunks_from(P, Offset(3), 1).await.expect("a good index");
            let mut gathered = Gathered::default();
            let goes_on = run.gather(&chunks, Offset(5), &want(3, 100), &mut gathered).await;
            assert_eq!((goes_on, gathered.fault), (Ok(false), Some(ReadFault::Lost(Offset(3)))));
        });
    }

    #[test]
    fn every_flipped_byte_is_met_before_it_is_given() {
        let good = file();
        // Inputs, partitions, fences of these, chunks, fences of these, foot: where all rows are in one block its fence
        // is not asked.
        let blocks = [6, 5, 3, 1].map(|behind| good.len() - behind * BLOCK);
        let index = blocks.into_iter().flat_map(|block| (block..block + BLOCK).step_by(97));
        let places = [0, 100, BLOCK + 3, BLOCK + 200, good.len() / 2].into_iter().chain(index);
        for at in places {
            let mut bad = good.clone();
            bad[at] ^= 4;
            let is_met = on_run(bad, async |run| {
                let Ok(run) = run else { return true };
                let Ok(chunks) = run.chunks_from(P, Offset(0), CHUNKS_AT_ONCE).await else { return true };
                let mut gathered = Gathered::default();
                run.check_rows().await.is_err()
                    || run.gather(&chunks, Offset(5), &want(5, 8 << 20), &mut gathered).await.is_err()
            });
            assert!(is_met, "byte {at}");
        }
    }

    #[test]
    fn a_run_of_another_length_or_sum_is_not_the_one() {
        on_files(BTreeMap::from([("3.run".to_owned(), file())]), async |io| {
            let cache = BlockCache::new(1 << 20);
            let open = |expected| OpenRun::open((&io, &cache), IDENTITY, RunId(3), "3.run", Some(expected));
            let bytes = file().len() as u64;
            let sums =
                OpenRun::open((&io, &cache), IDENTITY, RunId(3), "3.run", None).await.map(|run| run.sums());
            let (_, sum) = sums.expect("a good file");
            assert!(open((bytes, sum)).await.is_ok());
            assert!(open((bytes, sum ^ 1)).await.is_err() && open((bytes + 4096, sum)).await.is_err());
        });
    }
}
