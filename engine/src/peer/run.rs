//! What replicas say to each other of runs: one that lacks a run asks any other for its file, piece by piece; and each
//! tells the leader which runs are durable with it.

use super::decode::DecodeError;
use crate::codec::{Reader, Write};
use crate::ids::{Index, RaftId, RunId};
use core::fmt;

/// A piece is at most this long: a fraction of a frame's body.
pub const RUN_PIECE_BYTES: usize = 256 << 10;

/// More runs are not told of in one message. A journal has one or a few; beyond that the next message goes on.
pub const RUNS_TOLD_MAX: usize = 1024;

/// A run by its id and the sum over its partitions: two files with both the same hold the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunName {
    pub run: RunId,
    pub sum: u64,
}

/// What a replica has and lacks of the runs that its journal's entries name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunsHeld {
    pub from: RaftId,
    pub to: RaftId,
    /// Up to here it knows which runs there are.
    pub applied: Index,
    /// Durable with it, and not told to be on a majority.
    pub here: Vec<RunName>,
    /// How many runs it has neither themselves nor what they were made of: without them it is no copy.
    pub lacking: u32,
}

#[derive(Clone, PartialEq, Eq)]
pub enum RunMessage {
    /// Asks for the piece of a run's file that begins at `position`.
    Read {
        name: RunName,
        position: u64,
    },
    Piece {
        name: RunName,
        position: u64,
        bytes: Vec<u8>,
    },
    /// It has no such run.
    Absent {
        name: RunName,
    },
    /// To whoever leads.
    Held(RunsHeld),
}

impl fmt::Debug for RunMessage {
    // Without the bytes: it goes into traces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { name, position } => write!(f, "ReadRun({} at {position})", name.run),
            Self::Piece { name, position, bytes } => {
                write!(f, "RunPiece({} at {position}, {} bytes)", name.run, bytes.len())
            }
            Self::Absent { name } => write!(f, "NoRun({})", name.run),
            Self::Held(held) => held.fmt(f),
        }
    }
}

const READ: u8 = 1;
const PIECE: u8 = 2;
const ABSENT: u8 = 3;
const HELD: u8 = 4;

const NAME_BYTES: usize = 16;

impl RunMessage {
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Read { name, position } => {
                to.put_u8(READ);
                write_name(to, *name);
                to.put_u64(*position);
            }
            Self::Piece { name, position, bytes } => {
                to.put_u8(PIECE);
                write_name(to, *name);
                to.put_u64(*position);
                to.sized(bytes);
            }
            Self::Absent { name } => {
                to.put_u8(ABSENT);
                write_name(to, *name);
            }
            Self::Held(held) => {
                to.put_u8(HELD);
                to.put_u64(held.from.0);
                to.put_u64(held.to.0);
                to.put_u64(held.applied.0);
                write_names(to, &held.here);
                to.put_u32(held.lacking);
            }
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.u8()? {
            READ => Self::Read { name: read_name(from)?, position: from.u64()? },
            PIECE => {
                Self::Piece { name: read_name(from)?, position: from.u64()?, bytes: from.sized()?.to_vec() }
            }
            ABSENT => Self::Absent { name: read_name(from)? },
            HELD => Self::Held(RunsHeld {
                from: RaftId(from.u64()?),
                to: RaftId(from.u64()?),
                applied: Index(from.u64()?),
                here: read_names(from)?,
                lacking: from.u32()?,
            }),
            number => return Err(DecodeError::Unknown { what: "message of runs", number }),
        })
    }
}

fn write_name(to: &mut Vec<u8>, name: RunName) {
    to.put_u64(name.run.0);
    to.put_u64(name.sum);
}

fn read_name(from: &mut Reader<'_>) -> Result<RunName, DecodeError> {
    Ok(RunName { run: RunId(from.u64()?), sum: from.u64()? })
}

fn write_names(to: &mut Vec<u8>, names: &[RunName]) {
    assert!(names.len() <= RUNS_TOLD_MAX, "{} runs are told in more than one message", names.len());
    to.put_count(names.len());
    names.iter().for_each(|name| write_name(to, *name));
}

fn read_names(from: &mut Reader<'_>) -> Result<Vec<RunName>, DecodeError> {
    let count = from.count(NAME_BYTES)?;
    if count > RUNS_TOLD_MAX {
        return Err(DecodeError::Unknown { what: "number of runs", number: u8::MAX });
    }
    (0..count).map(|_| read_name(from)).collect()
}
