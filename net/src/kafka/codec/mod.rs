//! Bytes of the Kafka protocol read and written: primitives, headers, messages and answers as pieces; it does not know
//! what an API does.

pub mod cursor;
pub mod header;
pub mod other_protocol;
pub mod outgoing;
pub mod wire;
