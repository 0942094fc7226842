//! What all small files share: blocks of 4 KiB that prove themselves, and how a file is replaced.
//!
//! A framed block begins with a [`FrameHeader`]; its checksum covers the whole block, padding
//! included, so that a lookup may read one block alone and trust it. The frame stays as it is in
//! every version of every file: that is how an older program tells "newer" from "rotten". What is
//! in the body belongs to the file's own module.

use crate::disk::io::Io;
use crate::disk::{BLOCK, BufferPool, DiskError, DiskErrorKind, IO_BYTES_MAX};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The first bytes of a framed block. All numbers little-endian.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct FrameHeader {
    pub magic: [u8; 8],
    pub version: U16,
    /// Zero.
    pub reserved: U16,
    /// Bytes of body behind the frame; zeros follow to the end of the block.
    pub body_bytes: U32,
    /// CRC-32C over a seed (8 bytes, little-endian), then the whole block with this field as zero.
    pub checksum: U32,
    /// Zero.
    pub reserved_2: U32,
}

pub const FRAME_BYTES: usize = 24;
/// The longest body that fits one block.
pub const BODY_BYTES_MAX: usize = BLOCK - FRAME_BYTES;
const _: () = assert!(size_of::<FrameHeader>() == FRAME_BYTES);
const CHECKSUM_AT: usize = core::mem::offset_of!(FrameHeader, checksum);

/// A file that cannot be used as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {fault}")]
pub struct FormatError {
    /// The file's name or path.
    pub file: String,
    pub fault: FormatFault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatFault {
    #[error(
        "written in format version {found}, newer than version {known}, the newest that this program reads"
    )]
    Newer { found: u16, known: u16 },
    #[error("does not begin with the magic of its kind (byte {position})")]
    Magic { position: u64 },
    #[error("checksum at byte {position} is {found:08x}, the bytes give {expected:08x}")]
    Checksum { position: u64, found: u32, expected: u32 },
    #[error("ends early: {found} bytes where {expected} are needed")]
    Short { found: u64, expected: u64 },
    #[error("byte {position} holds a value that its field does not allow")]
    Value { position: u64 },
    #[error("belongs to another cluster, journal or place (byte {position})")]
    Foreign { position: u64 },
}

impl FormatFault {
    pub fn of(self, file: impl Into<String>) -> FormatError {
        FormatError { file: file.into(), fault: self }
    }

    /// The byte of the file that it is about; where none is to blame, the first.
    pub fn position(self) -> u64 {
        match self {
            Self::Magic { position }
            | Self::Checksum { position, .. }
            | Self::Value { position }
            | Self::Foreign { position } => position,
            Self::Short { found, .. } => found,
            Self::Newer { .. } => 0,
        }
    }

    /// The same fault in a block that begins at `base` of its file.
    pub fn at(self, base: u64) -> Self {
        match self {
            Self::Magic { position } => Self::Magic { position: base + position },
            Self::Checksum { position, found, expected } => {
                Self::Checksum { position: base + position, found, expected }
            }
            Self::Value { position } => Self::Value { position: base + position },
            Self::Foreign { position } => Self::Foreign { position: base + position },
            other => other,
        }
    }
}

/// The kind of a framed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameKind {
    pub magic: [u8; 8],
    /// The newest version written and understood.
    pub version: u16,
}

impl FrameKind {
    /// One block with `body` in it.
    pub fn encode(self, seed: u64, body: &[u8]) -> [u8; BLOCK] {
        assert!(body.len() <= BODY_BYTES_MAX, "a body of {} bytes does not fit a block", body.len());
        let frame = FrameHeader {
            magic: self.magic,
            version: self.version.into(),
            reserved: 0.into(),
            body_bytes: (body.len() as u32).into(),
            checksum: 0.into(),
            reserved_2: 0.into(),
        };
        let mut block = [0; BLOCK];
        block[..FRAME_BYTES].copy_from_slice(frame.as_bytes());
        block[FRAME_BYTES..FRAME_BYTES + body.len()].copy_from_slice(body);
        let checksum = block_checksum(seed, &block, CHECKSUM_AT);
        block[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum.to_le_bytes());
        block
    }

    /// The body of a block. Positions in the fault count from the block's begin.
    pub fn decode(self, seed: u64, block: &[u8]) -> Result<&[u8], FormatFault> {
        if block.len() < BLOCK {
            return Err(FormatFault::Short { found: block.len() as u64, expected: BLOCK as u64 });
        }
        let block = &block[..BLOCK];
        let (frame, rest) = FrameHeader::ref_from_prefix(block).expect("a frame is unaligned bytes");
        if frame.magic != self.magic {
            return Err(FormatFault::Magic { position: 0 });
        }
        let expected = block_checksum(seed, block, CHECKSUM_AT);
        let found = frame.checksum.get();
        if found != expected {
            return Err(FormatFault::Checksum { position: CHECKSUM_AT as u64, found, expected });
        }
        if frame.version.get() > self.version {
            return Err(FormatFault::Newer { found: frame.version.get(), known: self.version });
        }
        rest.get(..frame.body_bytes.get() as usize).ok_or(FormatFault::Value { position: 12 })
    }

    /// Decodes whichever of two copies, in blocks of their own, is good; and how many were bad.
    ///
    /// When both are bad but say in one voice that a newer version wrote them, that is the
    /// answer: a flip in one block is damage, the same word in two is not.
    pub fn decode_copies(self, seed: u64, bytes: &[u8]) -> Result<(&[u8], u32), FormatFault> {
        let copies = [bytes, bytes.get(BLOCK..).unwrap_or_default()];
        match copies.map(|copy| self.decode(seed, copy)) {
            [Ok(body), second] => Ok((body, u32::from(second.is_err()))),
            [Err(_), Ok(body)] => Ok((body, 1)),
            [Err(first), Err(_)] => match self.newer_in(copies.into_iter()) {
                Some(found) => Err(FormatFault::Newer { found, known: self.version }),
                None => Err(first),
            },
        }
    }

    /// The newer version that all blocks name, checksums aside.
    pub fn newer_in<'a>(self, blocks: impl Iterator<Item = &'a [u8]>) -> Option<u16> {
        let mut newer = None;
        for block in blocks {
            let (frame, _) = FrameHeader::ref_from_prefix(block).ok()?;
            let version = frame.version.get();
            let same = newer.is_none_or(|newer| newer == version);
            if frame.magic != self.magic || version <= self.version || !same {
                return None;
            }
            newer = Some(version);
        }
        newer
    }
}

/// CRC-32C over the seed, then `block` with the four bytes at `at` as zeros.
pub fn block_checksum(seed: u64, block: &[u8], at: usize) -> u32 {
    let crc = crc32c::crc32c(&seed.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &block[..at]);
    let crc = crc32c::crc32c_append(crc, &[0; 4]);
    crc32c::crc32c_append(crc, &block[at + 4..])
}

/// Writes `bytes` (whole blocks) as the file `dir/name`, so that after a crash there is the old
/// file or the new one: a temporary file, synced, renamed over the name, folder synced.
pub async fn replace_file(
    io: &Io,
    pool: &BufferPool,
    dir: &str,
    name: &str,
    bytes: &[u8],
) -> Result<(), DiskError> {
    assert!(bytes.len().is_multiple_of(BLOCK), "{} bytes are not whole blocks", bytes.len());
    replace_file_of(io, pool, dir, name, [bytes, &[]]).await
}

/// The same of two parts, one behind the other, and zeros up to a whole block.
pub async fn replace_file_of(
    io: &Io,
    pool: &BufferPool,
    dir: &str,
    name: &str,
    parts: [&[u8]; 2],
) -> Result<(), DiskError> {
    let path = join(dir, name);
    let temporary = format!("{path}{TEMPORARY_SUFFIX}");
    match io.remove(&temporary).await {
        Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = io.create(&temporary).await?;
    let written = write_pieces(io, pool, file, parts).await;
    if let Err(error) = &written
        && error.kind == DiskErrorKind::Io
    {
        // The process ends of this: nothing else is begun.
        return written;
    }
    io.close(file).await?;
    written?;
    io.rename(&temporary, &path).await?;
    io.sync_dir(dir).await
}

async fn write_pieces(
    io: &Io,
    pool: &BufferPool,
    file: crate::ids::FileId,
    parts: [&[u8]; 2],
) -> Result<(), DiskError> {
    let [mut left, mut then] = parts;
    let bytes = (left.len() + then.len()).next_multiple_of(BLOCK);
    // Space first, so that a full disk is met before anything is half written.
    io.allocate(file, bytes as u64).await?;
    for position in (0..bytes).step_by(IO_BYTES_MAX) {
        let piece_bytes = IO_BYTES_MAX.min(bytes - position);
        let mut piece = Vec::with_capacity(piece_bytes);
        for part in [&mut left, &mut then] {
            let taken = part.split_off(..part.len().min(piece_bytes - piece.len()));
            piece.extend_from_slice(taken.expect("within the part"));
        }
        piece.resize(piece_bytes, 0);
        io.write(file, position as u64, pool.copy_of(&piece)).await?;
    }
    io.sync(file).await
}

/// What a file is called until it is whole.
pub const TEMPORARY_SUFFIX: &str = ".tmp";

/// Reads a whole file into memory; `bytes_max` bounds what a damaged length can ask for.
pub async fn read_file(io: &Io, path: &str, bytes_max: u64) -> Result<Vec<u8>, DiskError> {
    let (file, bytes) = io.open(path).await?;
    let read = read_pieces(io, file, bytes.min(bytes_max)).await;
    io.close(file).await?;
    read
}

/// Reads a small file that holds its content in several blocks: one that cannot be read is all
/// ones, which no checksum accepts, and the others still count.
pub async fn read_copies(io: &Io, path: &str, bytes_max: u64) -> Result<Vec<u8>, DiskError> {
    let (file, bytes) = io.open(path).await?;
    let content = read_blocks(io, file, bytes.min(bytes_max)).await;
    io.close(file).await?;
    Ok(content)
}

/// The blocks of an open file, those that cannot be read as all ones.
pub async fn read_blocks(io: &Io, file: crate::ids::FileId, bytes: u64) -> Vec<u8> {
    let mut content = vec![0xFF; bytes as usize];
    for (block, part) in content.chunks_mut(BLOCK).enumerate() {
        if let Ok(read) = io.read(file, (block * BLOCK) as u64, BLOCK).await {
            let have = read.len().min(part.len());
            part[..have].copy_from_slice(&read[..have]);
        }
    }
    content
}

async fn read_pieces(io: &Io, file: crate::ids::FileId, bytes: u64) -> Result<Vec<u8>, DiskError> {
    let mut content = Vec::with_capacity(bytes as usize);
    while (content.len() as u64) < bytes {
        let left = bytes as usize - content.len();
        let piece =
            io.read(file, content.len() as u64, left.next_multiple_of(BLOCK).min(IO_BYTES_MAX)).await?;
        if piece.is_empty() {
            break;
        }
        let whole_blocks = piece.len() % BLOCK == 0;
        content.extend_from_slice(&piece[..piece.len().min(left)]);
        if !whole_blocks {
            break;
        }
    }
    Ok(content)
}

fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() || dir == "." { name.to_owned() } else { format!("{dir}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: FrameKind = FrameKind { magic: *b"TESTTEST", version: 3 };

    #[test]
    fn a_flip_anywhere_in_the_block_is_seen() {
        let block = KIND.encode(9, b"body");
        assert_eq!(KIND.decode(9, &block), Ok(&b"body"[..]));
        assert!(KIND.decode(8, &block).is_err(), "another seed");
        for position in 0..BLOCK {
            let mut bad = block;
            bad[position] ^= 1;
            assert!(KIND.decode(9, &bad).is_err(), "byte {position}");
        }
    }

    #[test]
    fn newer_is_not_rotten() {
        let newer = FrameKind { version: 4, ..KIND };
        let block = newer.encode(9, b"");
        assert_eq!(KIND.decode(9, &block), Err(FormatFault::Newer { found: 4, known: 3 }));
        let text = FormatFault::Newer { found: 4, known: 3 }.of("node.meta").to_string();
        assert!(text.starts_with("node.meta: written in format version 4"), "{text}");
    }

    #[test]
    fn one_good_copy_is_enough_and_two_that_name_a_version_are_believed() {
        let block = KIND.encode(0, b"x");
        let mut both = [block, block].concat();
        both[100] ^= 1;
        assert_eq!(KIND.decode_copies(0, &both), Ok((&b"x"[..], 1)));
        both[8] = 9;
        both[BLOCK + 100] ^= 1;
        assert!(matches!(KIND.decode_copies(0, &both), Err(FormatFault::Checksum { .. })));
        both[BLOCK + 8] = 9;
        assert_eq!(KIND.decode_copies(0, &both), Err(FormatFault::Newer { found: 9, known: 3 }));
    }
}
