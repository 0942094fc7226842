//! What goes from one simulated node to another.

use crate::sim::network::Way;
use engine::ids::LaneId;

/// What travels between two nodes.
pub struct Parcel {
    pub way: Way,
    pub session: u64,
    pub what: Carried,
}

pub enum Carried {
    Message { lane: LaneId, body: Vec<u8>, pieces: Vec<Vec<u8>> },
    Formation(Vec<u8>),
}
