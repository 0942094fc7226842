//! A checkpoint's file: a header block, then the fold's bytes, which are opaque here.
//!
//! The name says which index it covers to; the header proves it. The file appears under its name
//! only when it is whole and durable.

use crate::disk::io::Io;
use crate::disk::{BLOCK, BufferPool, DiskError};
use crate::framing::{FRAME_BYTES, FormatError, FormatFault, FrameKind, read_file, replace_file_of};
use crate::ids::{Index, JournalIdentity, Term};
use std::rc::Rc;
use zerocopy::little_endian::{U32, U64, U128};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub const CHECKPOINT_KIND: FrameKind = FrameKind { magic: *b"DURAMENC", version: 1 };
/// Longer is damage: the fold of a journal with a million partitions and their producers is far
/// below it.
pub const CHECKPOINT_BYTES_MAX: u64 = 4 << 30;

/// The body of block 0.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct CheckpointHeader {
    pub cluster: U128,
    pub journal: U64,
    /// The last index that the fold includes, and that entry's term.
    pub last: U64,
    pub last_term: U64,
    /// The fold's bytes, behind this block; zeros follow to 4 KiB.
    pub body_bytes: U64,
    /// CRC-32C over the secret (8 bytes, little-endian), then the fold's bytes.
    pub body_checksum: U32,
    /// Zero.
    pub reserved: U32,
}

/// A fold and what it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub last: Index,
    /// The term of the entry at `last`.
    pub term: Term,
    /// What the fold encoded.
    pub body: Rc<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl CheckpointError {
    /// A newer version wrote it: to be refused, not passed over.
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Format(FormatError { fault: FormatFault::Newer { .. }, .. }))
    }
}

pub fn body_checksum(secret: u64, body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&secret.to_le_bytes()), body)
}

impl Checkpoint {
    /// The whole file; the same bytes on every replica.
    pub fn encode(&self, identity: &JournalIdentity) -> Vec<u8> {
        let padded = self.body.len().next_multiple_of(BLOCK);
        let mut file = Vec::with_capacity(BLOCK + padded);
        file.extend_from_slice(&self.first_block(identity, body_checksum(identity.secret, &self.body)));
        file.extend_from_slice(&self.body);
        file.resize(BLOCK + padded, 0);
        file
    }

    fn first_block(&self, identity: &JournalIdentity, body_checksum: u32) -> [u8; BLOCK] {
        let header = CheckpointHeader {
            cluster: identity.cluster.0.into(),
            journal: identity.journal.0.into(),
            last: self.last.0.into(),
            last_term: self.term.0.into(),
            body_bytes: (self.body.len() as u64).into(),
            body_checksum: body_checksum.into(),
            reserved: 0.into(),
        };
        CHECKPOINT_KIND.encode(identity.secret, header.as_bytes())
    }

    /// The whole file's length, by its first block.
    pub fn file_bytes(first: &[u8], identity: &JournalIdentity) -> Option<u64> {
        let body = CHECKPOINT_KIND.decode(identity.secret, first).ok()?;
        let body_bytes = CheckpointHeader::ref_from_bytes(body).ok()?.body_bytes.get();
        (body_bytes <= CHECKPOINT_BYTES_MAX).then(|| BLOCK as u64 + body_bytes.next_multiple_of(BLOCK as u64))
    }

    /// Reads a whole file.
    pub fn decode(file: &str, bytes: &[u8], identity: &JournalIdentity) -> Result<Self, FormatError> {
        Self::decode_bytes(bytes, identity).map_err(|fault| fault.of(file))
    }

    fn decode_bytes(bytes: &[u8], identity: &JournalIdentity) -> Result<Self, FormatFault> {
        let body = CHECKPOINT_KIND.decode(identity.secret, bytes)?;
        let header =
            CheckpointHeader::ref_from_bytes(body).map_err(|_| FormatFault::Value { position: 12 })?;
        if header.cluster.get() != identity.cluster.0 || header.journal.get() != identity.journal.0 {
            return Err(FormatFault::Foreign { position: FRAME_BYTES as u64 });
        }
        let found = (bytes.len() - BLOCK) as u64;
        let expected = header.body_bytes.get();
        if expected > CHECKPOINT_BYTES_MAX || found != expected.next_multiple_of(BLOCK as u64) {
            return Err(FormatFault::Short { found, expected });
        }
        let (body, padding) = bytes[BLOCK..].split_at(expected as usize);
        if let Some(at) = padding.iter().position(|byte| *byte != 0) {
            return Err(FormatFault::Value { position: BLOCK as u64 + expected + at as u64 });
        }
        let (found, expected) = (header.body_checksum.get(), body_checksum(identity.secret, body));
        if found != expected {
            let position = (FRAME_BYTES + core::mem::offset_of!(CheckpointHeader, body_checksum)) as u64;
            return Err(FormatFault::Checksum { position, found, expected });
        }
        Ok(Self {
            last: Index(header.last.get()),
            term: Term(header.last_term.get()),
            body: Rc::new(body.to_vec()),
        })
    }
}

/// A checkpoint that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Of the file.
    pub bytes: u64,
    pub body_checksum: u32,
}

/// Makes the checkpoint durable as `dir/name`, replacing what was there.
pub async fn write(
    io: &Io,
    pool: &BufferPool,
    dir: &str,
    name: &str,
    identity: &JournalIdentity,
    checkpoint: &Checkpoint,
) -> Result<Stored, DiskError> {
    let body_checksum = checksum_in_steps(io, identity.secret, &checkpoint.body).await?;
    let first = checkpoint.first_block(identity, body_checksum);
    replace_file_of(io, pool, dir, name, [&first, &checkpoint.body]).await?;
    let bytes = (BLOCK + checkpoint.body.len().next_multiple_of(BLOCK)) as u64;
    Ok(Stored { bytes, body_checksum })
}

/// As [`body_checksum`]; a long body is summed piece by piece, and others have their turn between them.
async fn checksum_in_steps(io: &Io, secret: u64, body: &[u8]) -> Result<u32, DiskError> {
    const PIECE_BYTES: usize = 4 << 20;
    let mut sum = body_checksum(secret, &[]);
    for (at, piece) in body.chunks(PIECE_BYTES).enumerate() {
        if at > 0 {
            io.rest().await?;
        }
        sum = crc32c::crc32c_append(sum, piece);
    }
    Ok(sum)
}

/// Reads a checkpoint's file.
pub async fn read(io: &Io, path: &str, identity: &JournalIdentity) -> Result<Checkpoint, CheckpointError> {
    let bytes = read_file(io, path, CHECKPOINT_BYTES_MAX + 2 * BLOCK as u64).await?;
    Ok(Checkpoint::decode(path, &bytes, identity)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ClusterId, JournalId};

    const IDENTITY: JournalIdentity =
        JournalIdentity { cluster: ClusterId(8), journal: JournalId(2), secret: 0xfeed };

    fn checkpoint(bytes: usize) -> Checkpoint {
        Checkpoint { last: Index(9), term: Term(3), body: Rc::new((0..bytes).map(|i| i as u8).collect()) }
    }

    #[test]
    fn a_checkpoint_comes_back_and_no_flip_passes() {
        for bytes in [0, 1, 4096, 5000] {
            let good = checkpoint(bytes).encode(&IDENTITY);
            assert_eq!(Checkpoint::decode("c", &good, &IDENTITY), Ok(checkpoint(bytes)));
            for position in 0..good.len() {
                let mut bad = good.clone();
                bad[position] ^= 2;
                assert!(Checkpoint::decode("c", &bad, &IDENTITY).is_err(), "byte {position}");
            }
            assert!(Checkpoint::decode("c", &good[..good.len() - 1], &IDENTITY).is_err());
        }
    }

    #[test]
    fn newer_and_foreign_checkpoints_are_refused() {
        let newer = FrameKind { version: 2, ..CHECKPOINT_KIND }.encode(IDENTITY.secret, &[]);
        let error = Checkpoint::decode("1.ckpt", &newer, &IDENTITY).expect_err("newer");
        assert_eq!(error, FormatFault::Newer { found: 2, known: 1 }.of("1.ckpt"));
        assert!(CheckpointError::from(error).is_newer());
        let other = JournalIdentity { journal: JournalId(3), ..IDENTITY };
        let good = checkpoint(10).encode(&IDENTITY);
        let foreign = Checkpoint::decode("c", &good, &other).expect_err("foreign");
        assert!(matches!(foreign.fault, FormatFault::Foreign { .. }));
    }
}
