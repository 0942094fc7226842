//! Which rules are meant by a request that lists or deletes them.

use super::acl::{ANY, Acl, AclHost, Operation, Pattern, PatternType, Permission, ResourceType};

/// How a filter looks at patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternFilter {
    Any,
    /// All that hold for the name.
    Match,
    Only(PatternType),
}

/// What is absent is any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclFilter {
    pub kind: Option<ResourceType>,
    pub pattern: PatternFilter,
    pub name: Option<String>,
    pub principal: Option<String>,
    pub host: Option<AclHost>,
    pub operation: Option<Operation>,
    pub permission: Option<Permission>,
}

impl AclFilter {
    /// All rules.
    pub const fn any() -> Self {
        Self {
            kind: None,
            pattern: PatternFilter::Any,
            name: None,
            principal: None,
            host: None,
            operation: None,
            permission: None,
        }
    }

    pub fn lets_pattern(&self, pattern: &Pattern) -> bool {
        let names = |name: &String| match (self.pattern, pattern.pattern_type) {
            (PatternFilter::Match, PatternType::Literal) => **name == *pattern.name || &*pattern.name == ANY,
            (PatternFilter::Match, PatternType::Prefixed) => name.starts_with(&*pattern.name),
            _ => **name == *pattern.name,
        };
        let is_type = match self.pattern {
            PatternFilter::Any | PatternFilter::Match => true,
            PatternFilter::Only(pattern_type) => pattern_type == pattern.pattern_type,
        };
        self.kind.is_none_or(|kind| kind == pattern.kind) && is_type && self.name.as_ref().is_none_or(names)
    }

    pub fn lets(&self, acl: &Acl) -> bool {
        self.lets_pattern(&acl.pattern)
            && self.principal.as_ref().is_none_or(|principal| **principal == *acl.principal)
            && self.host.as_ref().is_none_or(|host| *host == acl.host)
            && self.operation.is_none_or(|operation| operation == acl.operation)
            && self.permission.is_none_or(|permission| permission == acl.permission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(pattern_type: PatternType, name: &str) -> Pattern {
        Pattern { kind: ResourceType::Topic, pattern_type, name: name.into() }
    }

    #[test]
    fn a_match_finds_all_that_hold_for_a_name() {
        use PatternType::{Literal, Prefixed};
        let by = |filter, name: &str| AclFilter {
            pattern: filter,
            name: Some(name.to_owned()),
            ..AclFilter::any()
        };
        let lets = |filter: &AclFilter| {
            let all =
                [(Literal, "foo"), (Literal, "*"), (Prefixed, "fo"), (Prefixed, "foo"), (Literal, "fo")];
            all.map(|(pattern_type, name)| filter.lets_pattern(&pattern(pattern_type, name)))
        };
        assert_eq!(lets(&by(PatternFilter::Match, "foo")), [true, true, true, true, false]);
        assert_eq!(lets(&by(PatternFilter::Any, "foo")), [true, false, false, true, false]);
        assert_eq!(lets(&by(PatternFilter::Only(Literal), "foo")), [true, false, false, false, false]);
        assert_eq!(lets(&by(PatternFilter::Only(Prefixed), "foo")), [false, false, false, true, false]);
        assert_eq!(lets(&AclFilter::any()), [true; 5]);
    }

    #[test]
    fn each_part_narrows() {
        let acl = Acl {
            pattern: pattern(PatternType::Literal, "t"),
            principal: "User:a".into(),
            host: AclHost::Any,
            operation: Operation::Read,
            permission: Permission::Deny,
        };
        let any = AclFilter::any;
        assert!(any().lets(&acl));
        let wrong = [
            AclFilter { kind: Some(ResourceType::Group), ..any() },
            AclFilter { principal: Some("User:b".to_owned()), ..any() },
            AclFilter { host: Some(AclHost::of("10.0.0.1")), ..any() },
            AclFilter { operation: Some(Operation::All), ..any() },
            AclFilter { permission: Some(Permission::Allow), ..any() },
        ];
        assert!(wrong.iter().all(|filter| !filter.lets(&acl)));
    }
}
