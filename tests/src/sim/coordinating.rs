//! The coordinator of a simulated shard.

use engine::control::View;
use engine::coordinator::{Host, host};
use engine::groups::{GroupConfig, GroupWords, Groups};
use std::collections::VecDeque;
use std::sync::Arc;

pub(super) type HostInput = host::Input<GroupWords>;
pub(super) type HostOutput = host::Output<GroupWords>;

/// A shard's host of groups, and what comes to it.
pub struct Coordinating {
    pub(super) host: Host<Groups>,
    pub(super) inputs: VecDeque<HostInput>,
    pub(super) is_due: bool,
    /// What it followed last: metadata, and the count of changes of leaders.
    pub(super) followed: (Arc<View>, u64),
}

/// Timers as short as a run; nothing expires, however a clock jumps.
fn config() -> GroupConfig {
    GroupConfig {
        session_timeout_min_ms: 100,
        initial_rebalance_delay_ms: 30,
        offsets_retention_ms: i64::MAX,
        retention_check_interval_ms: 3_600_000,
        history_bytes_min: 8 << 10,
        ..GroupConfig::default()
    }
}

impl Default for Coordinating {
    fn default() -> Self {
        Self {
            host: Host::new(config()),
            inputs: VecDeque::new(),
            is_due: false,
            followed: (Arc::default(), 0),
        }
    }
}
