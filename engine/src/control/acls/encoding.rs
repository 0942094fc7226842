//! The bytes of access rules: of one, of a filter, and of all in a checkpoint, sorted.

use super::acl::{Acl, AclHost, Operation, Pattern, PatternType, Permission, ResourceType};
use super::filter::{AclFilter, PatternFilter};
use super::rules::{Acls, Bits, PatternRules};
use crate::control::bytes::{DecodeError, Reader, Writer};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A rule with empty names.
pub const ACL_BYTES_MIN: usize = PATTERN_BYTES_MIN + 4 + 1 + 1 + 1;
const PATTERN_BYTES_MIN: usize = 1 + 1 + 4;
const RULES_BYTES_MIN: usize = PATTERN_BYTES_MIN + 4;
const PRINCIPAL_BYTES_MIN: usize = 4 + 4;
const HOST_BYTES_MIN: usize = 1 + 2 + 2;
/// A filter's numbers for what it does not ask, and for all patterns that hold.
const ANY: u8 = 1;
const MATCH: u8 = 2;

fn known<T>(what: &'static str, number: u8, one: Option<T>) -> Result<T, DecodeError> {
    one.ok_or(DecodeError::Unknown { what, number: number.into() })
}

fn read_kind(from: &mut Reader<'_>) -> Result<ResourceType, DecodeError> {
    let number = from.u8()?;
    known("kind of resource", number, ResourceType::of(number))
}

fn read_operation(number: u8) -> Result<Operation, DecodeError> {
    known("operation", number, Operation::of(number))
}

fn read_permission(number: u8) -> Result<Permission, DecodeError> {
    known("permission", number, Permission::of(number))
}

fn write_pattern(to: &mut Writer, pattern: &Pattern) {
    to.u8(pattern.kind as u8);
    to.u8(pattern.pattern_type as u8);
    to.text(&pattern.name);
}

fn read_pattern(from: &mut Reader<'_>) -> Result<Pattern, DecodeError> {
    let kind = read_kind(from)?;
    let number = from.u8()?;
    let pattern_type = known("kind of pattern", number, PatternType::of(number))?;
    Ok(Pattern { kind, pattern_type, name: from.text()?.into() })
}

fn write_host(to: &mut Writer, host: &AclHost) {
    match host {
        AclHost::Any => to.u8(0),
        AclHost::Address(IpAddr::V4(address)) => {
            to.u8(4);
            to.u32(address.to_bits());
        }
        AclHost::Address(IpAddr::V6(address)) => {
            to.u8(6);
            to.u128(address.to_bits());
        }
        AclHost::Name(name) => {
            to.u8(1);
            to.text(name);
        }
    }
}

fn read_host(from: &mut Reader<'_>) -> Result<AclHost, DecodeError> {
    Ok(match from.u8()? {
        0 => AclHost::Any,
        1 => AclHost::Name(from.text()?),
        4 => AclHost::Address(IpAddr::V4(from.u32()?.into())),
        6 => AclHost::Address(IpAddr::V6(from.u128()?.into())),
        number => return Err(DecodeError::Unknown { what: "kind of host", number: number.into() }),
    })
}

pub fn write_acl(to: &mut Writer, acl: &Acl) {
    write_pattern(to, &acl.pattern);
    to.text(&acl.principal);
    write_host(to, &acl.host);
    to.u8(acl.operation as u8);
    to.u8(acl.permission as u8);
}

pub fn read_acl(from: &mut Reader<'_>) -> Result<Acl, DecodeError> {
    Ok(Acl {
        pattern: read_pattern(from)?,
        principal: from.text()?.into(),
        host: read_host(from)?,
        operation: read_operation(from.u8()?)?,
        permission: read_permission(from.u8()?)?,
    })
}

/// Rules as they go between nodes.
pub fn write_list(acls: &[Acl]) -> Vec<u8> {
    let mut to = Writer::default();
    to.list(acls.iter(), write_acl);
    to.0
}

pub fn read_list(bytes: &[u8]) -> Result<Vec<Acl>, DecodeError> {
    let mut from = Reader(bytes);
    let acls = from.list(ACL_BYTES_MIN, read_acl)?;
    from.end()?;
    Ok(acls)
}

pub fn write_filter(to: &mut Writer, filter: &AclFilter) {
    to.u8(filter.kind.map_or(ANY, |kind| kind as u8));
    to.u8(match filter.pattern {
        PatternFilter::Any => ANY,
        PatternFilter::Match => MATCH,
        PatternFilter::Only(pattern_type) => pattern_type as u8,
    });
    to.optional_text(filter.name.as_deref());
    to.optional_text(filter.principal.as_deref());
    to.u8(u8::from(filter.host.is_some()));
    if let Some(host) = &filter.host {
        write_host(to, host);
    }
    to.u8(filter.operation.map_or(ANY, |operation| operation as u8));
    to.u8(filter.permission.map_or(ANY, |permission| permission as u8));
}

pub fn read_filter(from: &mut Reader<'_>) -> Result<AclFilter, DecodeError> {
    let number = from.u8()?;
    let kind = match number {
        ANY => None,
        number => Some(known("kind of resource", number, ResourceType::of(number))?),
    };
    let pattern = match from.u8()? {
        ANY => PatternFilter::Any,
        MATCH => PatternFilter::Match,
        number => PatternFilter::Only(known("kind of pattern", number, PatternType::of(number))?),
    };
    let (name, principal) = (from.optional_text()?, from.optional_text()?);
    let host = match from.u8()? {
        0 => None,
        1 => Some(read_host(from)?),
        number => return Err(DecodeError::Unknown { what: "presence", number: number.into() }),
    };
    let operation = match from.u8()? {
        ANY => None,
        number => Some(read_operation(number)?),
    };
    let permission = match from.u8()? {
        ANY => None,
        number => Some(read_permission(number)?),
    };
    Ok(AclFilter { kind, pattern, name, principal, host, operation, permission })
}

pub fn write_all(to: &mut Writer, acls: &Acls) {
    to.list(acls.patterns().iter(), |to, (pattern, rules)| {
        write_pattern(to, pattern);
        let mut principals: Vec<_> = rules.iter().collect();
        principals.sort_unstable_by_key(|(principal, _)| *principal);
        to.list(principals.into_iter(), |to, (principal, hosts)| {
            to.text(principal);
            to.list(hosts.iter(), |to, (host, bits)| {
                write_host(to, host);
                to.u16(bits.allow);
                to.u16(bits.deny);
            });
        });
    });
}

pub fn read_all(from: &mut Reader<'_>) -> Result<Acls, DecodeError> {
    let mut acls = Acls::default();
    let read = |from: &mut Reader<'_>| {
        let pattern = read_pattern(from)?;
        let rules: PatternRules = from.list(PRINCIPAL_BYTES_MIN, read_principal)?.into_iter().collect();
        if acls.restore(pattern, rules) {
            Ok(())
        } else {
            Err(DecodeError::Contradiction("an access rule says nothing, or stands twice"))
        }
    };
    from.list(RULES_BYTES_MIN, read)?;
    Ok(acls)
}

type Principal = (std::sync::Arc<str>, BTreeMap<AclHost, Bits>);

fn read_principal(from: &mut Reader<'_>) -> Result<Principal, DecodeError> {
    let principal = from.text()?.into();
    let read = |from: &mut Reader<'_>| {
        let host = read_host(from)?;
        let bits = Bits { allow: from.u16()?, deny: from.u16()? };
        let known = Operation::ALL.iter().fold(0, |bits, operation| bits | operation.bit());
        if (bits.allow | bits.deny) & !known != 0 {
            return Err(DecodeError::Unknown { what: "operation", number: (bits.allow | bits.deny).into() });
        }
        Ok((host, bits))
    };
    Ok((principal, from.list(HOST_BYTES_MIN, read)?.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acls() -> Vec<Acl> {
        let pattern = |kind, pattern_type, name: &str| Pattern { kind, pattern_type, name: name.into() };
        let acl = |pattern, host: &str, operation, permission| Acl {
            pattern,
            principal: "User:alice".into(),
            host: AclHost::of(host),
            operation,
            permission,
        };
        vec![
            acl(
                pattern(ResourceType::Topic, PatternType::Literal, "t"),
                "*",
                Operation::Read,
                Permission::Allow,
            ),
            acl(
                pattern(ResourceType::Group, PatternType::Prefixed, "g"),
                "10.0.0.7",
                Operation::All,
                Permission::Deny,
            ),
            acl(
                pattern(ResourceType::User, PatternType::Literal, "*"),
                "fe80::1",
                Operation::CreateTokens,
                Permission::Allow,
            ),
            acl(
                pattern(ResourceType::Cluster, PatternType::Literal, "kafka-cluster"),
                "host",
                Operation::TwoPhaseCommit,
                Permission::Deny,
            ),
        ]
    }

    #[test]
    fn rules_and_filters_come_back_as_they_went_in_and_cut_ones_are_errors() {
        for acl in acls() {
            let mut to = Writer::default();
            write_acl(&mut to, &acl);
            assert!(to.0.len() >= ACL_BYTES_MIN);
            assert_eq!(read_acl(&mut Reader(&to.0)), Ok(acl.clone()));
            for cut in 0..to.0.len() {
                assert!(read_acl(&mut Reader(&to.0[..cut])).is_err());
            }
            let filter = AclFilter {
                kind: Some(acl.pattern.kind),
                pattern: PatternFilter::Only(acl.pattern.pattern_type),
                name: Some(acl.pattern.name.to_string()),
                principal: Some(acl.principal.to_string()),
                host: Some(acl.host.clone()),
                operation: Some(acl.operation),
                permission: Some(acl.permission),
            };
            for filter in
                [filter, AclFilter::any(), AclFilter { pattern: PatternFilter::Match, ..AclFilter::any() }]
            {
                let mut to = Writer::default();
                write_filter(&mut to, &filter);
                assert_eq!(read_filter(&mut Reader(&to.0)), Ok(filter));
            }
        }
    }

    #[test]
    fn a_checkpoint_of_them_is_one_text_whatever_order_they_came_in() {
        let written = |acls: &[Acl]| {
            let mut all = Acls::default();
            all.create(acls);
            let mut to = Writer::default();
            write_all(&mut to, &all);
            assert_eq!(read_all(&mut Reader(&to.0)), Ok(all));
            to.0
        };
        let mut backwards = acls();
        backwards.reverse();
        assert_eq!(written(&acls()), written(&backwards));
        // A pattern about which nobody has a rule.
        let mut to = Writer::default();
        to.count(1);
        write_pattern(&mut to, &acls()[0].pattern);
        to.count(0);
        assert!(matches!(read_all(&mut Reader(&to.0)), Err(DecodeError::Contradiction(_))));
    }
}
