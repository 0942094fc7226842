//! The network between simulated nodes: one link per pair, in order while it lasts.
//!
//! What is on its way when a link breaks is lost. A direction that is blocked holds what is sent
//! into it, as TCP does, until it is open again or the link breaks. Knows pairs and times; what a
//! message means is no concern of it.

use engine::rng::Rng;
use std::collections::BTreeMap;

/// A way from one node to another.
pub type Way = (usize, usize);

/// One way's state.
#[derive(Clone, Debug, Default)]
struct Direction {
    is_blocked: bool,
    /// Added to every delay.
    slow_ns: u64,
    /// Nothing arrives before what was sent earlier.
    last_ns: u64,
}

/// The links of all pairs.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// By pair, the lower node first: the number of the session that is up.
    sessions: BTreeMap<Way, u64>,
    next_session: u64,
    ways: BTreeMap<Way, Direction>,
}

fn pair((from, to): Way) -> Way {
    (from.min(to), from.max(to))
}

impl Network {
    /// The session between two nodes, when their link is up.
    pub fn session(&self, way: Way) -> Option<u64> {
        self.sessions.get(&pair(way)).copied()
    }

    /// Both directions are open, so that a link can come up.
    pub fn is_open(&self, (from, to): Way) -> bool {
        !self.is_blocked((from, to)) && !self.is_blocked((to, from))
    }

    pub fn is_blocked(&self, way: Way) -> bool {
        self.ways.get(&way).is_some_and(|direction| direction.is_blocked)
    }

    pub fn set_blocked(&mut self, way: Way, is_blocked: bool) {
        self.ways.entry(way).or_default().is_blocked = is_blocked;
    }

    pub fn set_slow(&mut self, way: Way, slow_ns: u64) {
        self.ways.entry(way).or_default().slow_ns = slow_ns;
    }

    /// All ways are open and fast again.
    pub fn heal(&mut self) {
        self.ways.values_mut().for_each(|direction| *direction = Direction::default());
    }

    /// A link comes up; gives the number of its session.
    pub fn connect(&mut self, way: Way) -> u64 {
        self.next_session += 1;
        let before = self.sessions.insert(pair(way), self.next_session);
        assert!(before.is_none(), "the link of {way:?} is up already");
        self.next_session
    }

    /// A link breaks; false when it was not up.
    pub fn disconnect(&mut self, way: Way) -> bool {
        self.sessions.remove(&pair(way)).is_some()
    }

    /// When something sent now arrives.
    pub fn arrival_ns(&mut self, way: Way, now_ns: u64, rng: &mut Rng) -> u64 {
        let usual_ns = 20_000 + rng.below(150_000);
        let long_ns = if rng.one_in(100) { rng.below(5_000_000) } else { 0 };
        let direction = self.ways.entry(way).or_default();
        let at_ns = (now_ns + usual_ns + long_ns + direction.slow_ns).max(direction.last_ns);
        direction.last_ns = at_ns;
        at_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_first_arrives_first() {
        let (mut network, mut rng) = (Network::default(), Rng::new(1));
        let mut before = 0;
        for now_ns in (0..1_000_000).step_by(1000) {
            let at_ns = network.arrival_ns((0, 1), now_ns, &mut rng);
            assert!(at_ns > now_ns && at_ns >= before, "{at_ns} after {before}");
            before = at_ns;
        }
    }

    #[test]
    fn a_link_is_one_for_both_directions_and_each_is_blocked_for_itself() {
        let mut network = Network::default();
        let first = network.connect((1, 0));
        assert_eq!(network.session((0, 1)), Some(first));
        network.set_blocked((0, 1), true);
        assert!(network.is_blocked((0, 1)) && !network.is_blocked((1, 0)) && !network.is_open((1, 0)));
        assert!(network.disconnect((0, 1)) && !network.disconnect((0, 1)));
        network.heal();
        assert!(network.is_open((0, 1)));
        assert!(network.connect((0, 1)) > first);
    }
}
