//! What is known of the brokers: who they are, who leads which partition, how durable an ack is;
//! all of it by plain blocking sockets, off the threads that make load.

pub mod bootstrap;
pub mod cold;
pub mod dial;
pub mod directory;
pub mod durability;
pub mod errors;
pub mod offsets;
pub mod topics;
