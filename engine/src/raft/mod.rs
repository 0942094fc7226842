//! raft-rs, carried: the only folder that knows it.
//!
//! raft sees a small descriptor per entry; the bytes travel beside it, by (index, term). Reasons
//! and rules are in the comments of [`replica`].

mod log_view;
pub mod replica;

pub use replica::{EntryMeta, Replica, ReplicaStart, Work};
