//! What shards of different nodes tell each other: the messages and their bytes.
//!
//! This folder knows no socket: `net` carries a message's body and, behind it, the bytes of at
//! most one entry, in the very buffers that disk and cache share.

pub mod decode;
pub mod doubt;
pub mod encoding;
pub mod errand;
pub mod install;
pub mod message;
pub mod run;

pub use decode::{DecodeError, PEER_VERSION};
pub use message::{Committed, Heartbeat, PeerMessage, RaftKind, RaftMessage, Space};
