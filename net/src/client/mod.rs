//! The connections of clients: ports, sockets, frames and the memory that they may take; it does not say what a request
//! means, which is `kafka`'s.

pub mod budget;
pub mod connection;
pub mod connections;
pub mod frame;
pub mod listener;
pub mod login;
pub mod sasl;
pub mod socket;
