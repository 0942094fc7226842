//! The index against Kafka's own way: every rule looked at, one after the other.

use super::super::acl::{Acl, Permission};
use super::*;
use proptest::prelude::*;

/// Kafka's `StandardAuthorizerData`, word by word and slow.
fn naive(acls: &[Acl], who: &Who<'_>, operation: Operation, kind: ResourceType, name: &str) -> Ruling {
    let (mut any_rule, mut allowed) = (false, false);
    for acl in acls {
        let holds = acl.pattern.kind == kind
            && match acl.pattern.pattern_type {
                PatternType::Literal => &*acl.pattern.name == "*" || &*acl.pattern.name == name,
                PatternType::Prefixed => name.starts_with(&*acl.pattern.name),
            };
        if !holds {
            continue;
        }
        any_rule = true;
        if (&*acl.principal != who.principal && &*acl.principal != "User:*")
            || (acl.host != AclHost::Any && acl.host != who.host)
        {
            continue;
        }
        let exact = acl.operation == operation || acl.operation == Operation::All;
        let implied = match operation {
            Operation::Describe => matches!(
                acl.operation,
                Operation::Read | Operation::Write | Operation::Delete | Operation::Alter
            ),
            Operation::DescribeConfigs => acl.operation == Operation::AlterConfigs,
            _ => false,
        };
        match acl.permission {
            Permission::Deny if exact => return Ruling::Denied,
            Permission::Allow if exact || implied => allowed = true,
            _ => {}
        }
    }
    match (allowed, any_rule) {
        (true, _) => Ruling::Allowed,
        (false, true) => Ruling::Denied,
        (false, false) => Ruling::NoRule,
    }
}

/// Kafka's `Authorizer.authorizeByResourceType`.
fn naive_any(acls: &[Acl], who: &Who<'_>, operation: Operation, kind: ResourceType) -> bool {
    let speaks = |acl: &&Acl| {
        acl.pattern.kind == kind
            && (&*acl.principal == who.principal || &*acl.principal == "User:*")
            && (acl.host == AclHost::Any || acl.host == who.host)
            && (acl.operation == operation || acl.operation == Operation::All)
    };
    let of = |permission| move |acl: &&Acl| acl.permission == permission;
    let denies: Vec<&Acl> = acls.iter().filter(speaks).filter(of(Permission::Deny)).collect();
    let is_literal = |acl: &Acl| acl.pattern.pattern_type == PatternType::Literal;
    if denies.iter().any(|deny| is_literal(deny) && &*deny.pattern.name == "*") {
        return false;
    }
    let dominated = |allow: &Acl| {
        denies.iter().any(|deny| {
            if is_literal(deny) {
                is_literal(allow) && deny.pattern.name == allow.pattern.name
            } else {
                allow.pattern.name.starts_with(&*deny.pattern.name)
            }
        })
    };
    acls.iter()
        .filter(speaks)
        .filter(of(Permission::Allow))
        .any(|allow| is_literal(allow) && &*allow.pattern.name == "*" || !dominated(allow))
}

fn any_acl() -> impl Strategy<Value = Acl> {
    let kinds = prop_oneof![Just(ResourceType::Topic), Just(ResourceType::Group)];
    let patterns = prop_oneof![Just(PatternType::Literal), Just(PatternType::Prefixed)];
    let operations = (0..Operation::ALL.len()).prop_map(|at| Operation::ALL[at]);
    let hosts = prop_oneof![Just(AclHost::Any), "10\\.0\\.0\\.[12]".prop_map(|text| AclHost::of(&text))];
    let permissions = prop_oneof![3 => Just(Permission::Allow), 1 => Just(Permission::Deny)];
    (
        kinds,
        patterns,
        prop_oneof!["[ab]{1,4}", Just("*".to_owned())],
        "User:[xy*]",
        hosts,
        operations,
        permissions,
    )
        .prop_map(|(kind, pattern_type, name, principal, host, operation, permission)| Acl {
            pattern: Pattern { kind, pattern_type, name: name.into() },
            principal: principal.into(),
            host,
            operation,
            permission,
        })
}

fn index(acls: &[Acl]) -> AclIndex {
    let mut all = Acls::default();
    all.create(acls);
    AclIndex::new(Arc::new(all))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn the_index_says_what_a_look_at_every_rule_says(
        acls in proptest::collection::vec(any_acl(), 0..24),
        names in proptest::collection::vec("[ab]{1,5}|\\*", 1..8),
    ) {
        let index = index(&acls);
        for (principal, last) in [("User:x", 1), ("User:x", 2), ("User:z", 1)] {
            let who = Who::new(principal, IpAddr::from([10, 0, 0, last]));
            for operation in Operation::ALL.into_iter().filter(|one| *one != Operation::All) {
                for name in &names {
                    let kind = ResourceType::Topic;
                    let expected = naive(&acls, &who, operation, kind, name);
                    prop_assert_eq!(index.rule(&who, operation, kind, name), expected, "{:?} {}", operation, name);
                }
                let expected = naive_any(&acls, &who, operation, ResourceType::Group);
                prop_assert_eq!(index.allows_any(&who, operation, ResourceType::Group), expected);
            }
            for (operation, ruling) in index.rulings(&who, ResourceType::Topic, &names[0]) {
                prop_assert_eq!(ruling, naive(&acls, &who, operation, ResourceType::Topic, &names[0]));
            }
        }
    }
}

fn allow(pattern_type: PatternType, name: &str, operation: Operation) -> Acl {
    Acl {
        pattern: Pattern { kind: ResourceType::Topic, pattern_type, name: name.into() },
        principal: "User:alice".into(),
        host: AclHost::Any,
        operation,
        permission: Permission::Allow,
    }
}

#[test]
fn deny_is_stronger_and_reading_lets_describe_but_denying_to_read_does_not_hide() {
    let alice = Who::new("User:alice", IpAddr::from([10, 0, 0, 1]));
    let deny =
        Acl { permission: Permission::Deny, ..allow(PatternType::Literal, "orders.secret", Operation::Read) };
    let index = index(&[allow(PatternType::Prefixed, "orders.", Operation::Read), deny]);
    let rule = |operation, name| index.rule(&alice, operation, ResourceType::Topic, name);
    assert_eq!(rule(Operation::Read, "orders.eu"), Ruling::Allowed);
    assert_eq!(rule(Operation::Describe, "orders.eu"), Ruling::Allowed);
    assert_eq!(rule(Operation::Write, "orders.eu"), Ruling::Denied);
    assert_eq!(rule(Operation::Read, "orders.secret"), Ruling::Denied);
    assert_eq!(rule(Operation::Describe, "orders.secret"), Ruling::Allowed);
    assert_eq!(rule(Operation::Read, "orders"), Ruling::NoRule);
    let bob = Who::new("User:bob", IpAddr::from([10, 0, 0, 1]));
    assert_eq!(index.rule(&bob, Operation::Read, ResourceType::Topic, "orders.eu"), Ruling::Denied);
    assert_eq!(index.rule(&bob, Operation::Read, ResourceType::Group, "orders.eu"), Ruling::NoRule);
}

#[test]
fn an_address_in_ipv6s_clothes_is_the_address() {
    let acl = Acl { host: AclHost::of("10.0.0.1"), ..allow(PatternType::Literal, "t", Operation::Read) };
    let index = index(&[acl]);
    let from = |address: &str| {
        let who = Who::new("User:alice", address.parse().expect("an address"));
        index.rule(&who, Operation::Read, ResourceType::Topic, "t")
    };
    assert_eq!((from("::ffff:10.0.0.1"), from("10.0.0.2")), (Ruling::Allowed, Ruling::Denied));
}
