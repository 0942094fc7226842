//! What clients have used of their quotas on this shard, and how long a connection that used too
//! much is muted. Rates are per broker, as Kafka's are, and every shard is a broker.

use engine::collections::Map;
use engine::control::quotas::{self, Applied, QuotaKind, Quotas};
use std::time::Duration;

/// All clients are this user until there is authentication; Kafka's name of it.
pub const USER: &str = "ANONYMOUS";
/// What may pass at once, as time at the quota's rate: one of Kafka's measuring windows.
const BURST_NS: u64 = 1_000_000_000;
/// The longest mute. Clients give a request that is not read up after 30 s (Java's default); what
/// one request costs beyond this is forgiven.
pub const THROTTLE_MAX: Duration = Duration::from_secs(20);
/// Clients that are remembered; those that owe nothing are forgotten first. 100 bytes each.
const CLIENTS_MAX: usize = 10_000;

/// A quota that holds for a request of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    kind: QuotaKind,
    bytes_per_s: u64,
    /// `None` when all clients share it.
    client: Option<Box<str>>,
}

impl Quota {
    /// The one for this client, if any.
    pub fn of(quotas: &Quotas, client: &str, kind: QuotaKind) -> Option<Self> {
        let Applied { bytes_per_s, per_client } = quotas::applied(quotas, USER, client, kind)?;
        Some(Self { kind, bytes_per_s, client: per_client.then(|| client.into()) })
    }

    /// No answer need be larger: it would cost more than the longest mute.
    pub fn answer_bytes_max(&self) -> usize {
        let bytes = self.bytes_per_s.saturating_mul(THROTTLE_MAX.as_secs() / 2);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}

/// Until when what passed is paid for at the quota's rate: nanoseconds of the monotonic clock.
#[derive(Debug, Default)]
struct Meters {
    shared: u64,
    by_client: Map<Box<str>, u64>,
}

/// The meters of one shard.
#[derive(Debug, Default)]
pub struct Throttles {
    produce: Meters,
    fetch: Meters,
}

impl Throttles {
    /// Counts these bytes; gives how long nothing more may come.
    pub fn charge(&mut self, quota: &Quota, bytes: usize, now_ns: u64) -> Duration {
        let meters = match quota.kind {
            QuotaKind::Produce => &mut self.produce,
            QuotaKind::Fetch => &mut self.fetch,
        };
        let Some(client) = &quota.client else {
            return pay(&mut meters.shared, quota.bytes_per_s, bytes, now_ns);
        };
        if let Some(paid_until_ns) = meters.by_client.get_mut(client) {
            return pay(paid_until_ns, quota.bytes_per_s, bytes, now_ns);
        }
        if meters.by_client.len() >= CLIENTS_MAX {
            meters.by_client.retain(|_, paid_until_ns| *paid_until_ns > now_ns);
        }
        let mut paid_until_ns = 0;
        let throttle = pay(&mut paid_until_ns, quota.bytes_per_s, bytes, now_ns);
        // More that owe than are remembered: this one is throttled for this request alone.
        if meters.by_client.len() < CLIENTS_MAX {
            meters.by_client.insert(client.clone(), paid_until_ns);
        }
        throttle
    }
}

fn pay(paid_until_ns: &mut u64, bytes_per_s: u64, bytes: usize, now_ns: u64) -> Duration {
    let cost_ns = bytes as u128 * 1_000_000_000 / u128::from(bytes_per_s.max(1));
    let cost_ns = u64::try_from(cost_ns).unwrap_or(u64::MAX);
    let from_ns = (*paid_until_ns).max(now_ns.saturating_sub(BURST_NS));
    let owed_until_ns = now_ns.saturating_add(THROTTLE_MAX.as_nanos() as u64);
    *paid_until_ns = from_ns.saturating_add(cost_ns).min(owed_until_ns);
    Duration::from_nanos(paid_until_ns.saturating_sub(now_ns))
}

/// The throttle time as answers tell it: never less than what is waited.
pub fn in_ms(throttle: Duration) -> i32 {
    i32::try_from(throttle.as_nanos().div_ceil(1_000_000)).expect("at most the longest mute")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn quota(client: Option<&str>) -> Quota {
        Quota { kind: QuotaKind::Produce, bytes_per_s: 1_000, client: client.map(Into::into) }
    }

    #[test]
    fn a_client_within_its_rate_is_never_muted_and_one_above_it_waits_for_what_it_owes() {
        let mut throttles = Throttles::default();
        let one = quota(Some("one"));
        for second in 10..20 {
            assert_eq!(throttles.charge(&one, 1_000, second * SECOND), Duration::ZERO);
        }
        assert_eq!(throttles.charge(&one, 5_000, 20 * SECOND), Duration::from_secs(4));
        // Others do not pay for it, and after its mute it is free.
        assert_eq!(throttles.charge(&quota(Some("other")), 1_000, 20 * SECOND), Duration::ZERO);
        assert_eq!(throttles.charge(&one, 1, 24 * SECOND), Duration::from_millis(1));
    }

    #[test]
    fn what_clients_share_is_counted_together_and_no_mute_is_endless() {
        let mut throttles = Throttles::default();
        assert_eq!(throttles.charge(&quota(None), 1_000, 10 * SECOND), Duration::ZERO);
        assert_eq!(throttles.charge(&quota(None), 1_000, 10 * SECOND), Duration::from_secs(1));
        assert_eq!(throttles.charge(&quota(None), usize::MAX, 10 * SECOND), THROTTLE_MAX);
        assert_eq!(in_ms(THROTTLE_MAX), 20_000);
    }

    #[test]
    fn clients_that_owe_nothing_are_forgotten() {
        let mut throttles = Throttles::default();
        for client in 0..2 * CLIENTS_MAX {
            throttles.charge(&quota(Some(&client.to_string())), 1, SECOND * (2 + client as u64));
        }
        assert!(throttles.produce.by_client.len() <= CLIENTS_MAX);
    }
}
