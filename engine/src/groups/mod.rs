//! Consumer groups (the classic protocol): the coordinator of all groups whose partition of
//! `__consumer_offsets` a shard leads, as a state machine.
//!
//! [`Groups`] is the machine of one such partition; `crate::coordinator` runs it. It takes requests,
//! the outcome of its appends, what was read back from the log, and timers; it gives answers and
//! records. Everything that it promises is a record of the offsets topic, in Kafka's own format,
//! and is promised once that record is committed. It knows nothing of sockets, wire versions or
//! journals.
//!
//! ```text
//! request → machine → group → append → (committed) → group → answer
//! ```

pub mod admin;
pub mod commit;
pub mod config;
pub mod consumer;
pub mod error;
pub mod figures;
pub mod group;
pub mod join;
pub mod leave;
pub mod load;
pub mod machine;
pub mod member;
pub mod offsets;
pub mod pending;
pub mod rebalance;
pub mod record;
pub mod refusal;
pub mod request;
pub mod state;
pub mod static_member;
pub mod subscription;
pub mod sync;
#[cfg(test)]
mod tests;
pub mod timers;
pub mod undecided;
pub mod words;
pub mod writers;

pub use config::GroupConfig;
pub use error::GroupError;
pub use figures::GroupFigures;
pub use machine::Groups;
pub use request::{Answer, Request};
pub use words::GroupWords;

/// The topic that holds offsets and groups.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";
