//! The data folder: every name in it, and `node.meta`, which says whose folder it is.
//!
//! Paths are relative to the data folder. This file knows names and bytes; what a node does with
//! its identity is decided elsewhere.

use crate::disk::DiskError;
use crate::disk::io::Io;
use crate::framing::{FrameKind, TEMPORARY_SUFFIX};
use crate::ids::{ClusterId, Incarnation, Index, JournalId, NodeId, RaftId, RunId};
use zerocopy::little_endian::{U16, U32, U64, U128};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub const NODE_META: &str = "node.meta";
/// Held by `flock` for as long as the process may write.
pub const LOCK: &str = "lock";
/// Written and removed at start, to see whether O_DIRECT works here.
pub const PROBE: &str = "probe";
/// Space given up for checkpoints, indexes and hard state when the disk is full.
pub const RESERVE: &str = "reserve";
pub const JOURNALS: &str = "journals";
pub const JOURNAL_META: &str = "journal.meta";
pub const HARD_STATE: &str = "hard-state";
pub const LOCAL_CHECKPOINT: &str = "local.ckpt";
pub const QUARANTINE: &str = "quarantine";
/// A checkpoint from another replica, behind which the journal begins anew.
pub const INSTALL: &str = "install";

const SEGMENT_SUFFIX: &str = ".seg";
const INDEX_SUFFIX: &str = ".idx";
const CHECKPOINT_SUFFIX: &str = ".ckpt";
const RUN_SUFFIX: &str = ".run";
/// Behind the sum that the run is to have.
const RUN_PART_SUFFIX: &str = ".run-part";

/// Gives the reserve up: a checkpoint, an index or a record of the node found no room. It may be gone already.
pub async fn give_up_reserve(io: &Io) {
    let _ = io.remove(RESERVE).await;
}

/// `journals/{id:016x}`.
pub fn journal_dir(journal: JournalId) -> String {
    format!("{JOURNALS}/{:016x}", journal.0)
}

/// The journal whose folder is called `name`.
pub fn parse_journal_dir(name: &str) -> Option<JournalId> {
    let canonical = name.len() == 16 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    canonical.then(|| u64::from_str_radix(name, 16).ok().map(JournalId))?
}

pub fn journal_meta_path(journal: JournalId) -> String {
    format!("{}/{JOURNAL_META}", journal_dir(journal))
}

pub fn hard_state_path(journal: JournalId) -> String {
    format!("{}/{HARD_STATE}", journal_dir(journal))
}

pub fn segment_path(journal: JournalId, base: Index) -> String {
    format!("{}/{}", journal_dir(journal), JournalFile::Segment(base).name())
}

pub fn index_path(journal: JournalId, base: Index) -> String {
    format!("{}/{}", journal_dir(journal), JournalFile::Index(base).name())
}

pub fn checkpoint_path(journal: JournalId, last: Index) -> String {
    format!("{}/{}", journal_dir(journal), JournalFile::Checkpoint(last).name())
}

pub fn run_path(journal: JournalId, run: RunId) -> String {
    format!("{}/{}", journal_dir(journal), JournalFile::Run(run).name())
}

/// Where a run is kept that comes from another replica, until it is whole.
pub fn run_part_path(journal: JournalId, run: RunId, sum: u64) -> String {
    format!("{}/{}", journal_dir(journal), JournalFile::RunPart(run, sum).name())
}

pub fn local_checkpoint_path(journal: JournalId) -> String {
    format!("{}/{LOCAL_CHECKPOINT}", journal_dir(journal))
}

pub fn install_path(journal: JournalId) -> String {
    format!("{}/{INSTALL}", journal_dir(journal))
}

pub fn quarantine_dir(journal: JournalId) -> String {
    format!("{}/{QUARANTINE}", journal_dir(journal))
}

/// Where a tail that was cut off a segment is kept: named by the segment, the position of the cut
/// and the term in which it was made, so that a second cut there does not replace the first.
pub fn quarantine_path(journal: JournalId, base: Index, position: u64, term: u64) -> String {
    format!("{}/{:020}-{position:012}-{term}.cut", quarantine_dir(journal), base.0)
}

/// Where all that was left of a replica is moved: beside the journals, named by the journal, the
/// node's start and the replica, so that nothing that is there is ever replaced.
pub fn set_aside_dir(journal: JournalId, start: u64, replica: RaftId) -> String {
    format!("{QUARANTINE}/{:016x}-{start}-{replica}", journal.0)
}

/// A name in a journal's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalFile {
    Meta,
    HardState,
    /// By the index of its first entry.
    Segment(Index),
    Index(Index),
    /// By the last index it covers.
    Checkpoint(Index),
    /// Batches that were rewritten.
    Run(RunId),
    /// The begin of a run that another replica gives, and its sum; it stays over a restart.
    RunPart(RunId, u64),
    LocalCheckpoint,
    Install,
    Quarantine,
    /// Left by a crash before its rename; removed at start.
    Temporary,
}

impl JournalFile {
    pub fn name(self) -> String {
        match self {
            Self::Meta => JOURNAL_META.to_owned(),
            Self::HardState => HARD_STATE.to_owned(),
            Self::Segment(base) => format!("{:020}{SEGMENT_SUFFIX}", base.0),
            Self::Index(base) => format!("{:020}{INDEX_SUFFIX}", base.0),
            Self::Checkpoint(last) => format!("{:020}{CHECKPOINT_SUFFIX}", last.0),
            Self::Run(run) => format!("{:020}{RUN_SUFFIX}", run.0),
            Self::RunPart(run, sum) => format!("{:020}-{sum:016x}{RUN_PART_SUFFIX}", run.0),
            Self::LocalCheckpoint => LOCAL_CHECKPOINT.to_owned(),
            Self::Install => INSTALL.to_owned(),
            Self::Quarantine => QUARANTINE.to_owned(),
            Self::Temporary => TEMPORARY_SUFFIX.to_owned(),
        }
    }

    /// `None` for a name that the engine never gives.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            JOURNAL_META => Self::Meta,
            HARD_STATE => Self::HardState,
            LOCAL_CHECKPOINT => Self::LocalCheckpoint,
            INSTALL => Self::Install,
            QUARANTINE => Self::Quarantine,
            _ if name.ends_with(TEMPORARY_SUFFIX) => Self::Temporary,
            _ => {
                let (number, suffix) = name.split_at_checked(20)?;
                let digits = number.bytes().all(|byte| byte.is_ascii_digit());
                let index = Index(digits.then(|| number.parse().ok())??);
                match suffix {
                    SEGMENT_SUFFIX => Self::Segment(index),
                    INDEX_SUFFIX => Self::Index(index),
                    CHECKPOINT_SUFFIX => Self::Checkpoint(index),
                    RUN_SUFFIX => Self::Run(RunId(index.0)),
                    _ => {
                        let sum = suffix.strip_prefix('-')?.strip_suffix(RUN_PART_SUFFIX)?;
                        let canonical =
                            sum.len() == 16 && sum.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                        let sum = canonical.then(|| u64::from_str_radix(sum, 16).ok())??;
                        Self::RunPart(RunId(index.0), sum)
                    }
                }
            }
        })
    }
}

/// Why a node cannot begin on its folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FolderError {
    #[error("{0}")]
    Data(String),
    #[error(transparent)]
    Write(DiskError),
}

/// Pairs of blocks, the same bytes in both of a pair (see [`crate::register::NodeRecord`]).
pub const NODE_META_KIND: FrameKind = FrameKind { magic: *b"DURAMENN", version: 2 };
/// What a damaged length may ask for: a register of 10,000 journals.
pub const NODE_META_BYTES_MAX: u64 = 1 << 20;
/// What fits one block behind the fixed part; far above any cluster that forms in one go.
pub const FORMATION_MEMBERS_MAX: usize = 160;

/// Whose folder this is and how far its cluster's formation has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeMeta {
    pub node: NodeId,
    pub incarnation: Incarnation,
    /// 0 until the cluster is formed.
    pub cluster: ClusterId,
    /// The set of (node, incarnation) that this node stored.
    pub formation: Vec<(NodeId, Incarnation)>,
    /// All listed nodes stored the same set; it never changes again.
    pub is_final: bool,
    pub lanes: u16,
    pub segment_bytes: u64,
}

/// The fixed part of `node.meta`'s body; the formation set follows.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct NodeMetaBody {
    pub incarnation: U128,
    /// Zero until the cluster is formed.
    pub cluster: U128,
    pub segment_bytes: U64,
    pub node: U32,
    pub lanes: U16,
    /// 1 when the formation set is final, else 0.
    pub is_final: u8,
    /// Zero.
    pub reserved: u8,
    /// Members of the formation set behind this.
    pub members: U32,
    /// Zero.
    pub reserved_2: U32,
}

/// One member of the formation set.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct NodeMetaMember {
    pub incarnation: U128,
    pub node: U32,
    /// Zero.
    pub reserved: U32,
}

impl NodeMeta {
    /// The first part of the file's body.
    pub(crate) fn encode_body(&self) -> Vec<u8> {
        assert!(self.formation.len() <= FORMATION_MEMBERS_MAX, "{} members", self.formation.len());
        let body = NodeMetaBody {
            incarnation: self.incarnation.0.into(),
            cluster: self.cluster.0.into(),
            segment_bytes: self.segment_bytes.into(),
            node: self.node.0.into(),
            lanes: self.lanes.into(),
            is_final: self.is_final.into(),
            reserved: 0,
            members: (self.formation.len() as u32).into(),
            reserved_2: 0.into(),
        };
        let mut bytes = body.as_bytes().to_vec();
        for (node, incarnation) in &self.formation {
            let member =
                NodeMetaMember { incarnation: incarnation.0.into(), node: node.0.into(), reserved: 0.into() };
            bytes.extend_from_slice(member.as_bytes());
        }
        bytes
    }

    /// What stands in the body, and what is behind it; `None` for a value that its field does not allow.
    pub(crate) fn decode_body(body: &[u8]) -> Option<(Self, &[u8])> {
        let (fixed, rest) = NodeMetaBody::ref_from_prefix(body).ok()?;
        let count = fixed.members.get() as usize;
        let (members, rest) = <[NodeMetaMember]>::ref_from_prefix_with_elems(rest, count).ok()?;
        if fixed.is_final > 1 || count > FORMATION_MEMBERS_MAX {
            return None;
        }
        let member = |m: &NodeMetaMember| (NodeId(m.node.get()), Incarnation(m.incarnation.get()));
        let meta = Self {
            node: NodeId(fixed.node.get()),
            incarnation: Incarnation(fixed.incarnation.get()),
            cluster: ClusterId(fixed.cluster.get()),
            formation: members.iter().map(member).collect(),
            is_final: fixed.is_final == 1,
            lanes: fixed.lanes.get(),
            segment_bytes: fixed.segment_bytes.get(),
        };
        Some((meta, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        let last = Index(u64::MAX);
        for file in [
            JournalFile::Meta,
            JournalFile::HardState,
            JournalFile::Segment(Index(1)),
            JournalFile::Index(last),
            JournalFile::Checkpoint(Index(77)),
            JournalFile::Run(RunId(3 << 32)),
            JournalFile::RunPart(RunId(u64::MAX), 0xabc),
            JournalFile::LocalCheckpoint,
            JournalFile::Install,
            JournalFile::Quarantine,
        ] {
            assert_eq!(JournalFile::parse(&file.name()), Some(file));
        }
        for name in [
            "",
            "1.seg",
            "0000000000000000001x.seg",
            "00000000000000000001.log",
            "+0000000000000000001.seg",
            "00000000000000000001-0.run-part",
        ] {
            assert_eq!(JournalFile::parse(name), None, "{name}");
        }
        let dir = journal_dir(JournalId(0xab));
        assert_eq!(dir, "journals/00000000000000ab");
        assert_eq!(parse_journal_dir("00000000000000ab"), Some(JournalId(0xab)));
        assert_eq!(parse_journal_dir("00000000000000AB"), None);
        assert_eq!(
            segment_path(JournalId(0), Index(5)),
            "journals/0000000000000000/00000000000000000005.seg"
        );
    }
}
