//! Faults between nodes.

use super::faults::Fault;
use super::run::{Run, WAKE_HEAL};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

impl Run {
    pub(super) fn strike_network(&mut self, node: usize, fault: Fault) {
        let slow_ns = self.rng.below(60 * MS);
        for other in (0..self.world.nodes.len()).filter(|other| *other != node) {
            let network = &mut self.world.network;
            match fault {
                Fault::Isolated => {
                    network.set_blocked((node, other), true);
                    network.set_blocked((other, node), true);
                }
                Fault::Deaf => network.set_blocked((other, node), true),
                Fault::Mute => network.set_blocked((node, other), true),
                Fault::Slow => {
                    network.set_slow((node, other), slow_ns);
                    network.set_slow((other, node), slow_ns);
                }
                _ => self.world.break_link((node, other)),
            }
        }
        let after_ns = 20 * MS + self.rng.below(4 * SECOND);
        self.wake_node_after(node, after_ns, WAKE_HEAL);
    }
}
