//! How many connections an address opens a second, where it has a quota of them (KIP-612); per broker, and every shard
//! is one.

use engine::collections::Map;
use engine::control::quotas::{Quotas, connections_of};
use std::net::IpAddr;

/// What may come at once, as time at the quota's rate.
const BURST_NS: u64 = 1_000_000_000;
/// Addresses that are remembered; those whose second is over are forgotten first.
const ADDRESSES_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub struct ConnectionRates {
    /// Until when what came is paid for at the address's rate.
    paid_ns: Map<IpAddr, u64>,
}

impl ConnectionRates {
    /// Whether one more connection of this address is within its rate; it is counted then.
    pub fn admits(&mut self, quotas: &Quotas, address: IpAddr, now_ns: u64) -> bool {
        let address = address.to_canonical();
        let Some(per_s) = connections_of(quotas, address) else { return true };
        // The clock may have begun less than a burst ago.
        let now_ns = now_ns + BURST_NS;
        let paid_ns = self.paid_ns.get(&address).copied().unwrap_or(0);
        let paid_ns = paid_ns.max(now_ns - BURST_NS) + BURST_NS / per_s.max(1);
        if paid_ns > now_ns {
            return false;
        }
        if self.paid_ns.len() >= ADDRESSES_MAX {
            self.paid_ns.retain(|_, paid_ns| *paid_ns + BURST_NS > now_ns);
        }
        // More addresses in one second than are remembered: the quota of some is not held.
        if self.paid_ns.len() < ADDRESSES_MAX || self.paid_ns.contains_key(&address) {
            self.paid_ns.insert(address, paid_ns);
        }
        assert!(self.paid_ns.len() <= ADDRESSES_MAX, "{} addresses", self.paid_ns.len());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::control::quotas::{QuotaEntity, QuotaName, QuotaRates};

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn an_address_opens_as_many_a_second_as_its_rate_and_others_are_not_held_back() {
        let entity = QuotaEntity { ip: QuotaName::Named("10.0.0.1".into()), ..QuotaEntity::default() };
        let rates = QuotaRates { connections: Some(10), ..QuotaRates::default() };
        let quotas = Quotas::from([(entity, rates)]);
        let mut counted = ConnectionRates::default();
        let one = IpAddr::from([10, 0, 0, 1]);
        let mut admitted = |second: u64| {
            (0..100).filter(|n| counted.admits(&quotas, one, second * SECOND + n * 1_000)).count()
        };
        assert_eq!([admitted(0), admitted(2), admitted(3), admitted(110)], [10, 10, 10, 10]);
        assert!((0..100).all(|_| counted.admits(&quotas, IpAddr::from([10, 0, 0, 2]), 110 * SECOND)));
        assert_eq!(counted.paid_ns.len(), 1);
    }
}
