//! Produce and Fetch, with a codec of their own and what only they need; no other API is here.

pub mod fetch;
pub mod fetch_codec;
pub mod leader_hint;
pub mod produce;
pub mod produce_codec;
pub mod recompress;
pub mod record_check;
pub mod sessions;
pub mod wire_topic;
