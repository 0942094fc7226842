//! Brokers as processes, for tests: built once, started on ports and folders of their own, waited
//! for by condition, killed by their handle, with nothing left behind.

pub mod binary;
pub mod broker;
pub mod cluster;
pub mod command_line;
pub mod deadline;
pub mod foreign;
pub mod http;
pub mod members;
pub mod ports;
pub mod proxy;
pub mod records;
pub mod requests;
pub mod sasl;
pub mod small_disk;
pub mod stream;
pub mod tls;
pub mod tokens;
pub mod verify;
pub mod wire;

pub use binary::workspace_folder;
pub use broker::{Broker, BrokerOptions};
pub use deadline::Deadline;
