//! What comes from other nodes and goes to them.

use super::Shard;
use crate::clock::Now;
use crate::folder::NodeMeta;
use crate::ids::{LaneId, NodeId};
use crate::journal::effects::Effects;
use crate::peer::PeerMessage;

impl Shard {
    /// What is durable of this node's identity; the first shard knows it, once it was read.
    pub fn node(&self) -> Option<&NodeMeta> {
        self.lifecycle.node()
    }

    /// A lone node has no peers: what comes is not for it.
    pub(super) fn peer(&mut self, _from: NodeId, _message: PeerMessage, _now: Now, _fx: &mut Effects) {}

    pub(super) fn link(&mut self, _node: NodeId, _lane: LaneId, _up: bool, _now: Now, _fx: &mut Effects) {}
}
