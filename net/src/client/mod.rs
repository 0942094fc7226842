//! The connections of clients: ports, sockets, frames and the memory that they may take; it does not say what a request
//! means, which is `kafka`'s.

pub mod answer;
pub mod any_socket;
pub mod budget;
pub mod connection;
pub mod connection_rates;
pub mod connections;
pub mod frame;
pub mod handshake_pace;
pub mod listener;
pub mod login;
pub mod sasl;
pub mod shard_tls;
pub mod socket;
pub mod tls_socket;
