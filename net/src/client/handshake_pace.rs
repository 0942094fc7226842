//! How many TLS handshakes a shard begins: each costs it a few hundred microseconds, and nobody is known before. Who is
//! beyond the pace waits for a turn; who would wait too long is closed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Of all clients of a shard: about a tenth of its time.
const PER_SECOND: u64 = 400;
/// Of one address, so that one that begins again and again leaves the others their turns.
const PER_SECOND_OF_ADDRESS: u64 = 100;
/// Addresses that are remembered, each for a second or what it waits.
const ADDRESSES_MAX: usize = 4096;

const SECOND_NS: u64 = 1_000_000_000;

/// When the next turn is if all come at the pace; up to a second's turns may come at once.
#[derive(Clone, Copy, Debug, Default)]
struct Turns {
    next_ns: u64,
}

impl Turns {
    /// How long to wait for the next turn.
    fn wait_ns(self, now_ns: u64) -> u64 {
        self.next_ns.saturating_sub(now_ns + SECOND_NS)
    }

    fn take(&mut self, now_ns: u64, per_second: u64) {
        self.next_ns = self.next_ns.max(now_ns) + SECOND_NS / per_second;
    }
}

/// Turns of a shard and of each address.
#[derive(Debug, Default)]
pub struct HandshakePace {
    all: Turns,
    addresses: BTreeMap<IpAddr, Turns>,
}

impl HandshakePace {
    /// Takes a turn: how long to wait for it, or none where that is more than `wait_max`.
    pub fn turn(&mut self, address: IpAddr, now_ns: u64, wait_max: Duration) -> Option<Duration> {
        if self.addresses.len() >= ADDRESSES_MAX {
            self.addresses.retain(|_, turns| turns.next_ns > now_ns);
        }
        // Where there are too many addresses to remember, the shard's own pace is what holds.
        let is_remembered = self.addresses.len() < ADDRESSES_MAX || self.addresses.contains_key(&address);
        let of_address = self.addresses.get(&address).copied().unwrap_or_default();
        let wait_ns = self.all.wait_ns(now_ns).max(of_address.wait_ns(now_ns));
        let wait = Duration::from_nanos(wait_ns);
        if wait > wait_max {
            return None;
        }
        self.all.take(now_ns, PER_SECOND);
        if is_remembered {
            self.addresses.entry(address).or_default().take(now_ns, PER_SECOND_OF_ADDRESS);
        }
        assert!(self.addresses.len() <= ADDRESSES_MAX);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(10);

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    /// Turns within a second, and those within what is waited for.
    fn taken(pace: &mut HandshakePace, address: impl Fn(u32) -> IpAddr) -> (usize, usize) {
        let waits: Vec<_> = (0..10_000).map_while(|one| pace.turn(address(one), SECOND_NS, MAX)).collect();
        (waits.iter().filter(|wait| **wait == Duration::ZERO).count(), waits.len())
    }

    #[test]
    fn one_address_has_its_pace_and_leaves_the_others_theirs() {
        let mut pace = HandshakePace::default();
        assert_eq!(taken(&mut pace, |_| address(1)), (101, 1101));
        assert_eq!(pace.turn(address(1), SECOND_NS, MAX), None);
        // The shard's own turns are ahead of it: 1,101 of 400 a second.
        let wait = pace.turn(address(2), SECOND_NS, MAX).expect("a turn");
        assert!(wait < Duration::from_secs(2), "{wait:?}");
        assert_eq!(pace.turn(address(1), 60 * SECOND_NS, MAX), Some(Duration::ZERO), "it is forgotten");
    }

    #[test]
    fn many_addresses_share_the_shards_pace_and_are_not_all_remembered() {
        let mut pace = HandshakePace::default();
        assert_eq!(taken(&mut pace, address), (401, 4401));
        assert!(pace.addresses.len() <= ADDRESSES_MAX);
        pace.turn(address(7), 60 * SECOND_NS, MAX).expect("a turn");
        assert_eq!(pace.addresses.len(), 1);
    }
}
