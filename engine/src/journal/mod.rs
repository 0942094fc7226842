//! A journal: segments of entries on disk, their index and cache, and their recovery.
//!
//! [`Journal`] is the state machine; the rooms are its parts. Long disk work (recovery, preparing, sealing, cold
//! reads, retention) is in procedures that `step` resumes.

pub mod context;
pub mod effects;
pub mod format;
pub mod heal;
pub mod keep;
pub mod ledger;
pub mod log;
pub mod phase;
pub mod quorum;
pub mod read;
pub mod recover;
pub mod rewriting;
pub mod running;
#[cfg(test)]
pub(crate) mod samples;

pub use running::{Journal, Options};
