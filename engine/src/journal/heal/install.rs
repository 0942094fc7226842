//! A replica that lacks what the leader's log no longer has gets the checkpoint at that log's start,
//! and goes on behind it.
//!
//! ```text
//! leader: raft wants what is gone ─▶ offer ─▶ pieces of the checkpoint's file, as they are asked for
//! other:  offer ─▶ fetch ─▶ prove ─▶ let all under way end ─▶ write `install` ─▶ recover anew
//! ```
//! One that is quarantined gets it too, when what it must have repaired is gone everywhere: it asks for
//! an entry, and a leader whose log begins behind that one offers its start. What it may have acknowledged
//! behind that checkpoint is kept: it must have the segment that begins there, whose first entry proves to
//! follow.
//!
//! raft-rs's own snapshots are not used: they would be of now, and this one is of where the log
//! begins, so that each entry that is kept anywhere is kept here too. raft is only told, by an
//! acknowledgement, that all up to there is durable here. Until `install` is durable the journal
//! is what it was; from then on it is the new one, and recovery clears the rest away.

use super::incoming::Reserved;
use crate::ids::{NodeId, RaftId};
use crate::journal::format::install_file::Install;
use crate::journal::phase::Phase;
use crate::peer::install::Offer;
use std::collections::{BTreeMap, BTreeSet};

/// Both ends of an installation.
#[derive(Debug, Default)]
pub struct Installing {
    /// When followers were offered something last.
    pub(in crate::journal) offered: BTreeMap<RaftId, u64>,
    /// Nodes that asked for an entry from before the log's start.
    pub(in crate::journal) asked: BTreeSet<NodeId>,
    pub(in crate::journal) offering: bool,
    pub(in crate::journal) fetching: Option<Fetching>,
    /// Proven, and waiting for what is under way in the journal.
    pub(in crate::journal) proven: Option<(Install, Vec<u8>, Reserved)>,
    /// What the journal was before: it is that again when there was no room.
    pub(in crate::journal) before: Option<Phase>,
    pub(in crate::journal) writing: bool,
    /// Pieces being read for others.
    pub(in crate::journal) lending: u32,
    /// It was told that an offer is longer than this node's memory allows.
    pub(in crate::journal) told_too_long: bool,
}

#[derive(Debug)]
pub(in crate::journal) struct Fetching {
    pub(in crate::journal) from: NodeId,
    pub(in crate::journal) offer: Offer,
    pub(in crate::journal) file: Vec<u8>,
    pub(in crate::journal) asked_ns: u64,
    pub(in crate::journal) questions: u32,
    /// Room for the whole file in the shard's memory.
    pub(in crate::journal) reserved: Reserved,
}

impl Installing {
    /// Files are read for other replicas.
    pub(in crate::journal) fn is_under_way(&self) -> bool {
        self.offering || self.lending > 0
    }
}
