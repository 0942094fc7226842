//! A fault: a node's wall clock jumps, and comes back a little later.

use super::run::{Run, WAKE_WALL_BACK};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

impl Run {
    /// Back less than the hour that a topic lets a batch be ahead of the broker; forward any. Only under a process that
    /// runs: one that starts has nothing but the wall clock to know how long it was away.
    pub(super) fn jump(&mut self, node: usize) {
        const MINUTE_MS: i64 = 60_000;
        let forward = [11 * MINUTE_MS, 300 * MINUTE_MS, 30 * 24 * 60 * MINUTE_MS];
        let offset_ms = match self.rng.below(5) {
            0 => -(1 + self.rng.below(50) as i64) * MINUTE_MS,
            1 => 1 + self.rng.below(5_000) as i64,
            other => forward[other as usize - 2],
        };
        let here = &mut self.world.nodes[node];
        if here.is_running() {
            here.wall_offset_ms = offset_ms;
        }
        let after_ns = 20 * MS + self.rng.below(SECOND);
        self.wake_node_after(node, after_ns, WAKE_WALL_BACK);
    }
}
