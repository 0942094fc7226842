//! Nodes talking to nodes: `PEER.md` describes the protocol, [`frame`] and [`handshake`] are its
//! bytes, [`link`] carries them, [`links`] keeps all links of a shard. Knows nothing of raft; what
//! a message means is the engine's.

pub mod addresses;
pub mod backoff;
pub mod config;
pub mod frame;
pub mod handshake;
pub mod join;
pub mod link;
pub mod links;
pub mod met_nodes;
pub mod open_link;
pub mod roster;
pub mod secure;
