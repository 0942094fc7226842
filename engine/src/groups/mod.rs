//! Consumer groups (the classic protocol): the coordinator of all groups whose partition of
//! `__consumer_offsets` a shard leads, as a state machine.
//!
//! [`Coordinator::step`] takes requests, the outcome of its appends, what was read back from the
//! log, and time; it gives answers, batches to append and log starts to move. Everything that it
//! promises is a record of the offsets topic, in Kafka's own format, and is promised once that
//! record is committed. It knows nothing of sockets, wire versions or journals.
//!
//! ```text
//! request → coordinator → offsets partition → group ─┬→ answer
//!                                 log ← records ─────┘
//!                                  └→ append → (committed) → group → answer
//! ```

pub mod admin;
pub mod commit;
pub mod config;
pub mod coordinator;
pub mod error;
pub mod group;
pub mod history;
pub mod host;
pub mod join;
pub mod leave;
pub mod load;
pub mod log;
pub mod member;
pub mod offsets;
pub mod offsets_partition;
pub mod rebalance;
pub mod record;
pub mod request;
pub mod static_member;
pub mod subscription;
pub mod sync;
pub mod timers;

pub mod append;
pub mod output;
pub mod state;
#[cfg(test)]
mod tests;

pub use append::{AppendError, AppendId, Tenure};
pub use config::GroupConfig;
pub use coordinator::{Coordinator, Input};
pub use error::GroupError;
pub use host::Host;
pub use output::{Figures, Output};
pub use request::{Answer, Request};

/// The topic that holds offsets and groups.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Which partition of the offsets topic a group belongs to: Kafka's rule, Java's hash of the
/// UTF-16 text, so that tools that work it out themselves find the same one.
pub fn partition_of(group: &str, partitions: i32) -> i32 {
    assert!(partitions > 0, "the offsets topic has partitions");
    let hash = group.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
    // Java's Math.abs of the least number is itself; Kafka takes that as 0.
    hash.checked_abs().unwrap_or(0) % partitions
}
