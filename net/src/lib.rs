//! The broker around the engine: sockets, the Kafka protocol, the process.

pub mod address;
pub mod cli;
pub mod config;
pub mod data_folder;
pub mod environment;
pub mod http;
pub mod kafka_settings;
pub mod logging;
pub mod metrics;
pub mod node;
pub mod options;
pub mod refusal;
pub mod signals;
pub mod start;
pub mod stats;
pub mod status;
pub mod system;
