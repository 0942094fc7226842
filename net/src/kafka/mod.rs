//! The Kafka protocol: one file per API, one list of all of them (`versions`), a codec of our own
//! for the hot path and one module (`wire`) through which the rest is decoded and encoded.

pub mod api_versions;
pub mod client;
pub mod context;
pub mod cursor;
pub mod describe_cluster;
pub mod dispatch;
pub mod errors;
pub mod fetch;
pub mod fetch_codec;
pub mod find_coordinator;
pub mod header;
pub mod init_producer_id;
pub mod leader_hint;
pub mod list_offsets;
pub mod metadata;
pub mod offset_for_leader_epoch;
pub mod outgoing;
pub mod produce;
pub mod produce_codec;
pub mod sessions;
pub mod versions;
pub mod wire;

#[cfg(test)]
mod codec_tests;
