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
use crate::disk::{BLOCK, DiskError};
use crate::folder::{self, JournalFile};
use crate::framing::replace_file;
use crate::ids::{FileId, Index, JournalIdentity, NodeId, RaftId};
use crate::journal::context::Context;
use crate::journal::format::install_file::Install;
use crate::journal::heal::done::Offered;
use crate::journal::phase::Phase;
use crate::journal::read::place::{Place, read_entry};
use crate::journal::read::sealed_index::SealedIndex;
use crate::peer::install::{Offer, PIECE_BYTES_MAX};
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

pub async fn look_at_start(
    context: Context,
    identity: JournalIdentity,
    place: Option<Place>,
    first: Index,
    known: u32,
) -> Offered {
    let io = context.io.clone();
    let path = folder::checkpoint_path(context.journal, Index(first.0 - 1));
    let checksum = match place {
        Some(place) => {
            let entry = read_entry(context, identity, place, first).await.ok()?;
            entry.header().previous_checksum.get()
        }
        None => known,
    };
    let (file, bytes) = io.open(&path).await.ok()?;
    io.close(file).await.ok()?;
    Some((checksum, bytes))
}

pub async fn read_piece(context: Context, last: Index, position: u64) -> Option<Vec<u8>> {
    let io = &context.io;
    let (file, file_bytes) = io.open(&folder::checkpoint_path(context.journal, last)).await.ok()?;
    let bytes = file_bytes.saturating_sub(position).min(PIECE_BYTES_MAX as u64) as usize;
    let read =
        if bytes > 0 { io.read(file, position, bytes.next_multiple_of(BLOCK)).await.ok() } else { None };
    io.close(file).await.ok()?;
    read.map(|read| read[..bytes.min(read.len())].to_vec())
}

/// Whether the entry behind the checkpoint is whole here, and names the last one in it.
pub async fn follows(
    context: Context,
    identity: JournalIdentity,
    place: Option<Place>,
    install: &Install,
) -> bool {
    let Some(place) = place else { return false };
    let first = read_entry(context, identity, place, install.last.next()).await;
    first.is_ok_and(|entry| entry.header().previous_checksum.get() == install.checksum)
}

/// The last step: behind `install` there is no way back, and the old files are closed.
pub async fn write_install(
    context: Context,
    identity: JournalIdentity,
    install: Install,
    file: Vec<u8>,
    (files, indexes): (Vec<FileId>, Vec<SealedIndex>),
) -> Result<(), DiskError> {
    let (io, pool) = (&context.io, &context.pool);
    let dir = folder::journal_dir(context.journal);
    let bytes = [install.encode(&identity), file].concat();
    replace_file(io, pool, &dir, &JournalFile::Install.name(), &bytes).await?;
    for index in indexes {
        index.close().await?;
    }
    for file in files {
        io.close(file).await?;
    }
    Ok(())
}
