//! One model of health: from what a node knows to a closed list of what is wrong, since when, what that
//! means and what to do.
//!
//! [`judge`] is a pure function of plain facts ([`Known`]); [`Watch`] remembers since when each finding
//! holds, and says when one begins and ends. The log, the metrics, `/readyz` and `duramen cluster status`
//! all show these findings and have no judgement of their own.
//!
//! A new kind of finding is a variant of [`What`], its two sentences, and the facts that it is judged by.

mod after;
mod finding;
mod judge;
mod known;
mod merge;
mod text;
mod watch;

pub use after::{BEHIND_AFTER, DOWN_AFTER, LEADERLESS_AFTER, SILENT_AFTER};
pub use finding::{Finding, Kind, OpenTooLong, Severity, Topics, What};
pub use judge::judge;
pub use known::{DiskFacts, JournalFacts, Known, NodeFacts, ReplicaFacts, ReplicaState};
pub use merge::{Subject, merge};
pub use watch::{Changed, Watch};
