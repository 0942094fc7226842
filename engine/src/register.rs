//! What a node has been and had: the part of `node.meta` that tells "missing" from "never made".
//!
//! A replica that is entered here was whole on disk and may have voted and acknowledged. When any
//! of it is not there any more, or is older than it was, the replica has forgotten something that
//! others count on: it is *lost*, and never takes part under its raft id again. This file knows
//! entries and bytes; who writes it and what follows is decided in [`crate::shard`].

use crate::disk::BLOCK;
use crate::folder::{self, NODE_META_KIND, NodeMeta};
use crate::framing::{BODY_BYTES_MAX, FRAME_BYTES, FormatError, FormatFault, FrameHeader};
use crate::ids::{Incarnation, JournalId, NodeId, RaftId, Run};
use crate::planted::{Bug, is_planted};
use std::collections::BTreeMap;
use zerocopy::little_endian::{U16, U32, U64, U128};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Incarnations of one other node that are remembered: one that is not has been replaced as many
/// times, and its raft ids are nobody's any more.
const MET_PER_NODE_MAX: usize = 4;

/// What `node.meta` holds behind the node's identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Register {
    /// Starts of this node on its folder, the running one included; 0 before the first.
    pub start: u64,
    /// False for a folder from before there was a register: what is found is entered once.
    pub is_complete: bool,
    pub journals: BTreeMap<JournalId, Registered>,
    /// The newest process that was met of each incarnation of other nodes, the latest met last.
    pub met: Vec<Met>,
}

/// A replica that was made here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    pub raft_id: RaftId,
    /// The last start in which it took part, as far as is written; 0 when that is not known.
    pub opened: u64,
    /// Why it is lost, if it is.
    pub lost: Option<Amnesia>,
}

impl Registered {
    /// A replica that is whole.
    pub fn new(raft_id: RaftId, opened: u64) -> Self {
        Self { raft_id, opened, lost: None }
    }
}

/// What a hard state carries of the start that let it vote: by whom it was, and when. Another
/// replica's hard state of the same journal differs in nothing else.
pub fn opened_by(raft_id: RaftId, start: u64) -> u64 {
    (raft_id.0 << 32) | (start & u64::from(u32::MAX))
}

/// The same, taken apart.
pub fn opener_of(opened: u64) -> (RaftId, u64) {
    (RaftId(opened >> 32), opened & u64::from(u32::MAX))
}

/// A process of another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met {
    pub node: NodeId,
    pub incarnation: Incarnation,
    pub run: Run,
}

/// Why a replica is taken for one that has forgotten what it promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[repr(u8)]
pub enum Amnesia {
    #[error("its folder is missing")]
    FolderMissing = 1,
    #[error("journal.meta is missing")]
    MetaMissing = 2,
    #[error("both copies in journal.meta are bad")]
    MetaBad = 3,
    #[error("journal.meta is of another node, another cluster or another replica")]
    MetaForeign = 4,
    #[error("hard-state is missing")]
    HardStateMissing = 5,
    #[error("no copy in hard-state is good")]
    HardStateBad = 6,
    #[error("no segment is there")]
    SegmentsMissing = 7,
    #[error("entries before its first segment are missing, and no checkpoint that can be read covers them")]
    FrontMissing = 8,
    #[error("its folder is an older copy")]
    FolderOld = 9,
    #[error("it is not entered in node.meta, and holds entries or a vote")]
    Unregistered = 10,
    #[error("node.meta is missing or bad")]
    NodeMissing = 11,
    #[error("the whole data folder is an older copy")]
    NodeOld = 12,
    #[error("hard-state is another replica's")]
    HardStateForeign = 13,
}

impl Amnesia {
    const ALL: [Self; 13] = [
        Self::FolderMissing,
        Self::MetaMissing,
        Self::MetaBad,
        Self::MetaForeign,
        Self::HardStateMissing,
        Self::HardStateBad,
        Self::SegmentsMissing,
        Self::FrontMissing,
        Self::FolderOld,
        Self::Unregistered,
        Self::NodeMissing,
        Self::NodeOld,
        Self::HardStateForeign,
    ];

    fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|why| *why as u8 == number)
    }
}

/// What a process of another node is, to one that has met its like before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// Nothing is to be written down.
    Known,
    /// It counts once it is written down.
    New,
    /// A later process of the same folder was met: this one runs on an older copy of it.
    Old { seen: u64 },
}

impl Register {
    /// Judges a process of another node. Those that tell no start are from before there were any.
    pub fn meet(&self, met: &Met) -> Meeting {
        if met.run.start == 0 || is_planted(Bug::OldCopyBelieved) {
            return Meeting::Known;
        }
        let before = self.met.iter().find(|known| same_folder(known, met));
        match before.map(|known| known.run) {
            Some(known) if known == met.run => Meeting::Known,
            Some(known) if known.start >= met.run.start => Meeting::Old { seen: known.start },
            _ => Meeting::New,
        }
    }

    /// Takes note of it.
    pub fn remember(&mut self, met: Met) {
        self.met.retain(|known| !same_folder(known, &met));
        self.met.push(met);
        let of_node = self.met.iter().filter(|known| known.node == met.node).count();
        if of_node > MET_PER_NODE_MAX {
            let oldest = self.met.iter().position(|known| known.node == met.node).expect("counted");
            self.met.remove(oldest);
        }
    }

    /// Whether this replica may take part: entered, and not lost.
    pub fn has(&self, journal: JournalId) -> bool {
        self.journals.get(&journal).is_some_and(|registered| registered.lost.is_none())
    }
}

fn same_folder(one: &Met, other: &Met) -> bool {
    (one.node, one.incarnation) == (other.node, other.incarnation)
}

/// The whole of `node.meta`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    pub node: NodeMeta,
    pub register: Register,
}

/// What a node found at its begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begun {
    /// Durable, with this start in it.
    pub record: Option<NodeRecord>,
    /// Replicas that take no part any more.
    pub lost: Vec<(JournalId, Amnesia)>,
    /// What was left of these is in these folders now.
    pub aside: Vec<(JournalId, String)>,
}

/// Since version 2, behind the formation set; the entries follow.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct RegisterBody {
    pub start: U64,
    /// Journals behind this.
    pub journals: U32,
    /// Processes of other nodes behind those.
    pub met: U32,
    /// 1 when what was there before there was a register is entered, else 0.
    pub is_complete: u8,
    /// Zero.
    pub reserved: [u8; 7],
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct RegisteredRow {
    pub journal: U64,
    pub raft_id: U64,
    pub opened: U64,
    /// An [`Amnesia`], or 0.
    pub lost: u8,
    /// Zero.
    pub reserved: u8,
    pub reserved_2: U16,
    pub reserved_3: U32,
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct MetRow {
    pub incarnation: U128,
    pub start: U64,
    pub nonce: U64,
    pub node: U32,
    /// Zero.
    pub reserved: U32,
}

impl NodeRecord {
    /// The whole file: pairs of blocks, the same bytes in both of a pair. It is replaced whole
    /// (`framing::replace_file`).
    pub fn encode(&self) -> Vec<u8> {
        let mut body = self.node.encode_body();
        self.register.encode(&mut body);
        let pair = |part: &[u8]| {
            let block = NODE_META_KIND.encode(0, part);
            [block, block].concat()
        };
        body.chunks(BODY_BYTES_MAX).flat_map(pair).collect()
    }

    /// Reads whichever block of each pair is good, and how many were bad. Version 1 has one pair
    /// and no register.
    pub fn decode(bytes: &[u8]) -> Result<(Self, u32), FormatError> {
        let fault = |fault: FormatFault| fault.of(folder::NODE_META);
        let value = || fault(FormatFault::Value { position: FRAME_BYTES as u64 });
        let (first, mut bad_blocks) = NODE_META_KIND.decode_copies(0, bytes).map_err(fault)?;
        let is_versioned = |block: &&[u8]| NODE_META_KIND.decode(0, block).is_ok();
        let good = bytes.chunks(BLOCK).take(2).find(is_versioned).expect("one was just read");
        let mut body = first.to_vec();
        if FrameHeader::ref_from_prefix(good).expect("a whole block").0.version.get() == 1 {
            let (node, rest) = NodeMeta::decode_body(&body).ok_or_else(value)?;
            let record = Self { node, register: Register::default() };
            return if rest.is_empty() { Ok((record, bad_blocks)) } else { Err(value()) };
        }
        for (number, pair) in bytes.chunks(2 * BLOCK).enumerate().skip(1) {
            let at = (number * 2 * BLOCK) as u64;
            let (part, bad) = NODE_META_KIND.decode_copies(0, pair).map_err(|found| fault(found.at(at)))?;
            body.extend_from_slice(part);
            bad_blocks += bad;
        }
        let (node, rest) = NodeMeta::decode_body(&body).ok_or_else(value)?;
        let register = Register::decode(rest).ok_or_else(value)?;
        Ok((Self { node, register }, bad_blocks))
    }
}

impl Register {
    fn encode(&self, to: &mut Vec<u8>) {
        let body = RegisterBody {
            start: self.start.into(),
            journals: (self.journals.len() as u32).into(),
            met: (self.met.len() as u32).into(),
            is_complete: self.is_complete.into(),
            reserved: [0; 7],
        };
        to.extend_from_slice(body.as_bytes());
        for (journal, registered) in &self.journals {
            let row = RegisteredRow {
                journal: journal.0.into(),
                raft_id: registered.raft_id.0.into(),
                opened: registered.opened.into(),
                lost: registered.lost.map_or(0, |why| why as u8),
                reserved: 0,
                reserved_2: 0.into(),
                reserved_3: 0.into(),
            };
            to.extend_from_slice(row.as_bytes());
        }
        for met in &self.met {
            let row = MetRow {
                incarnation: met.incarnation.0.into(),
                start: met.run.start.into(),
                nonce: met.run.nonce.into(),
                node: met.node.0.into(),
                reserved: 0.into(),
            };
            to.extend_from_slice(row.as_bytes());
        }
    }

    /// `None` for a value that its field does not allow.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (fixed, rest) = RegisterBody::ref_from_prefix(bytes).ok()?;
        let journals = fixed.journals.get() as usize;
        let (journals, rest) = <[RegisteredRow]>::ref_from_prefix_with_elems(rest, journals).ok()?;
        let met = <[MetRow]>::ref_from_bytes(rest).ok()?;
        if met.len() != fixed.met.get() as usize || fixed.is_complete > 1 {
            return None;
        }
        let registered = |row: &RegisteredRow| {
            let lost = if row.lost == 0 { None } else { Some(Amnesia::of(row.lost)?) };
            let (raft_id, opened) = (RaftId(row.raft_id.get()), row.opened.get());
            Some((JournalId(row.journal.get()), Registered { raft_id, opened, lost }))
        };
        let met_of = |row: &MetRow| Met {
            node: NodeId(row.node.get()),
            incarnation: Incarnation(row.incarnation.get()),
            run: Run { start: row.start.get(), nonce: row.nonce.get() },
        };
        Some(Self {
            start: fixed.start.get(),
            is_complete: fixed.is_complete == 1,
            journals: journals.iter().map(registered).collect::<Option<_>>()?,
            met: met.iter().map(met_of).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::FrameKind;
    use crate::ids::ClusterId;

    fn met(node: u32, incarnation: u128, start: u64, nonce: u64) -> Met {
        let (node, incarnation) = (NodeId(node), Incarnation(incarnation));
        Met { node, incarnation, run: Run { start, nonce } }
    }

    #[test]
    fn a_register_comes_back() {
        let mut register = Register { start: 7, is_complete: true, ..Register::default() };
        for (number, lost) in (0..300).zip(Amnesia::ALL.iter().map(|why| Some(*why)).chain([None]).cycle()) {
            let registered = Registered { raft_id: RaftId(number + 1), opened: number, lost };
            register.journals.insert(JournalId(number), registered);
        }
        (1..9).for_each(|node| register.remember(met(node, 5, 3, 4)));
        let mut bytes = Vec::new();
        register.encode(&mut bytes);
        assert_eq!(Register::decode(&bytes), Some(register));
        for length in 0..bytes.len() {
            assert_eq!(Register::decode(&bytes[..length]), None, "{length}");
        }
        let mut unknown = bytes.clone();
        unknown[24 + 24] = 200;
        assert_eq!(Register::decode(&unknown), None);
    }

    #[test]
    fn an_older_process_of_a_folder_is_told_from_a_newer_one() {
        let mut register = Register::default();
        assert_eq!(register.meet(&met(2, 9, 4, 1)), Meeting::New);
        register.remember(met(2, 9, 4, 1));
        assert_eq!(register.meet(&met(2, 9, 4, 1)), Meeting::Known, "another link of it");
        assert_eq!(register.meet(&met(2, 9, 5, 2)), Meeting::New);
        assert_eq!(register.meet(&met(2, 9, 3, 8)), Meeting::Old { seen: 4 });
        assert_eq!(register.meet(&met(2, 9, 4, 8)), Meeting::Old { seen: 4 }, "a copy was started as often");
        assert_eq!(register.meet(&met(2, 10, 1, 8)), Meeting::New, "another folder");
        assert_eq!(register.meet(&met(3, 9, 1, 8)), Meeting::New, "another node");
        assert_eq!(register.meet(&met(2, 9, 0, 0)), Meeting::Known, "it tells no start");
    }

    #[test]
    fn a_node_that_is_replaced_again_and_again_is_remembered_in_bounded_space() {
        let mut register = Register::default();
        register.remember(met(1, 1, 1, 1));
        (0..100).for_each(|incarnation| register.remember(met(2, incarnation, 1, 1)));
        assert_eq!(register.met.len(), 1 + MET_PER_NODE_MAX);
        assert_eq!(register.meet(&met(2, 99, 1, 2)), Meeting::Old { seen: 1 });
        assert_eq!(register.meet(&met(1, 1, 1, 2)), Meeting::Old { seen: 1 });
    }

    #[test]
    fn a_record_comes_back_and_survives_a_rotten_block_of_each_pair() {
        for journals in [0, 3, 500] {
            let record = record(journals);
            let bytes = record.encode();
            assert_eq!(bytes.len() % (2 * BLOCK), 0);
            assert_eq!(bytes.len() > 2 * BLOCK, journals == 500);
            assert_eq!(NodeRecord::decode(&bytes), Ok((record.clone(), 0)));
            for position in (0..bytes.len()).step_by(97) {
                let mut bad = bytes.clone();
                bad[position] ^= 0x80;
                assert_eq!(NodeRecord::decode(&bad), Ok((record.clone(), 1)), "byte {position}");
            }
            let mut half = bytes.clone();
            half.chunks_mut(2 * BLOCK).for_each(|pair| pair[..BLOCK].fill(0xFF));
            assert!(NodeRecord::decode(&half).is_ok_and(|(read, _)| read == record));
            half[BLOCK + 50] ^= 1;
            NodeRecord::decode(&half).expect_err("both blocks of the first pair");
        }
        let cut = record(500).encode();
        NodeRecord::decode(&cut[..cut.len() - 2 * BLOCK]).expect_err("a part of the register is missing");
    }

    #[test]
    fn a_record_of_before_there_was_a_register_is_read() {
        let node = meta();
        let block = FrameKind { version: 1, ..NODE_META_KIND }.encode(0, &node.encode_body());
        let record = NodeRecord { node, register: Register::default() };
        assert_eq!(NodeRecord::decode(&[block, block].concat()), Ok((record, 0)));
    }

    #[test]
    fn a_newer_node_meta_is_refused_by_name() {
        let newer = FrameKind { version: 3, ..NODE_META_KIND }.encode(0, &[]);
        let error = NodeRecord::decode(&[newer, newer].concat()).expect_err("newer");
        assert_eq!(error, FormatFault::Newer { found: 3, known: 2 }.of("node.meta"));
    }

    fn meta() -> NodeMeta {
        NodeMeta {
            node: NodeId(3),
            incarnation: Incarnation(u128::MAX - 7),
            cluster: ClusterId(5),
            formation: vec![(NodeId(1), Incarnation(11)), (NodeId(3), Incarnation(u128::MAX - 7))],
            is_final: true,
            lanes: 4,
            segment_bytes: 256 << 20,
        }
    }

    fn record(journals: u64) -> NodeRecord {
        let mut register = Register { start: 3, is_complete: true, ..Register::default() };
        for journal in 0..journals {
            register.journals.insert(JournalId(journal), Registered::new(RaftId(4), 2));
        }
        NodeRecord { node: meta(), register }
    }
}
