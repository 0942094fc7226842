//! After what time something counts as wrong.

use core::time::Duration;

/// A node that was not heard for so long is down: sixteen heartbeats, four of the signs of life that
/// every node gives.
pub const DOWN_AFTER: Duration = Duration::from_secs(1);

/// Nobody leads a journal for so long: an election takes 300 to 600 ms.
pub const LEADERLESS_AFTER: Duration = Duration::from_secs(1);

/// A replica on a node that is heard, and that does not answer its leader for so long.
pub const SILENT_AFTER: Duration = Duration::from_secs(2);

/// Below this a follower is on its way with what was just written.
pub const BEHIND_AFTER: Duration = Duration::from_secs(10);
