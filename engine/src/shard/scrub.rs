//! The scrub: in the background all sealed segments of the shard are read again and again, at a
//! bounded rate, so that what rots is found while another replica still has it.

use crate::ids::{Index, JournalId};

/// Where the scrub is.
#[derive(Debug)]
pub struct Scrub {
    /// The journal and entry to go on with.
    pub(in crate::shard) at: (JournalId, Index),
    pub(in crate::shard) is_reading: bool,
    /// May be read; what a piece had too much is missing from the next ones.
    pub(in crate::shard) budget_bytes: i64,
    pub(in crate::shard) ticked_ns: u64,
    pub(in crate::shard) began_ns: u64,
    pub(in crate::shard) rests: bool,
    pub(in crate::shard) pass_bytes: u64,
    pub counts: ScrubCounts,
}

/// For the metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScrubCounts {
    /// Read since the start.
    pub bytes: u64,
    /// In the pass under way, and what there is to read.
    pub pass_bytes: u64,
    pub sealed_bytes: u64,
    /// Whole passes since the start, and when the last one ended, milliseconds since 1970.
    pub passes: u64,
    pub last_pass_wall_ms: i64,
    /// Entries found bad.
    pub faults: u64,
}

impl Default for Scrub {
    fn default() -> Self {
        Self {
            at: (JournalId(0), Index::NONE),
            is_reading: false,
            budget_bytes: 0,
            ticked_ns: 0,
            began_ns: 0,
            rests: false,
            pass_bytes: 0,
            counts: ScrubCounts::default(),
        }
    }
}
