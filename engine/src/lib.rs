//! The storage engine: journals, entries, raft, partitions and the shard that owns them.
//!
//! Everything here is a state machine: [`shard::Shard::step`] takes one closed input with its
//! time and appends closed outputs. It performs no I/O, reads no clock and draws no randomness of
//! its own, so that `net` can drive it with io_uring and `tests` with a simulated world. It knows
//! nothing of sockets or of the Kafka API; it knows Kafka's record batch v2, which it stores.

pub mod batch;
pub mod clock;
pub mod codec;
pub mod collections;
pub mod control;
pub mod coordinator;
pub mod disk;
pub mod entry;
pub mod folder;
pub mod formation;
pub mod framing;
pub mod groups;
pub mod health;
pub mod ids;
pub mod journal;
pub mod latency;
pub mod partition;
pub mod peer;
pub mod planted;
pub mod port;
pub mod raft;
pub mod register;
pub mod rewrite;
pub mod rng;
pub mod shard;
pub mod transactions;
