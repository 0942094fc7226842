//! A run's file, byte for byte: what `FORMAT.md` describes in words.
//!
//! ```text
//! block 0   head: whose it is, and what it was made of
//! body      batches, one directly behind the other, sorted by (partition, offset); zeros to a whole block
//! index     inputs             what it was made of
//!           partitions         sorted by partition
//!           partition fences   first key of each block of partitions
//!           chunks             sorted by (partition, offset): up to 64 KiB of batches, or one
//!           chunk fences       first key of each block of chunks
//! last      foot: counts, from which every section's place follows
//! ```
//! Every byte is proven: head and foot by their frame, a block of the index by its checksum, a batch by its CRC from byte
//! 21 on and before that by its chunk's sum, and the zeros because they are zeros.

use crate::disk::BLOCK;
pub use crate::entry::run_made::{RewriteRule, RunInput};
use crate::framing::{FRAME_BYTES, FormatFault, FrameKind, block_checksum};
use crate::ids::{Index, JournalIdentity, Offset, PartitionId, RunId};
use core::mem::offset_of;
use zerocopy::little_endian::{I64, U16, U32, U64, U128};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub const RUN_HEAD_KIND: FrameKind = FrameKind { magic: *b"DURAMENR", version: 1 };
pub const RUN_FOOT_KIND: FrameKind = FrameKind { magic: *b"DURAMENF", version: 1 };

/// Batches follow each other in a chunk until it has so many bytes; a longer one has a chunk of its own.
pub const CHUNK_BYTES: usize = 64 << 10;

/// What is known of a run before it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPlan {
    pub run: RunId,
    /// The maker had applied the journal's entries up to this one.
    pub applied: Index,
    pub rule: RewriteRule,
    pub inputs: Vec<RunInput>,
}

/// The body of block 0.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct RunHead {
    pub cluster: U128,
    pub journal: U64,
    pub run: U64,
    pub applied: U64,
    /// A [`RewriteRule`].
    pub rule: u8,
    /// Zero.
    pub reserved: u8,
    /// Zero.
    pub reserved_2: U16,
    /// Zero.
    pub reserved_3: U32,
}

/// The body of the last block.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct RunFoot {
    pub cluster: U128,
    pub journal: U64,
    pub run: U64,
    /// The whole file.
    pub file_bytes: U64,
    /// The batches together, which begin with the second block.
    pub body_bytes: U64,
    pub batches: U64,
    /// A [`RunSum`] over all partition rows: two files of a run with the same one hold the same.
    pub partitions_sum: U64,
    /// Rows of each section.
    pub inputs: U32,
    pub partitions: U32,
    pub chunks: U32,
    /// Zero.
    pub reserved: U32,
}

/// The first bytes of every block of the index.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct RunBlockHeader {
    /// CRC-32C over the secret (8 bytes, little-endian), then the block with this field as zero.
    pub checksum: U32,
    /// The block's number in the file.
    pub number: U32,
    /// A [`RunSection`].
    pub section: u8,
    /// Zero.
    pub reserved: u8,
    /// Rows in this block.
    pub rows: U16,
    /// The run's id, low half: a block of another file does not pass for this one's.
    pub run_low: U32,
}

pub const RUN_BLOCK_HEADER_BYTES: usize = 16;
const _: () = assert!(size_of::<RunBlockHeader>() == RUN_BLOCK_HEADER_BYTES);

/// A segment or a run that the run was made of.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct RunInputRow {
    /// The segment's first entry, or the run's id.
    pub first: U64,
    /// The segment's last entry; zero of a run.
    pub last: U64,
    /// 0 a segment, 1 a run.
    pub kind: U32,
    /// Zero.
    pub reserved: U32,
}

/// A partition in the run.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct RunPartitionRow {
    pub partition: U64,
    /// The offsets that the run answers for: the first, and the one behind the last.
    pub covered_from: I64,
    pub covered_to: I64,
    /// Base offset of the first batch, and the offset behind the last one; both `covered_to` where there is none.
    pub first_offset: I64,
    pub next_offset: I64,
    /// Of all batches; −1 where there is none.
    pub max_timestamp: I64,
    pub kept_bytes: U64,
    /// Where the first batch begins in the file.
    pub position: U64,
    /// A [`RunSum`] over the sums of its chunks.
    pub checksum: U64,
    pub batches: U32,
    /// Its chunks: the first one's row and how many.
    pub first_chunk: U32,
    pub chunks: U32,
    /// Zero.
    pub reserved: U32,
}

/// The first key of a block of partitions or of chunks.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct RunFenceRow {
    pub partition: U64,
    pub first_offset: I64,
    /// Of the chunk; zero of partitions.
    pub max_timestamp: I64,
}

/// Batches of one partition that are proven together.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct RunChunkRow {
    pub partition: U64,
    pub first_offset: I64,
    /// Behind its last batch.
    pub next_offset: I64,
    /// The highest timestamp of the partition in the run up to and with this chunk.
    pub max_timestamp: I64,
    /// Where it begins in the file.
    pub position: U64,
    /// A [`RunSum`] over the first 21 bytes of each of its batches.
    pub sum: U64,
    pub bytes: U32,
    pub batches: U32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RunSection {
    Inputs = 1,
    Partitions = 2,
    PartitionFences = 3,
    Chunks = 4,
    ChunkFences = 5,
}

impl RunSection {
    pub const ALL: [RunSection; 5] =
        [Self::Inputs, Self::Partitions, Self::PartitionFences, Self::Chunks, Self::ChunkFences];

    pub fn row_bytes(self) -> usize {
        match self {
            Self::Inputs => size_of::<RunInputRow>(),
            Self::Partitions => size_of::<RunPartitionRow>(),
            Self::PartitionFences | Self::ChunkFences => size_of::<RunFenceRow>(),
            Self::Chunks => size_of::<RunChunkRow>(),
        }
    }

    pub fn rows_per_block(self) -> u32 {
        ((BLOCK - RUN_BLOCK_HEADER_BYTES) / self.row_bytes()) as u32
    }
}

impl RunHead {
    pub fn of(identity: &JournalIdentity, plan: &RunPlan) -> Self {
        Self {
            cluster: identity.cluster.0.into(),
            journal: identity.journal.0.into(),
            run: plan.run.0.into(),
            applied: plan.applied.0.into(),
            rule: plan.rule as u8,
            reserved: 0,
            reserved_2: 0.into(),
            reserved_3: 0.into(),
        }
    }

    pub fn encode(&self, identity: &JournalIdentity) -> [u8; BLOCK] {
        RUN_HEAD_KIND.encode(identity.secret, self.as_bytes())
    }

    /// Reads block 0 of the run with this id.
    pub fn decode(block: &[u8], identity: &JournalIdentity, run: RunId) -> Result<Self, FormatFault> {
        let body = RUN_HEAD_KIND.decode(identity.secret, block)?;
        let value = FormatFault::Value { position: FRAME_BYTES as u64 };
        let head = *Self::ref_from_bytes(body).map_err(|_| value)?;
        check_owner((head.cluster, head.journal, head.run), identity, run)?;
        RewriteRule::of(head.rule)
            .ok_or(FormatFault::Value { position: (FRAME_BYTES + offset_of!(Self, rule)) as u64 })?;
        Ok(head)
    }
}

fn check_owner(
    (cluster, journal, run): (U128, U64, U64),
    identity: &JournalIdentity,
    expected: RunId,
) -> Result<(), FormatFault> {
    let own =
        cluster.get() == identity.cluster.0 && journal.get() == identity.journal.0 && run.get() == expected.0;
    if own { Ok(()) } else { Err(FormatFault::Foreign { position: FRAME_BYTES as u64 }) }
}

impl RunFoot {
    pub fn encode(&self, identity: &JournalIdentity) -> [u8; BLOCK] {
        RUN_FOOT_KIND.encode(identity.secret, self.as_bytes())
    }

    /// Reads the last block of a file of `file_bytes` that is the run with this id.
    pub fn decode(
        block: &[u8],
        identity: &JournalIdentity,
        run: RunId,
        file_bytes: u64,
    ) -> Result<Self, FormatFault> {
        let body = RUN_FOOT_KIND.decode(identity.secret, block)?;
        let value = FormatFault::Value { position: FRAME_BYTES as u64 };
        let foot = *Self::ref_from_bytes(body).map_err(|_| value)?;
        check_owner((foot.cluster, foot.journal, foot.run), identity, run)?;
        if foot.file_bytes.get() != file_bytes {
            return Err(FormatFault::Short { found: file_bytes, expected: foot.file_bytes.get() });
        }
        // A body longer than its file would overflow what follows.
        if foot.body_bytes.get() > file_bytes || foot.expected_bytes() != file_bytes {
            return Err(FormatFault::Value { position: (FRAME_BYTES + offset_of!(Self, body_bytes)) as u64 });
        }
        Ok(foot)
    }

    pub fn rows(&self, section: RunSection) -> u32 {
        match section {
            RunSection::Inputs => self.inputs.get(),
            RunSection::Partitions => self.partitions.get(),
            RunSection::PartitionFences => self.blocks(RunSection::Partitions),
            RunSection::Chunks => self.chunks.get(),
            RunSection::ChunkFences => self.blocks(RunSection::Chunks),
        }
    }

    pub fn blocks(&self, section: RunSection) -> u32 {
        self.rows(section).div_ceil(section.rows_per_block())
    }

    /// Where the batches end in the file.
    pub fn body_end(&self) -> u64 {
        BLOCK as u64 + self.body_bytes.get()
    }

    /// The number of the section's first block in the file.
    pub fn first_block(&self, section: RunSection) -> u32 {
        let body_blocks = u32::try_from(self.body_bytes.get().div_ceil(BLOCK as u64));
        let body_blocks = body_blocks.expect("a run is far below 16 TiB");
        let before = RunSection::ALL.iter().filter(|other| **other < section);
        1 + body_blocks + before.map(|other| self.blocks(*other)).sum::<u32>()
    }

    /// How long the file is by its counts.
    pub fn expected_bytes(&self) -> u64 {
        let index: u64 = RunSection::ALL.iter().map(|section| u64::from(self.blocks(*section))).sum();
        let body = self.body_bytes.get().div_ceil(BLOCK as u64);
        (1 + body + index + 1).saturating_mul(BLOCK as u64)
    }
}

/// One block of the index with these rows.
pub fn encode_run_block<T: IntoBytes + Immutable>(
    identity: &JournalIdentity,
    run: RunId,
    (section, number): (RunSection, u32),
    rows: &[T],
) -> [u8; BLOCK] {
    assert_eq!(size_of::<T>(), section.row_bytes(), "rows of another section");
    assert!(rows.len() <= section.rows_per_block() as usize, "{} rows do not fit a block", rows.len());
    let header = RunBlockHeader {
        checksum: 0.into(),
        number: number.into(),
        section: section as u8,
        reserved: 0,
        rows: (rows.len() as u16).into(),
        run_low: (run.0 as u32).into(),
    };
    let mut block = [0; BLOCK];
    let bytes = rows.as_bytes();
    block[..RUN_BLOCK_HEADER_BYTES].copy_from_slice(header.as_bytes());
    block[RUN_BLOCK_HEADER_BYTES..][..bytes.len()].copy_from_slice(bytes);
    let checksum = block_checksum(identity.secret, &block, 0);
    block[..4].copy_from_slice(&checksum.to_le_bytes());
    block
}

/// The rows of one block of the index, checked. Positions count from the block's begin.
pub fn run_rows<'a, T: FromBytes + KnownLayout + Immutable + Unaligned>(
    block: &'a [u8],
    identity: &JournalIdentity,
    run: RunId,
    (section, number): (RunSection, u32),
) -> Result<&'a [T], FormatFault> {
    assert_eq!(size_of::<T>(), section.row_bytes(), "rows of another section");
    if block.len() < BLOCK {
        return Err(FormatFault::Short { found: block.len() as u64, expected: BLOCK as u64 });
    }
    let (header, rows) = RunBlockHeader::ref_from_prefix(block).expect("a header is unaligned bytes");
    let (found, expected) = (header.checksum.get(), block_checksum(identity.secret, &block[..BLOCK], 0));
    if found != expected {
        return Err(FormatFault::Checksum { position: 0, found, expected });
    }
    let own = header.number.get() == number
        && header.section == section as u8
        && header.run_low.get() == run.0 as u32;
    if !own {
        return Err(FormatFault::Foreign { position: 4 });
    }
    let count = u32::from(header.rows.get());
    if count > section.rows_per_block() {
        return Err(FormatFault::Value { position: offset_of!(RunBlockHeader, rows) as u64 });
    }
    let bytes = &rows[..count as usize * size_of::<T>()];
    Ok(<[T]>::ref_from_bytes(bytes).expect("rows are unaligned bytes"))
}

/// FNV-1a with 64 bits, seeded with the journal's secret: each bit of what it saw changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunSum(u64);

impl RunSum {
    pub fn new(identity: &JournalIdentity) -> Self {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        let mut sum = Self(OFFSET);
        sum.add(&identity.secret.to_le_bytes());
        sum
    }

    pub fn add(&mut self, bytes: &[u8]) {
        const PRIME: u64 = 0x0100_0000_01b3;
        self.0 = bytes.iter().fold(self.0, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(PRIME));
    }

    pub fn value(self) -> u64 {
        self.0
    }
}

impl RunInputRow {
    pub fn of(input: RunInput) -> Self {
        let (kind, first, last) = match input {
            RunInput::Segment { base, last } => (0, base.0, last.0),
            RunInput::Run(run) => (1, run.0, 0),
        };
        Self { first: first.into(), last: last.into(), kind: kind.into(), reserved: 0.into() }
    }

    /// `None` for a kind that nobody knows.
    pub fn input(&self) -> Option<RunInput> {
        match self.kind.get() {
            0 => Some(RunInput::Segment { base: Index(self.first.get()), last: Index(self.last.get()) }),
            1 => Some(RunInput::Run(RunId(self.first.get()))),
            _ => None,
        }
    }
}

impl RunFenceRow {
    pub(super) fn of_partition(row: &RunPartitionRow) -> Self {
        Self { partition: row.partition, first_offset: row.first_offset, max_timestamp: 0.into() }
    }

    pub(super) fn of_chunk(row: &RunChunkRow) -> Self {
        Self { partition: row.partition, first_offset: row.first_offset, max_timestamp: row.max_timestamp }
    }
}

/// A chunk as a reader has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunChunk {
    pub partition: PartitionId,
    pub first_offset: Offset,
    pub next_offset: Offset,
    /// Of the partition up to and with this chunk.
    pub max_timestamp: i64,
    pub position: u64,
    pub bytes: u32,
    pub batches: u32,
    pub sum: u64,
}

impl RunChunk {
    pub fn of(row: &RunChunkRow) -> Self {
        Self {
            partition: PartitionId(row.partition.get()),
            first_offset: Offset(row.first_offset.get()),
            next_offset: Offset(row.next_offset.get()),
            max_timestamp: row.max_timestamp.get(),
            position: row.position.get(),
            bytes: row.bytes.get(),
            batches: row.batches.get(),
            sum: row.sum.get(),
        }
    }

    pub fn end(&self) -> u64 {
        self.position.saturating_add(u64::from(self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ClusterId, JournalId};

    const IDENTITY: JournalIdentity =
        JournalIdentity { cluster: ClusterId(8), journal: JournalId(2), secret: 0xfeed };

    #[test]
    fn places_follow_from_the_foot_and_a_wrong_length_is_found() {
        let mut foot = RunFoot {
            cluster: 8.into(),
            journal: 2.into(),
            run: 3.into(),
            file_bytes: 0.into(),
            body_bytes: 5_000.into(),
            batches: 1.into(),
            partitions_sum: 0.into(),
            inputs: 2.into(),
            partitions: 100.into(),
            chunks: 100.into(),
            reserved: 0.into(),
        };
        let first = RunSection::ALL.map(|section| foot.first_block(section));
        assert_eq!(first, [3, 4, 7, 8, 10], "46 partitions and 72 chunks to a block");
        assert_eq!(foot.expected_bytes(), 12 * BLOCK as u64);
        foot.file_bytes = (12 * BLOCK as u64).into();
        let block = foot.encode(&IDENTITY);
        let decode = |bytes| RunFoot::decode(&block, &IDENTITY, RunId(3), bytes);
        assert_eq!(decode(12 * BLOCK as u64), Ok(foot));
        assert!(matches!(decode(11 * BLOCK as u64), Err(FormatFault::Short { .. })));
        let other = RunFoot::decode(&block, &IDENTITY, RunId(4), 12 * BLOCK as u64);
        assert!(matches!(other, Err(FormatFault::Foreign { .. })));
        foot.body_bytes = u64::MAX.into();
        let decoded = RunFoot::decode(&foot.encode(&IDENTITY), &IDENTITY, RunId(3), 12 * BLOCK as u64);
        assert!(matches!(decoded, Err(FormatFault::Value { .. })));
    }

    #[test]
    fn a_block_of_another_place_section_or_run_is_not_taken() {
        let rows = [RunInputRow::of(RunInput::Run(RunId(9)))];
        let block = encode_run_block(&IDENTITY, RunId(3), (RunSection::Inputs, 5), &rows);
        let read =
            |run, number| run_rows::<RunInputRow>(&block, &IDENTITY, run, (RunSection::Inputs, number));
        assert_eq!(read(RunId(3), 5), Ok(&rows[..]));
        assert!(matches!(read(RunId(3), 6), Err(FormatFault::Foreign { .. })));
        assert!(matches!(read(RunId(4), 5), Err(FormatFault::Foreign { .. })));
        assert_eq!(rows[0].input(), Some(RunInput::Run(RunId(9))));
        let segment = RunInput::Segment { base: Index(4), last: Index(8) };
        assert_eq!(RunInputRow::of(segment).input(), Some(segment));
        for at in 0..BLOCK {
            let mut bad = block;
            bad[at] ^= 0x10;
            let read = run_rows::<RunInputRow>(&bad, &IDENTITY, RunId(3), (RunSection::Inputs, 5));
            assert!(read.is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_head_says_whose_it_is_and_by_which_rule() {
        let plan = RunPlan { run: RunId(3), applied: Index(70), rule: RewriteRule::Compact, inputs: vec![] };
        let head = RunHead::of(&IDENTITY, &plan);
        let block = head.encode(&IDENTITY);
        assert_eq!(RunHead::decode(&block, &IDENTITY, RunId(3)), Ok(head));
        assert!(RunHead::decode(&block, &IDENTITY, RunId(2)).is_err());
        let unknown = RunHead { rule: 7, ..head }.encode(&IDENTITY);
        assert!(matches!(RunHead::decode(&unknown, &IDENTITY, RunId(3)), Err(FormatFault::Value { .. })));
    }
}
