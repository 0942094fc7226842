//! Rates that clients may not exceed, by Kafka's entities: bytes of a user, a client id, both, or the default of either,
//! and new connections of an address, or of each that has no rate of its own. Says which rate is whose; knows no time.

use super::bytes::{DecodeError, Reader, Writer};
use super::command_error::CommandError;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Entities with quotas: the whole map is in every view and every checkpoint. Above what clusters
/// with a quota for each team have.
pub const QUOTA_ENTITIES_MAX: usize = 10_000;
/// A user's or client id's longest name, bytes.
pub const QUOTA_NAME_BYTES_MAX: usize = 1_024;

/// One half of an entity.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum QuotaName {
    /// The entity does not speak of it.
    #[default]
    Absent,
    /// All that have no quota of their own, each by itself.
    Default,
    Named(String),
}

/// Whose quota it is; one part at least is not absent, and an address goes with neither of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuotaEntity {
    pub user: QuotaName,
    pub client: QuotaName,
    /// An address, as its type prints it.
    pub ip: QuotaName,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum QuotaKind {
    Produce = 1,
    Fetch = 2,
    /// New connections, of an address.
    Connections = 3,
}

/// Bytes or connections per second and broker; `None` is no limit of this entity's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaRates {
    pub produce: Option<u64>,
    pub fetch: Option<u64>,
    pub connections: Option<u64>,
}

/// One rate set, or (with `None`) taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaChange {
    pub kind: QuotaKind,
    pub bytes_per_s: Option<u64>,
}

/// All quotas, by entity.
pub type Quotas = BTreeMap<QuotaEntity, QuotaRates>;

/// The quota that holds for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    pub bytes_per_s: u64,
    /// Counted for this user alone; else for all that have the client id, whoever they are.
    pub per_user: bool,
    /// Counted for this client id alone; else for all of the user's together.
    pub per_client: bool,
}

impl QuotaRates {
    pub fn of(&self, kind: QuotaKind) -> Option<u64> {
        match kind {
            QuotaKind::Produce => self.produce,
            QuotaKind::Fetch => self.fetch,
            QuotaKind::Connections => self.connections,
        }
    }

    fn set(&mut self, change: QuotaChange) {
        match change.kind {
            QuotaKind::Produce => self.produce = change.bytes_per_s,
            QuotaKind::Fetch => self.fetch = change.bytes_per_s,
            QuotaKind::Connections => self.connections = change.bytes_per_s,
        }
    }
}

/// The most specific quota of this kind, in Kafka's order.
pub fn applied(quotas: &Quotas, user: &str, client: &str, kind: QuotaKind) -> Option<Applied> {
    if quotas.is_empty() {
        return None;
    }
    let users = [QuotaName::Named(user.to_owned()), QuotaName::Default, QuotaName::Absent];
    let clients = [QuotaName::Named(client.to_owned()), QuotaName::Default, QuotaName::Absent];
    users.iter().flat_map(|user| clients.iter().map(move |client| (user, client))).find_map(
        |(user, client)| {
            let entity = QuotaEntity { user: user.clone(), client: client.clone(), ip: QuotaName::Absent };
            let bytes_per_s = quotas.get(&entity)?.of(kind)?;
            let (per_user, per_client) = (*user != QuotaName::Absent, *client != QuotaName::Absent);
            assert!(per_user || per_client, "a quota is somebody's");
            Some(Applied { bytes_per_s, per_user, per_client })
        },
    )
}

/// How many connections an address may open a second.
pub fn connections_of(quotas: &Quotas, ip: IpAddr) -> Option<u64> {
    if !quotas.keys().any(|entity| entity.ip != QuotaName::Absent) {
        return None;
    }
    [QuotaName::Named(ip.to_canonical().to_string()), QuotaName::Default]
        .into_iter()
        .find_map(|ip| quotas.get(&QuotaEntity { ip, ..QuotaEntity::default() })?.of(QuotaKind::Connections))
}

/// Checks a change of an entity's quotas without making it.
pub fn check(quotas: &Quotas, entity: &QuotaEntity, changes: &[QuotaChange]) -> Result<(), CommandError> {
    let invalid = |reason: String| Err(CommandError::InvalidRequest(reason));
    if *entity == QuotaEntity::default() {
        return invalid("a quota names a user, a client id, both, or an address".to_owned());
    }
    let is_of_ip = entity.ip != QuotaName::Absent;
    if is_of_ip && (entity.user != QuotaName::Absent || entity.client != QuotaName::Absent) {
        return invalid("an address has quotas for whoever comes from it".to_owned());
    }
    if changes.iter().any(|change| (change.kind == QuotaKind::Connections) != is_of_ip) {
        return invalid("connections are counted by address, bytes by user and client id".to_owned());
    }
    for name in [&entity.user, &entity.client, &entity.ip] {
        if let QuotaName::Named(name) = name
            && (name.is_empty() || name.len() > QUOTA_NAME_BYTES_MAX)
        {
            return invalid(format!("a name of {} bytes: 1 to {QUOTA_NAME_BYTES_MAX} are taken", name.len()));
        }
    }
    if changes.iter().any(|change| change.bytes_per_s == Some(0)) {
        return invalid("a quota is greater than 0".to_owned());
    }
    if quotas.len() >= QUOTA_ENTITIES_MAX && !quotas.contains_key(entity) {
        let reason = format!("{QUOTA_ENTITIES_MAX} entities have quotas: no more are taken");
        return Err(CommandError::LimitReached(reason));
    }
    Ok(())
}

/// Makes a change that was checked; an entity without any quota is forgotten.
pub fn change(quotas: &mut Quotas, entity: &QuotaEntity, changes: &[QuotaChange]) {
    let rates = quotas.entry(entity.clone()).or_default();
    changes.iter().for_each(|change| rates.set(*change));
    if *rates == QuotaRates::default() {
        quotas.remove(entity);
    }
}

pub(super) const QUOTA_BYTES_MIN: usize = 1 + 8;
pub(super) const CHANGE_BYTES: usize = 1 + 8;

/// An address has a mark of its own in the place of the user.
const IP_DEFAULT: u8 = 3;
const IP_NAMED: u8 = 4;

pub(super) fn write_entity(to: &mut Writer, entity: &QuotaEntity) {
    match &entity.ip {
        QuotaName::Absent => {}
        QuotaName::Default => return to.u8(IP_DEFAULT),
        QuotaName::Named(ip) => {
            to.u8(IP_NAMED);
            return to.text(ip);
        }
    }
    for name in [&entity.user, &entity.client] {
        match name {
            QuotaName::Absent => to.u8(0),
            QuotaName::Default => to.u8(1),
            QuotaName::Named(name) => {
                to.u8(2);
                to.text(name);
            }
        }
    }
}

pub(super) fn read_entity(from: &mut Reader<'_>) -> Result<QuotaEntity, DecodeError> {
    let name = |from: &mut Reader<'_>, number: u8| {
        Ok(match number {
            0 => QuotaName::Absent,
            1 => QuotaName::Default,
            2 => QuotaName::Named(from.text()?),
            number => return Err(DecodeError::Unknown { what: "half of an entity", number: number.into() }),
        })
    };
    let of_ip = |ip| QuotaEntity { ip, ..QuotaEntity::default() };
    Ok(match from.u8()? {
        IP_DEFAULT => of_ip(QuotaName::Default),
        IP_NAMED => of_ip(QuotaName::Named(from.text()?)),
        user => {
            let user = name(from, user)?;
            let client = from.u8()?;
            QuotaEntity { user, client: name(from, client)?, ip: QuotaName::Absent }
        }
    })
}

/// A rate of zero cannot be set, and stands for none.
pub(super) fn write_change(to: &mut Writer, change: &QuotaChange) {
    to.u8(change.kind as u8);
    to.u64(change.bytes_per_s.unwrap_or(0));
}

pub(super) fn read_change(from: &mut Reader<'_>) -> Result<QuotaChange, DecodeError> {
    let kind = match from.u8()? {
        1 => QuotaKind::Produce,
        2 => QuotaKind::Fetch,
        3 => QuotaKind::Connections,
        number => return Err(DecodeError::Unknown { what: "kind of quota", number: number.into() }),
    };
    Ok(QuotaChange { kind, bytes_per_s: read_rate(from)? })
}

/// An entity and its rates: two of bytes, or one of connections.
pub(super) fn write_entry(to: &mut Writer, entity: &QuotaEntity, rates: &QuotaRates) {
    write_entity(to, entity);
    if entity.ip == QuotaName::Absent {
        to.u64(rates.produce.unwrap_or(0));
        to.u64(rates.fetch.unwrap_or(0));
    } else {
        to.u64(rates.connections.unwrap_or(0));
    }
}

pub(super) fn read_entry(from: &mut Reader<'_>) -> Result<(QuotaEntity, QuotaRates), DecodeError> {
    let entity = read_entity(from)?;
    let rates = if entity.ip == QuotaName::Absent {
        QuotaRates { produce: read_rate(from)?, fetch: read_rate(from)?, connections: None }
    } else {
        QuotaRates { connections: read_rate(from)?, ..QuotaRates::default() }
    };
    Ok((entity, rates))
}

fn read_rate(from: &mut Reader<'_>) -> Result<Option<u64>, DecodeError> {
    Ok(Some(from.u64()?).filter(|rate| *rate > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> QuotaName {
        match text {
            "" => QuotaName::Absent,
            "*" => QuotaName::Default,
            text => QuotaName::Named(text.to_owned()),
        }
    }

    fn entity(user: &str, client: &str) -> QuotaEntity {
        QuotaEntity { user: name(user), client: name(client), ip: QuotaName::Absent }
    }

    #[test]
    fn an_address_has_its_own_rate_or_the_default_and_goes_with_nobody() {
        let of = |ip: &str| QuotaEntity { ip: name(ip), ..QuotaEntity::default() };
        let set = |kind, rate| [QuotaChange { kind, bytes_per_s: Some(rate) }];
        let mut quotas = Quotas::new();
        let rate = |quotas: &Quotas, ip: &str| connections_of(quotas, ip.parse().expect("an address"));
        assert_eq!(rate(&quotas, "10.0.0.1"), None);
        change(&mut quotas, &of("*"), &set(QuotaKind::Connections, 5));
        change(&mut quotas, &of("10.0.0.1"), &set(QuotaKind::Connections, 9));
        assert_eq!((rate(&quotas, "10.0.0.1"), rate(&quotas, "10.0.0.2")), (Some(9), Some(5)));
        assert_eq!(rate(&quotas, "::ffff:10.0.0.1"), Some(9), "one address, however it came");
        assert_eq!(applied(&quotas, "u", "c", QuotaKind::Produce), None);
        assert!(check(&quotas, &of("*"), &set(QuotaKind::Fetch, 1)).is_err());
        assert!(check(&quotas, &entity("u", ""), &set(QuotaKind::Connections, 1)).is_err());
        let both = QuotaEntity { user: name("u"), ..of("*") };
        assert!(check(&quotas, &both, &set(QuotaKind::Connections, 1)).is_err());
        for (entity, rates) in &quotas {
            let mut to = Writer::default();
            write_entry(&mut to, entity, rates);
            let read = read_entry(&mut Reader(&to.0)).expect("its own bytes");
            assert_eq!((&read.0, &read.1), (entity, rates));
        }
    }

    #[test]
    fn the_most_specific_quota_holds_in_kafkas_order() {
        // From the least to the most specific, each of its place's rate.
        let order =
            [("", "*"), ("", "c"), ("*", ""), ("*", "*"), ("*", "c"), ("u", ""), ("u", "*"), ("u", "c")];
        let mut quotas = Quotas::new();
        assert_eq!(applied(&quotas, "u", "c", QuotaKind::Produce), None);
        for (rate, (user, client)) in (1..).zip(order) {
            let changes = [QuotaChange { kind: QuotaKind::Produce, bytes_per_s: Some(rate) }];
            assert_eq!(check(&quotas, &entity(user, client), &changes), Ok(()));
            change(&mut quotas, &entity(user, client), &changes);
            let expected =
                Applied { bytes_per_s: rate, per_user: !user.is_empty(), per_client: !client.is_empty() };
            assert_eq!(applied(&quotas, "u", "c", QuotaKind::Produce), Some(expected));
            assert_eq!(applied(&quotas, "u", "c", QuotaKind::Fetch), None);
        }
        assert_eq!(applied(&quotas, "v", "d", QuotaKind::Produce).map(|one| one.bytes_per_s), Some(4));
    }

    #[test]
    fn what_is_no_quota_is_refused_and_the_last_rate_takes_its_entity_with_it() {
        let mut quotas = Quotas::new();
        let set = |rate| [QuotaChange { kind: QuotaKind::Fetch, bytes_per_s: rate }];
        assert!(check(&quotas, &entity("", ""), &set(Some(1))).is_err());
        assert!(check(&quotas, &entity("", "c"), &set(Some(0))).is_err());
        let long = "c".repeat(QUOTA_NAME_BYTES_MAX + 1);
        assert!(check(&quotas, &entity("", &long), &set(Some(1))).is_err());
        change(&mut quotas, &entity("", "c"), &set(Some(9)));
        change(&mut quotas, &entity("", "c"), &set(None));
        assert!(quotas.is_empty());
    }
}
