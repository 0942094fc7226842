//! What the three APIs of access rules share: rules and filters as the protocol has them.

use super::admin::Failure;
use crate::kafka::codec::wire::StrBytes;
use crate::kafka::errors::code;
use engine::control::acls::filter::PatternFilter;
use engine::control::acls::{
    Acl, AclFilter, AclHost, Operation, Pattern, PatternType, Permission, ResourceType,
};
use kafka_wire::create_acls_request::AclCreation;

/// Kafka's number of "any", in filters.
pub const ANY: i8 = 1;
/// Of all patterns that hold for a name.
pub const MATCH: i8 = 2;

/// Why the three APIs give nothing where nobody is judged.
pub const NO_AUTHORIZER: &str = "No Authorizer is configured.";

pub fn no_authorizer() -> Failure {
    Failure::new(code::SECURITY_DISABLED, NO_AUTHORIZER)
}

/// A known one of Kafka's numbers; in its words where it is none.
fn known<T>(what: &str, number: i8, of: impl Fn(u8) -> Option<T>) -> Result<T, Failure> {
    let one = u8::try_from(number).ok().and_then(of);
    one.ok_or_else(|| Failure::request(format!("Invalid {what} {number}")))
}

/// The parts of a rule, in the order of CreateAcls.
pub struct AclFields<'a> {
    pub kind: i8,
    pub name: &'a str,
    pub pattern: i8,
    pub principal: &'a str,
    pub host: &'a str,
    pub operation: i8,
    pub permission: i8,
}

pub fn acl(fields: &AclFields<'_>) -> Result<Acl, Failure> {
    Ok(Acl {
        pattern: Pattern {
            kind: known("resourceType", fields.kind, ResourceType::of)?,
            pattern_type: known("patternType", fields.pattern, PatternType::of)?,
            name: fields.name.into(),
        },
        principal: fields.principal.into(),
        host: AclHost::of(fields.host),
        operation: known("operation", fields.operation, Operation::of)?,
        permission: known("permissionType", fields.permission, Permission::of)?,
    })
}

/// The rule that a client asks for.
pub fn of_creation(creation: &AclCreation) -> Result<Acl, Failure> {
    acl(&AclFields {
        kind: creation.resource_type,
        name: &creation.resource_name,
        pattern: creation.resource_pattern_type,
        principal: &creation.principal,
        host: &creation.host,
        operation: creation.operation,
        permission: creation.permission_type,
    })
}

/// The parts of a filter, in the order of DescribeAcls.
pub struct AclFilterFields<'a> {
    pub kind: i8,
    pub name: Option<&'a StrBytes>,
    pub pattern: i8,
    pub principal: Option<&'a StrBytes>,
    pub host: Option<&'a StrBytes>,
    pub operation: i8,
    pub permission: i8,
}

pub fn filter(fields: &AclFilterFields<'_>) -> Result<AclFilter, Failure> {
    let owned = |text: Option<&StrBytes>| text.map(|text| text.as_str().to_owned());
    Ok(AclFilter {
        kind: unless_any("resourceType", fields.kind, ResourceType::of)?,
        pattern: match fields.pattern {
            ANY => PatternFilter::Any,
            MATCH => PatternFilter::Match,
            number => PatternFilter::Only(known("patternType", number, PatternType::of)?),
        },
        name: owned(fields.name),
        principal: owned(fields.principal),
        host: fields.host.map(|host| AclHost::of(host)),
        operation: unless_any("operation", fields.operation, Operation::of)?,
        permission: unless_any("permissionType", fields.permission, Permission::of)?,
    })
}

fn unless_any<T>(what: &str, number: i8, of: impl Fn(u8) -> Option<T>) -> Result<Option<T>, Failure> {
    if number == ANY { Ok(None) } else { known(what, number, of).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_none_are_refused_by_name() {
        let good = || AclFields {
            kind: 2,
            name: "t",
            pattern: 4,
            principal: "User:a",
            host: "*",
            operation: 3,
            permission: 3,
        };
        let made = acl(&good()).expect("a rule");
        assert_eq!((made.host, made.operation), (AclHost::Any, Operation::Read));
        let wrong = [
            (AclFields { kind: ANY, ..good() }, "resourceType"),
            (AclFields { kind: 8, ..good() }, "resourceType"),
            (AclFields { pattern: MATCH, ..good() }, "patternType"),
            (AclFields { operation: ANY, ..good() }, "operation"),
            (AclFields { operation: -1, ..good() }, "operation"),
            (AclFields { permission: 0, ..good() }, "permissionType"),
        ];
        for (fields, what) in wrong {
            assert!(acl(&fields).expect_err("refused").message.contains(what), "{what}");
        }
    }

    #[test]
    fn a_filter_asks_what_is_not_any() {
        let any = AclFilterFields {
            kind: ANY,
            name: None,
            pattern: ANY,
            principal: None,
            host: None,
            operation: ANY,
            permission: ANY,
        };
        assert_eq!(filter(&any), Ok(AclFilter::any()));
        let host = StrBytes::from("0:0:0:0:0:0:0:1");
        let made = filter(&AclFilterFields { pattern: MATCH, host: Some(&host), permission: 2, ..any });
        let made = made.expect("a filter");
        assert_eq!((made.pattern, made.permission), (PatternFilter::Match, Some(Permission::Deny)));
        assert_eq!(made.host, Some(AclHost::of("::1")));
    }
}
