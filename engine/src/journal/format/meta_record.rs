//! `journal.meta`: what a journal's folder knows of itself before any entry is read.

use crate::control::life::Life;
use crate::disk::BLOCK;
use crate::framing::{FRAME_BYTES, FormatError, FormatFault, FrameKind};
use crate::ids::{ClusterId, JournalId, JournalIdentity, LaneId, RaftId};
use zerocopy::little_endian::{U16, U32, U64, U128};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Two copies, a block each.
pub const JOURNAL_META_BYTES: usize = 2 * BLOCK;
pub const JOURNAL_META_KIND: FrameKind = FrameKind { magic: *b"DURAMENJ", version: 1 };
/// What fits one block; a replica set is a handful.
pub const INITIAL_VOTERS_MAX: usize = 256;

/// A journal's own record, made with the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalMeta {
    pub journal: JournalId,
    pub cluster: ClusterId,
    /// Seeds the checksums of entries, hard state, index and checkpoints.
    pub secret: u64,
    pub segment_bytes: u64,
    pub batches_per_segment_max: u32,
    pub life: Life,
    pub lane: LaneId,
    /// The voters that the journal began with.
    pub voters: Vec<RaftId>,
    /// This replica.
    pub raft_id: RaftId,
}

/// The fixed part of the body; the voters follow, 8 bytes each.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct JournalMetaBody {
    pub cluster: U128,
    pub journal: U64,
    pub secret: U64,
    pub segment_bytes: U64,
    pub raft_id: U64,
    pub batches_per_segment_max: U32,
    pub lane: U16,
    /// A [`Life`].
    pub life: u8,
    /// Zero.
    pub reserved: u8,
    /// Voters behind this.
    pub voters: U32,
    /// Zero.
    pub reserved_2: U32,
}

impl JournalMeta {
    pub fn identity(&self) -> JournalIdentity {
        JournalIdentity { cluster: self.cluster, journal: self.journal, secret: self.secret }
    }

    /// The whole file: two copies. It is replaced whole (`framing::replace_file`).
    pub fn encode(&self) -> Vec<u8> {
        assert!(self.voters.len() <= INITIAL_VOTERS_MAX, "{} voters", self.voters.len());
        let body = JournalMetaBody {
            cluster: self.cluster.0.into(),
            journal: self.journal.0.into(),
            secret: self.secret.into(),
            segment_bytes: self.segment_bytes.into(),
            raft_id: self.raft_id.0.into(),
            batches_per_segment_max: self.batches_per_segment_max.into(),
            lane: self.lane.0.into(),
            life: self.life as u8,
            reserved: 0,
            voters: (self.voters.len() as u32).into(),
            reserved_2: 0.into(),
        };
        let mut bytes = body.as_bytes().to_vec();
        for voter in &self.voters {
            bytes.extend_from_slice(&voter.0.to_le_bytes());
        }
        // The secret is in here, so it cannot seed this checksum.
        let block = JOURNAL_META_KIND.encode(0, &bytes);
        [block, block].concat()
    }

    /// Reads whichever copy is good, and how many were bad. `file` is for the error.
    pub fn decode(file: &str, bytes: &[u8]) -> Result<(Self, u32), FormatError> {
        let (body, bad_copies) = JOURNAL_META_KIND.decode_copies(0, bytes).map_err(|fault| fault.of(file))?;
        let meta = Self::decode_body(body)
            .ok_or_else(|| FormatFault::Value { position: FRAME_BYTES as u64 }.of(file))?;
        Ok((meta, bad_copies))
    }

    fn decode_body(body: &[u8]) -> Option<Self> {
        let (fixed, rest) = JournalMetaBody::ref_from_prefix(body).ok()?;
        let voters = <[U64]>::ref_from_bytes(rest).ok()?;
        if voters.len() != fixed.voters.get() as usize {
            return None;
        }
        Some(Self {
            journal: JournalId(fixed.journal.get()),
            cluster: ClusterId(fixed.cluster.get()),
            secret: fixed.secret.get(),
            segment_bytes: fixed.segment_bytes.get(),
            batches_per_segment_max: fixed.batches_per_segment_max.get(),
            life: life_of(fixed.life)?,
            lane: LaneId(fixed.lane.get()),
            voters: voters.iter().map(|voter| RaftId(voter.get())).collect(),
            raft_id: RaftId(fixed.raft_id.get()),
        })
    }
}

fn life_of(byte: u8) -> Option<Life> {
    [Life::Meta, Life::Finite, Life::Infinite, Life::Compacted, Life::Internal]
        .into_iter()
        .find(|life| *life as u8 == byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> JournalMeta {
        JournalMeta {
            journal: JournalId(17),
            cluster: ClusterId(5),
            secret: 0x5eed,
            segment_bytes: 1 << 20,
            batches_per_segment_max: 262_144,
            life: Life::Compacted,
            lane: LaneId(2),
            voters: vec![RaftId(1), RaftId(9)],
            raft_id: RaftId(9),
        }
    }

    #[test]
    fn a_record_comes_back_and_survives_a_rotten_copy() {
        let bytes = meta().encode();
        assert_eq!(bytes.len(), JOURNAL_META_BYTES);
        assert_eq!(JournalMeta::decode("j", &bytes), Ok((meta(), 0)));
        for position in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[position] ^= 4;
            assert_eq!(JournalMeta::decode("j", &bad), Ok((meta(), 1)), "byte {position}");
        }
    }

    #[test]
    fn newer_and_empty_records_are_refused_by_name() {
        let newer = FrameKind { version: 3, ..JOURNAL_META_KIND }.encode(0, &[]);
        let error = JournalMeta::decode("a/journal.meta", &[newer, newer].concat());
        assert_eq!(error, Err(FormatFault::Newer { found: 3, known: 1 }.of("a/journal.meta")));
        assert_eq!(
            JournalMeta::decode("j", &[]),
            Err(FormatFault::Short { found: 0, expected: 4096 }.of("j"))
        );
    }
}
