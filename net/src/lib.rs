//! The broker around the engine: sockets, the Kafka protocol, the process.

pub mod address;
pub mod cli;
pub mod completion;
pub mod config;
pub mod data_folder;
pub mod entropy;
pub mod environment;
pub mod http;
pub mod kafka;
pub mod kafka_settings;
pub mod leaders;
pub mod logging;
pub mod mailbox;
pub mod metrics;
pub mod node;
pub mod options;
pub mod publication;
pub mod refusal;
pub mod requests;
pub mod shard_events;
pub mod shard_loop;
pub mod signals;
pub mod start;
pub mod stats;
pub mod status;
pub mod system;
