//! The Kafka protocol: one file per API, one list of all of them (`versions`), a codec of our own
//! for the hot path and one module (`wire`) through which the rest is decoded and encoded.

pub mod context;
pub mod dispatch;
pub mod errors;
pub mod init_producer_id;
pub mod metadata;
pub mod versions;
pub mod wire;
