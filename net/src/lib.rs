//! The broker around the engine: sockets, the Kafka protocol, the process.

pub mod access;
pub mod admin;
pub mod audit;
pub mod blocking;
pub mod client;
pub mod kafka;
pub mod observe;
pub mod peer;
pub mod process;
pub mod shard;
pub mod tls;
