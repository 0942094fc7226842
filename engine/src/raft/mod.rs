//! raft-rs, carried: the only folder that knows it.
//!
//! raft sees a small descriptor per entry; the bytes travel beside it, by (index, term). Reasons
//! and rules are in the comments of [`replica`].

mod convert;
mod floor;
pub mod guard;
mod log_view;
pub mod membership;
mod meta;
pub mod replica;
mod start;

pub use convert::Outgoing;
pub use guard::{NO_MEMBER, Refused};
pub use membership::{Change, Membership};
pub use meta::EntryMeta;
pub use replica::{ELECTION_TICKS, Follower, HEARTBEAT_TICKS, NotLeader, Replica, TICK, Wanted, Work};
pub use start::ReplicaStart;
