//! What guessing costs: an address whose clients failed waits before its next try, longer each time. The memory that
//! this takes is bounded, however many addresses fail.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// After the first failure; it doubles with each further one.
const DELAY_FIRST: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_secs(5);
/// An address that did not fail for so long is as good as a new one.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);
/// Beyond it those that failed longest ago are forgotten: about 1 MiB a shard.
const ADDRESSES_MAX: usize = 8192;
/// Whoever would have to wait for longer, since others of its address try too, is not let wait at all.
const WAIT_MAX: Duration = Duration::from_secs(8);

/// Of one address.
#[derive(Clone, Copy, Debug)]
struct Penalty {
    failures: u32,
    failed_ns: u64,
    /// No try begins before. Each one that begins moves it on.
    next_try_ns: u64,
}

#[derive(Default)]
pub struct Penalties {
    by_address: HashMap<IpAddr, Penalty>,
    /// The same addresses, those first that failed longest ago.
    by_age: BTreeSet<(u64, IpAddr)>,
}

/// When a try may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Now,
    At {
        ns: u64,
    },
    /// Too many of that address wait already.
    Never,
}

impl Penalties {
    /// A client of this address wants to try.
    pub fn begin(&mut self, address: IpAddr, now_ns: u64) -> Turn {
        let address = whole(address);
        let Some(penalty) = self.by_address.get_mut(&address) else { return Turn::Now };
        if now_ns.saturating_sub(penalty.failed_ns) > ns(FORGOTTEN_AFTER) {
            let failed_ns = penalty.failed_ns;
            self.by_address.remove(&address);
            assert!(self.by_age.remove(&(failed_ns, address)), "it is in both");
            return Turn::Now;
        }
        let at_ns = penalty.next_try_ns.max(now_ns);
        if at_ns - now_ns > ns(WAIT_MAX) {
            return Turn::Never;
        }
        penalty.next_try_ns = at_ns + delay_ns(penalty.failures);
        if at_ns == now_ns { Turn::Now } else { Turn::At { ns: at_ns } }
    }

    /// A try failed.
    pub fn failed(&mut self, address: IpAddr, now_ns: u64) {
        let address = whole(address);
        let known = self.by_address.get(&address).copied();
        if let Some(known) = known {
            assert!(self.by_age.remove(&(known.failed_ns, address)), "it is in both");
        } else if self.by_address.len() == ADDRESSES_MAX {
            let (_, oldest) = self.by_age.pop_first().expect("there are some");
            self.by_address.remove(&oldest);
        }
        let failures = known.map_or(1, |known| known.failures.saturating_add(1));
        let next_try_ns = known.map_or(0, |known| known.next_try_ns).max(now_ns + delay_ns(failures));
        self.by_address.insert(address, Penalty { failures, failed_ns: now_ns, next_try_ns });
        self.by_age.insert((now_ns, address));
        assert!(self.by_address.len() <= ADDRESSES_MAX && self.by_age.len() == self.by_address.len());
    }

    /// A try did not fail: half of what went before is forgiven, so that one account among an attacker's guesses does
    /// not make them free.
    pub fn succeeded(&mut self, address: IpAddr) {
        let address = whole(address);
        let Some(penalty) = self.by_address.get_mut(&address) else { return };
        penalty.failures /= 2;
        if penalty.failures == 0 {
            let failed_ns = penalty.failed_ns;
            self.by_address.remove(&address);
            assert!(self.by_age.remove(&(failed_ns, address)), "it is in both");
        }
    }

    /// Addresses that are remembered.
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }
}

fn ns(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

fn delay_ns(failures: u32) -> u64 {
    let doublings = failures.saturating_sub(1).min(16);
    (ns(DELAY_FIRST) << doublings).min(ns(DELAY_MAX))
}

/// A host has all of an IPv6 /64, so that counts as one.
fn whole(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn each_failure_doubles_the_wait_of_its_address_alone() {
        let mut penalties = Penalties::default();
        let mut now_ns = 1000 * MS;
        for expected_ms in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            penalties.failed(A, now_ns);
            assert_eq!(penalties.begin(A, now_ns), Turn::At { ns: now_ns + expected_ms * MS });
            assert_eq!(penalties.begin(B, now_ns), Turn::Now);
            now_ns += 60_000 * MS;
        }
        assert_eq!(penalties.begin(A, now_ns + 300_001 * MS), Turn::Now);
        assert!(penalties.is_empty());
    }

    #[test]
    fn many_at_once_wait_one_after_the_other_and_not_for_ever() {
        let mut penalties = Penalties::default();
        (0..5).for_each(|_| penalties.failed(A, 0));
        let turns: Vec<Turn> = (0..7).map(|_| penalties.begin(A, 0)).collect();
        let at = |ms: u64| Turn::At { ns: ms * MS };
        assert_eq!(turns[..5], [at(1600), at(3200), at(4800), at(6400), at(8000)]);
        assert_eq!(turns[5..], [Turn::Never, Turn::Never]);
    }

    #[test]
    fn a_success_forgives_half() {
        let mut penalties = Penalties::default();
        (0..4).for_each(|_| penalties.failed(A, 0));
        penalties.succeeded(A);
        assert_eq!(penalties.by_address[&A].failures, 2);
        penalties.succeeded(A);
        penalties.succeeded(A);
        assert!(penalties.is_empty());
        penalties.succeeded(A);
    }

    #[test]
    fn memory_is_bounded_and_those_that_failed_last_are_kept() {
        let mut penalties = Penalties::default();
        for host in 0..2 * ADDRESSES_MAX as u32 {
            penalties.failed(IpAddr::V4(host.into()), u64::from(host));
        }
        assert_eq!(penalties.len(), ADDRESSES_MAX);
        assert_eq!(penalties.begin(IpAddr::V4(0.into()), MS), Turn::Now);
        let last = IpAddr::V4((2 * ADDRESSES_MAX as u32 - 1).into());
        assert!(matches!(penalties.begin(last, MS), Turn::At { .. }));
    }

    #[test]
    fn a_host_cannot_change_its_ipv6_address_to_try_again() {
        let mut penalties = Penalties::default();
        penalties.failed("2001:db8::1".parse().expect("an address"), 0);
        assert!(matches!(penalties.begin("2001:db8::2".parse().expect("an address"), 0), Turn::At { .. }));
        assert_eq!(penalties.begin("2001:db8:0:1::1".parse().expect("an address"), 0), Turn::Now);
        penalties.failed("::ffff:10.0.0.1".parse().expect("an address"), 0);
        assert!(matches!(penalties.begin(A, 0), Turn::At { .. }));
        assert_eq!(penalties.begin(B, 0), Turn::Now);
    }
}
