//! Writes a run as a stream of pieces, each aligned and of at most 256 KiB, in the order of the file. Holds one piece and
//! the rows of the index: 56 bytes for 64 KiB of batches and 88 for a partition.

use super::run_file::*;
use crate::batch::{BatchHeader, CRC_REGION_START};
use crate::disk::{BLOCK, Buffer, BufferMut, BufferPool};
use crate::ids::{JournalIdentity, Offset, PartitionId};
use core::ops::Range;
use std::collections::VecDeque;
use zerocopy::IntoBytes;

/// What is written in one go.
pub const PIECE_BYTES: usize = 256 << 10;
const PIECE_BLOCKS: usize = PIECE_BYTES / BLOCK;

/// Bytes to be written at their place in the file.
#[derive(Debug)]
pub struct RunPiece {
    pub position: u64,
    pub buffer: Buffer,
}

/// A run that is being written.
pub struct RunWriter {
    identity: JournalIdentity,
    plan: RunPlan,
    pool: BufferPool,
    /// The piece that is being filled, and how far.
    filling: BufferMut,
    filled: usize,
    /// Where that piece begins in the file.
    piece_position: u64,
    ready: VecDeque<RunPiece>,
    partitions: Vec<RunPartitionRow>,
    chunks: Vec<RunChunkRow>,
    batches: u64,
    body_bytes: u64,
    open: Option<Open>,
    /// From `finish` on.
    tail: Option<Tail>,
}

/// The partition in hand.
struct Open {
    row: RunPartitionRow,
    /// Its last chunk, while batches come to it.
    chunk: Option<(RunChunkRow, RunSum)>,
    checksum: RunSum,
}

/// What is left to be written behind the batches.
struct Tail {
    foot: RunFoot,
    /// The next block's number in the file.
    block: u32,
    is_done: bool,
}

impl RunWriter {
    pub fn new(identity: JournalIdentity, plan: RunPlan, pool: BufferPool) -> Self {
        let mut filling = pool.take(PIECE_BYTES);
        filling[..BLOCK].copy_from_slice(&RunHead::of(&identity, &plan).encode(&identity));
        Self {
            identity,
            plan,
            pool,
            filling,
            filled: BLOCK,
            piece_position: 0,
            ready: VecDeque::new(),
            partitions: Vec::new(),
            chunks: Vec::new(),
            batches: 0,
            body_bytes: 0,
            open: None,
            tail: None,
        }
    }

    /// Begins the next partition, which answers for these offsets.
    pub fn begin(&mut self, partition: PartitionId, covered: Range<Offset>) {
        assert!(self.open.is_none(), "partition {partition} begins while another is open");
        assert!(self.tail.is_none(), "partition {partition} begins behind the end");
        assert!(covered.start <= covered.end, "partition {partition} covers {covered:?}");
        let last = self.partitions.last().map(|row| row.partition.get());
        assert!(last < Some(partition.0), "partition {partition} follows {last:?}");
        let row = RunPartitionRow {
            partition: partition.0.into(),
            covered_from: covered.start.0.into(),
            covered_to: covered.end.0.into(),
            first_offset: covered.end.0.into(),
            next_offset: covered.end.0.into(),
            max_timestamp: (-1).into(),
            kept_bytes: 0.into(),
            position: self.position().into(),
            checksum: 0.into(),
            batches: 0.into(),
            first_chunk: (self.chunks.len() as u32).into(),
            chunks: 0.into(),
            reserved: 0.into(),
        };
        self.open = Some(Open { row, chunk: None, checksum: RunSum::new(&self.identity) });
    }

    /// Where the next batch goes in the file.
    fn position(&self) -> u64 {
        self.piece_position + self.filled as u64
    }

    /// Adds a batch as it is stored, with its base offset, leader epoch and CRC. `max_timestamp` is what retention and
    /// look-ups by time take for it: its descriptor's, which may be later than its header's.
    pub fn push(&mut self, batch: &[u8], max_timestamp: i64) {
        let header = BatchHeader::of(batch).expect("a whole batch");
        assert_eq!(header.declared_bytes(), batch.len() as i64, "a whole batch and nothing else");
        let position = self.position();
        let open = self.open.as_mut().expect("a batch belongs to a partition");
        if let Some(row) = open.add(&self.identity, (header, batch), max_timestamp, position) {
            self.chunks.push(row);
        }
        self.batches += 1;
        self.body_bytes += batch.len() as u64;
        self.write(batch);
    }

    fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (here, rest) = bytes.split_at(bytes.len().min(PIECE_BYTES - self.filled));
            self.filling[self.filled..self.filled + here.len()].copy_from_slice(here);
            self.filled += here.len();
            bytes = rest;
            if self.filled == PIECE_BYTES {
                self.end_piece();
            }
        }
    }

    /// What is filled is a piece.
    fn end_piece(&mut self) {
        assert!(self.filled.is_multiple_of(BLOCK), "a piece is whole blocks, not {} bytes", self.filled);
        let filled = core::mem::replace(&mut self.filling, self.pool.take(PIECE_BYTES));
        self.ready.push_back(RunPiece { position: self.piece_position, buffer: filled.seal(self.filled) });
        self.piece_position += self.filled as u64;
        self.filled = 0;
    }

    /// Ends the partition.
    pub fn end(&mut self) {
        let mut open = self.open.take().expect("a partition that ends was begun");
        if let Some(row) = open.end_chunk() {
            self.chunks.push(row);
        }
        let chunks = self.chunks.len() as u32 - open.row.first_chunk.get();
        open.row.chunks = chunks.into();
        open.row.checksum = open.checksum.value().into();
        self.partitions.push(open.row);
    }

    /// All partitions are there; what is left comes by [`Self::next_piece`].
    pub fn finish(&mut self) {
        assert!(self.open.is_none() && self.tail.is_none(), "a run ends once, behind its last partition");
        let count = |rows: usize| u32::try_from(rows).expect("bounded by the run").into();
        let mut sum = RunSum::new(&self.identity);
        sum.add(self.partitions.as_bytes());
        let mut foot = RunFoot {
            cluster: self.identity.cluster.0.into(),
            journal: self.identity.journal.0.into(),
            run: self.plan.run.0.into(),
            file_bytes: 0.into(),
            body_bytes: self.body_bytes.into(),
            batches: self.batches.into(),
            partitions_sum: sum.value().into(),
            inputs: count(self.plan.inputs.len()),
            partitions: count(self.partitions.len()),
            chunks: count(self.chunks.len()),
            reserved: 0.into(),
        };
        foot.file_bytes = foot.expected_bytes().into();
        assert_eq!(foot.body_end(), self.position(), "all batches are counted");
        // The buffers come with what was in them before.
        let padded = self.filled.next_multiple_of(BLOCK);
        self.filling[self.filled..padded].fill(0);
        self.filled = padded;
        let block = foot.first_block(RunSection::Inputs);
        self.tail = Some(Tail { foot, block, is_done: false });
    }

    /// The next piece to be written, once there is a whole one; `None` behind the last one as well.
    pub fn next_piece(&mut self) -> Option<RunPiece> {
        if self.ready.is_empty() {
            self.fill_tail();
        }
        self.ready.pop_front()
    }

    /// Puts blocks of the index, and at last the foot, into the piece in hand.
    fn fill_tail(&mut self) {
        let Some(mut tail) = self.tail.take() else { return };
        while !tail.is_done && self.filled < PIECE_BYTES {
            let block = self.tail_block(&mut tail);
            self.filling[self.filled..self.filled + BLOCK].copy_from_slice(&block);
            self.filled += BLOCK;
        }
        if self.filled > 0 {
            self.end_piece();
        }
        self.tail = Some(tail);
    }

    fn tail_block(&self, tail: &mut Tail) -> [u8; BLOCK] {
        let number = tail.block;
        tail.block += 1;
        let foot = &tail.foot;
        let holds = |section: &RunSection| {
            let first = foot.first_block(*section);
            (first..first + foot.blocks(*section)).contains(&number)
        };
        let Some(section) = RunSection::ALL.into_iter().find(holds) else {
            assert_eq!(
                u64::from(number + 1) * BLOCK as u64,
                foot.file_bytes.get(),
                "the foot is the last block"
            );
            tail.is_done = true;
            return foot.encode(&self.identity);
        };
        let per_block = section.rows_per_block() as usize;
        let first = (number - foot.first_block(section)) as usize * per_block;
        let place = (section, number);
        let (identity, run) = (&self.identity, self.plan.run);
        match section {
            RunSection::Inputs => {
                let inputs = self.plan.inputs.iter().skip(first).take(per_block);
                let rows: Vec<_> = inputs.map(|input| RunInputRow::of(*input)).collect();
                encode_run_block(identity, run, place, &rows)
            }
            RunSection::Partitions => {
                encode_run_block(identity, run, place, block_of(&self.partitions, first, per_block))
            }
            RunSection::Chunks => {
                encode_run_block(identity, run, place, block_of(&self.chunks, first, per_block))
            }
            RunSection::PartitionFences => {
                let firsts = firsts_of_blocks(&self.partitions, RunSection::Partitions);
                let rows: Vec<_> =
                    firsts.skip(first).take(per_block).map(RunFenceRow::of_partition).collect();
                encode_run_block(identity, run, place, &rows)
            }
            RunSection::ChunkFences => {
                let firsts = firsts_of_blocks(&self.chunks, RunSection::Chunks);
                let rows: Vec<_> = firsts.skip(first).take(per_block).map(RunFenceRow::of_chunk).collect();
                encode_run_block(identity, run, place, &rows)
            }
        }
    }

    /// The partitions as they stand in the file, from `finish` on.
    pub fn rows(&self) -> &[RunPartitionRow] {
        assert!(self.tail.is_some(), "rows are told once all are there");
        &self.partitions
    }

    /// The file's foot, from `finish` on.
    pub fn foot(&self) -> &RunFoot {
        &self.tail.as_ref().expect("the foot is told once all is there").foot
    }

    /// Bytes of the file so far, without its index.
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// What its index takes in memory.
    pub fn index_bytes(&self) -> usize {
        size_of_val(&self.partitions[..]) + size_of_val(&self.chunks[..])
    }
}

fn block_of<T>(rows: &[T], first: usize, per_block: usize) -> &[T] {
    &rows[first..rows.len().min(first + per_block)]
}

fn firsts_of_blocks<T>(rows: &[T], section: RunSection) -> impl Iterator<Item = &T> {
    rows.iter().step_by(section.rows_per_block() as usize)
}

impl Open {
    /// Takes a batch that will be at `position`; gives the chunk that ended before it.
    fn add(
        &mut self,
        identity: &JournalIdentity,
        (header, batch): (&BatchHeader, &[u8]),
        max_timestamp: i64,
        position: u64,
    ) -> Option<RunChunkRow> {
        let base = header.base_offset.get();
        let next = base + i64::from(header.last_offset_delta.get()) + 1;
        let (partition, row) = (self.row.partition, &mut self.row);
        let is_first = row.batches.get() == 0;
        assert!(base < next, "partition {partition}: a batch of {base} to {next}");
        assert!(
            is_first || row.next_offset.get() <= base,
            "partition {partition}: {base} behind {}",
            row.next_offset
        );
        assert!(next <= row.covered_to.get(), "partition {partition}: {next} is not covered");
        assert!(
            !is_first || next > row.covered_from.get(),
            "partition {partition}: {next} is before what is covered"
        );
        if is_first {
            row.first_offset = base.into();
        }
        row.next_offset = next.into();
        row.max_timestamp = row.max_timestamp.get().max(max_timestamp).into();
        row.kept_bytes += batch.len() as u64;
        row.batches += 1;
        let max_timestamp = row.max_timestamp;
        let is_full = |chunk: &RunChunkRow| chunk.bytes.get() as usize + batch.len() > CHUNK_BYTES;
        let ended = if self.chunk.as_ref().is_some_and(|(chunk, _)| is_full(chunk)) {
            self.end_chunk()
        } else {
            None
        };
        let (chunk, sum) = self.chunk.get_or_insert_with(|| {
            let chunk = RunChunkRow {
                partition,
                first_offset: base.into(),
                next_offset: next.into(),
                max_timestamp,
                position: position.into(),
                sum: 0.into(),
                bytes: 0.into(),
                batches: 0.into(),
            };
            (chunk, RunSum::new(identity))
        });
        sum.add(&batch[..CRC_REGION_START]);
        (chunk.next_offset, chunk.max_timestamp) = (next.into(), max_timestamp);
        chunk.bytes += batch.len() as u32;
        chunk.batches += 1;
        ended
    }

    fn end_chunk(&mut self) -> Option<RunChunkRow> {
        let (mut chunk, sum) = self.chunk.take()?;
        chunk.sum = sum.value().into();
        self.checksum.add(&sum.value().to_le_bytes());
        Some(chunk)
    }
}

/// The whole file in memory; for tests and tools.
pub fn whole_file(writer: &mut RunWriter) -> Vec<u8> {
    let mut file = Vec::new();
    while let Some(piece) = writer.next_piece() {
        assert_eq!(piece.position, file.len() as u64, "pieces come in the order of the file");
        assert!(piece.buffer.len() <= PIECE_BLOCKS * BLOCK && piece.buffer.len().is_multiple_of(BLOCK));
        file.extend_from_slice(&piece.buffer);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, NewRecord};
    use crate::ids::{ClusterId, Index, JournalId, RunId};

    const IDENTITY: JournalIdentity =
        JournalIdentity { cluster: ClusterId(8), journal: JournalId(2), secret: 0xfeed };

    fn writer() -> RunWriter {
        let plan = RunPlan { run: RunId(3), applied: Index(70), rule: RewriteRule::Copy, inputs: vec![] };
        RunWriter::new(IDENTITY, plan, BufferPool::new(1 << 20))
    }

    fn batch(base: i64, bytes: usize) -> Vec<u8> {
        let mut builder = BatchBuilder::new(1_000);
        builder.base_offset(base).push(NewRecord::value(&vec![7; bytes]));
        builder.build()
    }

    #[test]
    fn a_chunk_has_64_kib_or_one_batch_and_rows_say_what_was_pushed() {
        let mut writer = writer();
        writer.begin(PartitionId(4), Offset(0)..Offset(100));
        for (base, bytes) in [(0, 30_000), (1, 30_000), (2, 30_000), (10, 300_000), (11, 10)] {
            writer.push(&batch(base, bytes), 1_000);
        }
        writer.end();
        writer.begin(PartitionId(9), Offset(5)..Offset(7));
        writer.end();
        writer.finish();
        let chunks: Vec<_> =
            writer.chunks.iter().map(|chunk| (chunk.first_offset.get(), chunk.batches.get())).collect();
        assert_eq!(chunks, [(0, 2), (2, 1), (10, 1), (11, 1)]);
        let [full, empty] = writer.rows() else { panic!("two partitions") };
        assert_eq!((full.first_offset.get(), full.next_offset.get(), full.batches.get()), (0, 12, 5));
        assert_eq!((empty.first_offset.get(), empty.next_offset.get(), empty.chunks.get()), (7, 7, 0));
        assert_eq!(full.kept_bytes.get(), writer.body_bytes());
        let bytes = writer.foot().file_bytes.get();
        assert_eq!(whole_file(&mut writer).len() as u64, bytes);
        assert!(writer.next_piece().is_none());
    }

    #[test]
    #[should_panic(expected = "is not covered")]
    fn a_batch_behind_what_is_covered_is_a_bug() {
        let mut writer = writer();
        writer.begin(PartitionId(4), Offset(0)..Offset(100));
        writer.push(&batch(100, 1), 1);
    }

    #[test]
    #[should_panic(expected = "behind")]
    fn offsets_ascend() {
        let mut writer = writer();
        writer.begin(PartitionId(4), Offset(0)..Offset(100));
        writer.push(&batch(5, 1), 1);
        writer.push(&batch(5, 1), 1);
    }
}
