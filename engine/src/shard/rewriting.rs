//! How fast a shard rewrites, and which of its journals has its turn: one at a time, so that its memory is that of one
//! pass.

use crate::ids::JournalId;
use crate::journal::rewriting::gate::Gate;

/// What paces rewriting.
#[derive(Debug, Default)]
pub struct Rewrite {
    pub(in crate::shard) gate: Gate,
    pub(in crate::shard) ticked_ns: u64,
    /// The one that had its turn last.
    pub(in crate::shard) last: Option<JournalId>,
}
