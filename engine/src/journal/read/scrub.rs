//! Reading a sealed segment again to see whether the medium still has it.

use super::want::ReadFault;
use crate::ids::Index;

/// What one piece of reading came to.
pub struct Scrubbed {
    /// Where to go on.
    pub next: Index,
    pub bytes: u64,
    pub faults: Vec<ReadFault>,
}
