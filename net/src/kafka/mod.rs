//! The Kafka protocol: one file per API, one list of all of them (`versions`), a codec of our own
//! for the hot path and one module (`codec::wire`) through which the rest is decoded and encoded.

pub mod apis;
pub mod audit;
pub mod client;
pub mod codec;
pub mod context;
pub mod dispatch;
pub mod errors;
pub mod hot;
pub mod repeats;
pub mod throttle;
pub mod versions;

pub mod api;
pub mod broker;
#[cfg(test)]
mod codec_tests;
