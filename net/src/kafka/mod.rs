//! The Kafka protocol: one file per API, one list of all of them (`versions`), a codec of our own
//! for the hot path and one module (`codec::wire`) through which the rest is decoded and encoded.

pub mod admission;
pub mod api;
pub mod apis;
pub mod audit;
pub mod audited;
pub mod authorizer;
pub mod broker;
pub mod client;
pub mod codec;
pub mod context;
pub mod dispatch;
pub mod errors;
pub mod hot;
pub mod listener;
pub mod repeats;
pub mod replication_tag;
pub mod request_context;
pub mod rewrite_tag;
pub mod security_protocol;
pub mod stop_tag;
pub mod throttle;
pub mod transactions;
pub mod versions;

#[cfg(test)]
mod codec_tests;
