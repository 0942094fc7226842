//! The first shard's part in forming a cluster: it carries reports and stores what is decided.

use crate::folder::NodeMeta;
use crate::formation::{Formation, Waiting};

/// A formation under way, or one that is over and answers nodes that do not know it yet.
pub struct Forming {
    pub(in crate::shard) formation: Formation,
    pub(in crate::shard) ticks: u32,
    pub(in crate::shard) said: Option<Waiting>,
}

impl Forming {
    /// What is durable.
    pub fn node(&self) -> &NodeMeta {
        self.formation.node()
    }
}
