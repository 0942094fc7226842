//! What a group waits for.

use std::sync::Arc;

/// What to look at. At most a few for each member.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The group's rebalance may be over.
    Rebalance { group: Arc<str> },
    /// Members that joined should have synced by now.
    Sync { group: Arc<str> },
    /// The member's session, or that of an id that was given and not yet used.
    Member { group: Arc<str>, member: Arc<str> },
    /// Offsets may have expired.
    Expiry,
}
