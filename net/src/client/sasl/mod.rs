//! Who a client is, by SASL: each mechanism as a machine of its own that takes messages and gives messages, what they
//! are checked against, and what keeps those who guess from holding a shard. It opens no socket and reads no clock.

pub mod credentials;
pub mod jwt;
pub mod mechanism;
pub mod oauthbearer;
pub mod password_turns;
pub mod penalties;
pub mod plain;
pub mod scram;
pub mod scram_client;
pub mod scram_keys;
pub mod scram_message;
pub mod session;
pub mod shard_sasl;
pub mod stretch;
pub mod token_file;
pub mod token_keys;
