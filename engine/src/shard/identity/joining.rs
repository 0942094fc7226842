//! A node without a replica of the meta journal that may take part: its disk is new, or it lost
//! that journal. It asks for another raft id, and begins as one that is no member yet.
//!
//! The id is committed before anything is written under it, and is entered in the register before
//! the journal takes its first message: votes that were forgotten are never given again. What is
//! left of the replica before is set aside only then.

use crate::control::Command;
use crate::folder::NodeMeta;
use crate::ids::{Incarnation, META_JOURNAL, RaftId};

/// What a node without a number does to get one.
#[derive(Debug)]
pub struct Joining {
    pub(in crate::shard) node: NodeMeta,
    /// The incarnation that the cluster has for this node, as far as is known here.
    pub(in crate::shard) replaces: Incarnation,
    /// The replica of the meta journal that was lost here.
    pub(in crate::shard) lost: Option<RaftId>,
    /// The question under way.
    pub(in crate::shard) asked: Option<u64>,
}

impl Joining {
    pub(in crate::shard) fn command(&self) -> Command {
        let NodeMeta { node, incarnation, .. } = self.node;
        match self.lost {
            // The cluster knows this life of the node: only this replica is another one.
            Some(replaces) if self.replaces == incarnation => {
                Command::Renew { node, incarnation, journal: META_JOURNAL, replaces }
            }
            _ => Command::Rejoin { node, incarnation, replaces: self.replaces },
        }
    }
}
