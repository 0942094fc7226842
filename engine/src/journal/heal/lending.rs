//! Entries that other replicas ask for by number, to repair their own: given by any replica that has
//! them good, whether it leads, follows or is quarantined.
//!
//! What is read is proven before it is sent; where it proves bad, that is damage of this replica.
//! What the asker makes of an entry is no concern here.

use crate::ids::{Index, NodeId};
use std::collections::VecDeque;

/// One entry that another replica wants: the one with this checksum, or with 0 any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub by: NodeId,
    pub index: Index,
    pub checksum: u32,
}

/// What is being read for others, and what waits for that.
#[derive(Debug, Default)]
pub struct Lending {
    pub(in crate::journal) queue: VecDeque<Asked>,
    pub(in crate::journal) in_flight: usize,
    pub(in crate::journal) in_flight_bytes: usize,
}
