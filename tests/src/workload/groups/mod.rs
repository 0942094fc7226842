//! Consumer groups' clients: members that come, work, stall, crash and go, and a watcher for each
//! group that looks at what is committed.

mod member;
pub mod names;
mod watcher;

pub use member::Member;
pub use watcher::Watcher;

use super::Client;
use engine::rng::Rng;

const GROUPS_MAX: u64 = 2;
const MEMBERS_MAX: u64 = 4;

/// The clients of some groups.
pub fn clients(rng: &mut Rng) -> Vec<Box<dyn Client>> {
    let mut clients: Vec<Box<dyn Client>> = Vec::new();
    for group in 0..1 + rng.below(GROUPS_MAX) as usize {
        clients.push(Box::new(Watcher::new(group)));
        for number in 0..2 + rng.below(MEMBERS_MAX - 1) {
            clients.push(Box::new(Member::new(group, number, rng)));
        }
    }
    clients
}
