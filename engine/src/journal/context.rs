//! What the disk work of a journal is given: files, buffers, and the memory that a shard's journals share.

use super::heal::incoming::Incoming;
use super::quorum::pace::Pace;
use super::read::block_cache::BlockCache;
use super::read::cache::EntryCache;
use crate::clock::Now;
use crate::disk::BufferPool;
use crate::disk::io::Io;
use crate::ids::JournalId;
use std::rc::Rc;

/// What the procedures of a journal share.
#[derive(Clone)]
pub struct Context {
    pub io: Io,
    pub pool: BufferPool,
    pub blocks: BlockCache,
    pub journal: JournalId,
    /// The journal's entries in memory.
    pub entries: EntryCache,
    /// How fast followers that are behind are served.
    pub pace: Rc<Pace>,
    /// What the shard holds of files that come from peers.
    pub incoming: Rc<Incoming>,
    /// What the hard state is to say of the start that lets this replica vote; 0 is nothing.
    pub start: u64,
    /// When the shard began: a wall clock that moved since then is noticed, also during recovery.
    pub started: Now,
}
