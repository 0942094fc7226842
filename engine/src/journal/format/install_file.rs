//! `install`: two blocks that say that a journal's log begins behind a checkpoint which came from
//! another replica, and then that checkpoint's file.
//!
//! Its appearance is the moment of the switch: from then on all else that the folder holds of
//! entries is void, unless it says that what lies behind the checkpoint is kept, and recovery removes
//! it. It goes once that is done.

use crate::disk::BLOCK;
use crate::framing::{FRAME_BYTES, FormatError, FormatFault, FrameKind};
use crate::ids::{Index, JournalIdentity, Term};
use zerocopy::little_endian::{U32, U64, U128};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub const INSTALL_KIND: FrameKind = FrameKind { magic: *b"DURAMENS", version: 1 };
/// Two copies, a block each; the checkpoint's file follows.
pub const INSTALL_BYTES: usize = 2 * BLOCK;

/// The entry that the log begins behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Install {
    pub last: Index,
    pub term: Term,
    /// Of that entry's head: what the first entry names.
    pub checksum: u32,
    /// The segments behind that entry go on from it, and stay.
    pub keeps: bool,
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct InstallBody {
    pub cluster: U128,
    pub journal: U64,
    pub last: U64,
    pub term: U64,
    pub checksum: U32,
    /// 1: the segments behind are kept; else 0.
    pub keeps: U32,
}

impl Install {
    pub fn encode(&self, identity: &JournalIdentity) -> Vec<u8> {
        let body = InstallBody {
            cluster: identity.cluster.0.into(),
            journal: identity.journal.0.into(),
            last: self.last.0.into(),
            term: self.term.0.into(),
            checksum: self.checksum.into(),
            keeps: u32::from(self.keeps).into(),
        };
        let block = INSTALL_KIND.encode(identity.secret, body.as_bytes());
        [block, block].concat()
    }

    pub fn decode(file: &str, bytes: &[u8], identity: &JournalIdentity) -> Result<Self, FormatError> {
        let decoded = INSTALL_KIND.decode_copies(identity.secret, bytes).map(|(body, _)| body);
        let body = decoded.map_err(|fault| fault.of(file))?;
        let value = FormatFault::Value { position: FRAME_BYTES as u64 };
        let body = InstallBody::ref_from_bytes(body).map_err(|_| value.of(file))?;
        if body.cluster.get() != identity.cluster.0 || body.journal.get() != identity.journal.0 {
            return Err(FormatFault::Foreign { position: FRAME_BYTES as u64 }.of(file));
        }
        let (last, term) = (Index(body.last.get()), Term(body.term.get()));
        Ok(Self { last, term, checksum: body.checksum.get(), keeps: body.keeps.get() == 1 })
    }
}
