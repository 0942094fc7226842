//! What replicas say to each other when one lacks what the leader's log no longer has: the leader
//! offers the checkpoint at its log's start, the other one fetches it piece by piece.
//!
//! Everything behind the checkpoint then comes as ordinary entries.

use super::decode::DecodeError;
use crate::codec::{Reader, Write};
use crate::ids::{Index, RaftId, Term};
use core::fmt;

/// A piece is at most this long: a fraction of a frame's body.
pub const PIECE_BYTES_MAX: usize = 256 << 10;

/// Where a log begins, and the checkpoint that stands for what was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    pub to: RaftId,
    /// The leader's.
    pub term: Term,
    /// The last entry that is gone: its term, and the checksum that the next one names.
    pub last: Index,
    pub last_term: Term,
    pub checksum: u32,
    /// Of the checkpoint's file.
    pub bytes: u64,
}

#[derive(Clone, PartialEq, Eq)]
pub enum InstallMessage {
    Offer(Offer),
    /// Asks for the piece of a checkpoint's file that begins at `position`.
    Read {
        last: Index,
        position: u64,
    },
    Piece {
        last: Index,
        position: u64,
        bytes: Vec<u8>,
    },
}

impl fmt::Debug for InstallMessage {
    // Without the bytes: it goes into traces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offer(offer) => offer.fmt(f),
            Self::Read { last, position } => write!(f, "ReadCheckpoint({last} at {position})"),
            Self::Piece { last, position, bytes } => {
                write!(f, "CheckpointPiece({last} at {position}, {} bytes)", bytes.len())
            }
        }
    }
}

const OFFER: u8 = 1;
const READ: u8 = 2;
const PIECE: u8 = 3;

impl InstallMessage {
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Offer(offer) => {
                to.put_u8(OFFER);
                to.put_u64(offer.to.0);
                to.put_u64(offer.term.0);
                to.put_u64(offer.last.0);
                to.put_u64(offer.last_term.0);
                to.put_u32(offer.checksum);
                to.put_u64(offer.bytes);
            }
            Self::Read { last, position } => {
                to.put_u8(READ);
                to.put_u64(last.0);
                to.put_u64(*position);
            }
            Self::Piece { last, position, bytes } => {
                to.put_u8(PIECE);
                to.put_u64(last.0);
                to.put_u64(*position);
                to.sized(bytes);
            }
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.u8()? {
            OFFER => Self::Offer(Offer {
                to: RaftId(from.u64()?),
                term: Term(from.u64()?),
                last: Index(from.u64()?),
                last_term: Term(from.u64()?),
                checksum: from.u32()?,
                bytes: from.u64()?,
            }),
            READ => Self::Read { last: Index(from.u64()?), position: from.u64()? },
            PIECE => {
                Self::Piece { last: Index(from.u64()?), position: from.u64()?, bytes: from.sized()?.to_vec() }
            }
            number => return Err(DecodeError::Unknown { what: "install message", number }),
        })
    }
}
