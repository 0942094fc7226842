//! One model of health: from what a node knows to a closed list of what is wrong, since when, what that
//! means and what to do.
//!
//! [`judge`] is a pure function of plain facts ([`Known`]); [`Watch`] remembers since when each finding
//! holds, and says when one begins and ends. The log, the metrics, `/readyz` and `duramen cluster status`
//! all show these findings and have no judgement of their own.
//!
//! A new kind of finding is a variant of [`What`], its two sentences, and the facts that it is judged by.

mod finding;
mod judge;
mod known;
mod merge;
mod text;
mod watch;

pub use finding::{Finding, Kind, Severity, Topics, What};
pub use judge::judge;
pub use known::{DiskFacts, JournalFacts, Known, NodeFacts, ReplicaFacts, ReplicaState};
pub use merge::{Subject, merge};
pub use watch::{Changed, Watch};

use core::time::Duration;

/// A node that was not heard for so long is down: sixteen heartbeats, four of the signs of life that
/// every node gives.
pub const DOWN_AFTER: Duration = Duration::from_secs(1);
/// Nobody leads a journal for so long: an election takes 300 to 600 ms.
pub const LEADERLESS_AFTER: Duration = Duration::from_secs(1);
/// A replica on a node that is heard, and that does not answer its leader for so long.
pub const SILENT_AFTER: Duration = Duration::from_secs(2);
/// Below this a follower is on its way with what was just written.
pub const BEHIND_AFTER: Duration = Duration::from_secs(10);
