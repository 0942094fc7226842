//! The broker around the engine: sockets, the Kafka protocol, the process.

pub mod node;
pub mod stats;
pub mod status;
