//! What clients have used of their quotas on this shard, and how long a connection that used too
//! much is muted. Rates are per broker, as Kafka's are, and every shard is a broker.

use super::request_context::RequestContext;
use engine::collections::Map;
use engine::control::quotas::{self, Applied, QuotaKind, Quotas};
use std::time::Duration;

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
    whose: Whose,
}

/// Who shares a quota: a user, a client id, or a user with a client id. What is none is all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Whose {
    user: Option<Box<str>>,
    client: Option<Box<str>>,
}

impl Quota {
    /// The one for this client, if any. A user is its name without its type, as Kafka's tools set it.
    pub fn of(quotas: &Quotas, asked: &RequestContext, kind: QuotaKind) -> Option<Self> {
        if quotas.is_empty() {
            return None;
        }
        let principal = asked.peer.principal.as_str();
        let (user, client) =
            (principal.split_once(':').map_or(principal, |(_, name)| name), &*asked.client_id);
        let Applied { bytes_per_s, per_user, per_client } = quotas::applied(quotas, user, client, kind)?;
        let whose = Whose { user: per_user.then(|| user.into()), client: per_client.then(|| client.into()) };
        Some(Self { kind, bytes_per_s, whose })
    }

    /// No answer need be larger: it would cost more than the longest mute.
    pub fn answer_bytes_max(&self) -> usize {
        let bytes = self.bytes_per_s.saturating_mul(THROTTLE_MAX.as_secs() / 2);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}

/// Until when what passed is paid for at the quota's rate: nanoseconds of the monotonic clock.
type Meters = Map<Whose, u64>;

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
            QuotaKind::Connections => unreachable!("connections are not paid for by bytes"),
        };
        if let Some(paid_until_ns) = meters.get_mut(&quota.whose) {
            return pay(paid_until_ns, quota.bytes_per_s, bytes, now_ns);
        }
        if meters.len() >= CLIENTS_MAX {
            meters.retain(|_, paid_until_ns| *paid_until_ns > now_ns);
        }
        let mut paid_until_ns = 0;
        let throttle = pay(&mut paid_until_ns, quota.bytes_per_s, bytes, now_ns);
        // More that owe than are remembered: this one is throttled for this request alone.
        if meters.len() < CLIENTS_MAX {
            meters.insert(quota.whose.clone(), paid_until_ns);
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
    use crate::kafka::request_context::Peer;
    use engine::control::quotas::{QuotaEntity, QuotaName, QuotaRates};
    use std::rc::Rc;
    use std::sync::Arc;

    const SECOND: u64 = 1_000_000_000;

    fn quota(client: Option<&str>) -> Quota {
        let whose = Whose { user: Some("u".into()), client: client.map(Into::into) };
        Quota { kind: QuotaKind::Produce, bytes_per_s: 1_000, whose }
    }

    #[test]
    fn the_most_specific_quota_counts_and_is_counted_for_whom_it_is() {
        let name = |text: &str| match text {
            "" => QuotaName::Absent,
            "*" => QuotaName::Default,
            text => QuotaName::Named(text.to_owned()),
        };
        // Kafka's order, strongest first.
        let order = [
            ("bob", "app"),
            ("bob", "*"),
            ("bob", ""),
            ("*", "app"),
            ("*", "*"),
            ("*", ""),
            ("", "app"),
            ("", "*"),
        ];
        let mut quotas = Quotas::new();
        let asked = |principal: &str, client: &str| {
            let mut asked = RequestContext::sample(0, 9);
            let Peer { listener, address, .. } = &*asked.peer;
            let (listener, address) = (Arc::clone(listener), *address);
            asked.peer = Rc::new(Peer { principal: principal.to_owned(), listener, address });
            asked.client_id = client.into();
            asked
        };
        assert_eq!(Quota::of(&quotas, &asked("User:bob", "app"), QuotaKind::Fetch), None);
        for (rate, (user, client)) in (1..).zip(order.into_iter().rev()) {
            let entity = QuotaEntity { user: name(user), client: name(client), ..QuotaEntity::default() };
            quotas.insert(entity, QuotaRates { fetch: Some(rate), ..QuotaRates::default() });
            let quota =
                Quota::of(&quotas, &asked("User:bob", "app"), QuotaKind::Fetch).expect("there is one");
            assert_eq!(quota.bytes_per_s, rate, "{user} {client}");
            let whose = (quota.whose.user.is_some(), quota.whose.client.is_some());
            assert_eq!(whose, (!user.is_empty(), !client.is_empty()), "{user} {client}");
        }
        // Who is not named falls to the defaults, and pays alone.
        let other =
            Quota::of(&quotas, &asked("User:CN=eve,O=x", "app2"), QuotaKind::Fetch).expect("there is one");
        assert_eq!(other.bytes_per_s, 4);
        assert_eq!(other.whose, Whose { user: Some("CN=eve,O=x".into()), client: Some("app2".into()) });
        assert_eq!(Quota::of(&quotas, &asked("User:bob", "app"), QuotaKind::Produce), None);
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
        assert!(throttles.produce.len() <= CLIENTS_MAX);
    }
}
