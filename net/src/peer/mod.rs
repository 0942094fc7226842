//! Nodes talking to nodes: `PEER.md` describes the protocol, [`frame`] and [`handshake`] are its
//! bytes, [`link`] carries it. Knows nothing of raft; what a frame's body means is the engine's.

pub mod frame;
pub mod handshake;
pub mod link;
