//! Quotas as Kafka's protocol has them: entities of typed parts, and keys with numbers.

use super::admin::Failure;
use engine::control::quotas::{QuotaEntity, QuotaKind, QuotaName, QuotaRates};
use std::net::IpAddr;

pub const USER: &str = "user";
pub const CLIENT_ID: &str = "client-id";
pub const IP: &str = "ip";

pub const PRODUCER_BYTE_RATE: &str = "producer_byte_rate";
pub const CONSUMER_BYTE_RATE: &str = "consumer_byte_rate";
pub const CONNECTION_CREATION_RATE: &str = "connection_creation_rate";

/// Puts an entity together from its parts; a part without a name is the default of its kind.
pub fn entity<'a>(parts: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Result<QuotaEntity, Failure> {
    let mut entity = QuotaEntity::default();
    for (kind, name) in parts {
        let part = match kind {
            USER => &mut entity.user,
            CLIENT_ID => &mut entity.client,
            IP => &mut entity.ip,
            _ => return Err(Failure::request(format!("Unhandled client quota entity type: {kind}"))),
        };
        if *part != QuotaName::Absent {
            return Err(Failure::request(format!("Duplicate entity type: {kind}")));
        }
        let name = name.map(|name| if kind == IP { address(name) } else { Ok(name.to_owned()) });
        *part = name.transpose()?.map_or(QuotaName::Default, QuotaName::Named);
    }
    if entity == QuotaEntity::default() {
        return Err(Failure::request("Invalid empty client quota entity"));
    }
    Ok(entity)
}

/// An address in the one form that is compared; a host's name is not looked up.
fn address(text: &str) -> Result<String, Failure> {
    let address = text.parse::<IpAddr>().map(|address| address.to_canonical().to_string());
    address.map_err(|_| {
        Failure::request(format!("{text} is not an IP address; names of hosts are not looked up."))
    })
}

/// The parts of an entity, as [`entity`] takes them.
pub fn parts(entity: &QuotaEntity) -> Vec<(&'static str, Option<&str>)> {
    let part = |kind, name| match name {
        &QuotaName::Absent => None,
        QuotaName::Default => Some((kind, None)),
        QuotaName::Named(name) => Some((kind, Some(name.as_str()))),
    };
    let parts = [part(USER, &entity.user), part(CLIENT_ID, &entity.client), part(IP, &entity.ip)];
    parts.into_iter().flatten().collect()
}

/// The rates that are set, by their keys.
pub fn values(rates: &QuotaRates) -> impl Iterator<Item = (&'static str, f64)> {
    let all = [
        (PRODUCER_BYTE_RATE, rates.produce),
        (CONSUMER_BYTE_RATE, rates.fetch),
        (CONNECTION_CREATION_RATE, rates.connections),
    ];
    all.into_iter().filter_map(|(key, rate)| Some((key, rate? as f64)))
}

/// The kind of a quota by its key.
pub fn kind(key: &str) -> Result<QuotaKind, Failure> {
    match key {
        PRODUCER_BYTE_RATE => Ok(QuotaKind::Produce),
        CONSUMER_BYTE_RATE => Ok(QuotaKind::Fetch),
        CONNECTION_CREATION_RATE => Ok(QuotaKind::Connections),
        "request_percentage" | "controller_mutation_rate" => Err(Failure::request(format!(
            "{key} is not built: {PRODUCER_BYTE_RATE}, {CONSUMER_BYTE_RATE} and {CONNECTION_CREATION_RATE} are."
        ))),
        _ => Err(Failure::request(format!("Invalid configuration key {key}"))),
    }
}

/// A rate that a client gives: whole bytes per second above zero.
pub fn rate(key: &str, value: f64) -> Result<u64, Failure> {
    // 2^53: up to there a double holds every whole number.
    const RATE_MAX: f64 = 9_007_199_254_740_992.0;
    if value.is_nan() || value <= 0.0 {
        return Err(Failure::request(format!("Quota {key} must be greater than 0")));
    }
    if value.fract() != 0.0 || value > RATE_MAX {
        return Err(Failure::request(format!("{key} {value} is no whole number up to {RATE_MAX}")));
    }
    Ok(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_is_put_together_and_taken_apart() {
        let both = [("client-id", Some("c")), ("user", None)];
        let made = entity(both.into_iter()).unwrap();
        assert_eq!(parts(&made), [("user", None), ("client-id", Some("c"))]);
        assert_eq!(
            parts(&entity([("ip", Some("::ffff:10.0.0.7"))].into_iter()).unwrap()),
            [("ip", Some("10.0.0.7"))]
        );
        for wrong in
            [&[][..], &[("ip", Some("a.host"))], &[("team", None)], &[("user", None), ("user", Some("u"))]]
        {
            assert!(entity(wrong.iter().copied()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn rates_are_whole_and_positive() {
        assert_eq!(rate("k", 1024.0), Ok(1024));
        for wrong in [0.0, -1.0, 1.5, f64::NAN, f64::INFINITY] {
            assert!(rate("k", wrong).is_err(), "{wrong}");
        }
        assert!(kind("request_percentage").is_err() && kind("no").is_err());
    }
}
