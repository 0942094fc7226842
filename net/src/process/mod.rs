//! The process from its options to its end: what the operator asks for, whether the machine and the data folder allow
//! it, and the node's threads; it does not know what a shard or a client does.

pub mod access;
pub mod address;
pub mod audit_log;
pub mod certificates;
pub mod cli;
pub mod config;
pub mod data_folder;
pub mod descriptors;
pub mod end;
pub mod entropy;
pub mod environment;
pub mod http_config;
pub mod joining;
pub mod kafka_settings;
pub mod likeness;
pub mod listeners;
pub mod logging;
pub mod node;
pub mod node_config;
pub mod options;
pub mod panics;
pub mod refusal;
pub mod secret_file;
pub mod signals;
pub mod start;
pub mod system;
pub mod tls_config;
