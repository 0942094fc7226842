//! Deleting the front of a journal: whole dead segments that two good checkpoints cover.

use crate::ids::Index;
use std::collections::BTreeSet;

/// What is dead at the front, and how its deletion goes.
#[derive(Debug, Default)]
pub struct Deleting {
    /// Checkpoints are read, or files removed.
    pub is_under_way: bool,
    pub dead_segments: usize,
    pub(in crate::journal) again_ns: u64,
    /// Checkpoints that proved bad: they cover nothing.
    pub(in crate::journal) bad: BTreeSet<Index>,
    /// One is written so that two cover what is dead.
    pub writes_covering: bool,
}
