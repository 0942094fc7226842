//! All rules there are, by pattern, principal and host, and how they change. What the rules say of one name is `index`'s.

use super::acl::{
    Acl, AclHost, CLUSTER_NAME, HOST_BYTES_MAX, NAME_BYTES_MAX, Operation, Pattern, Permission, ResourceType,
};
use super::filter::AclFilter;
use crate::collections::Map;
use crate::control::command_error::CommandError;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rules of a cluster: all of them are in every view and every checkpoint, and the index is made again when one
/// changes.
pub const ACLS_MAX: usize = 20_000;
/// Rules that one command makes or takes away: with the longest names they fit into a message between nodes.
pub const ACLS_AT_ONCE: usize = 200;

/// What one principal may and may not from one host: a bit per operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bits {
    pub allow: u16,
    pub deny: u16,
}

/// The rules of one pattern, by principal and host.
pub type PatternRules = Map<Arc<str>, BTreeMap<AclHost, Bits>>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acls {
    patterns: BTreeMap<Pattern, Arc<PatternRules>>,
    /// The bits of all patterns.
    count: usize,
}

impl Bits {
    fn of(&mut self, permission: Permission) -> &mut u16 {
        match permission {
            Permission::Allow => &mut self.allow,
            Permission::Deny => &mut self.deny,
        }
    }

    pub(super) fn count(self) -> usize {
        (self.allow.count_ones() + self.deny.count_ones()) as usize
    }
}

impl Acls {
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn patterns(&self) -> &BTreeMap<Pattern, Arc<PatternRules>> {
        &self.patterns
    }

    pub fn contains(&self, acl: &Acl) -> bool {
        let bits = || self.patterns.get(&acl.pattern)?.get(&acl.principal)?.get(&acl.host).copied();
        bits().is_some_and(|mut bits| *bits.of(acl.permission) & acl.operation.bit() != 0)
    }

    /// Whether these may be made, without making them.
    pub fn check(&self, acls: &[Acl]) -> Result<(), CommandError> {
        acls.iter().try_for_each(check_one)?;
        let new = acls.iter().filter(|acl| !self.contains(acl)).count();
        if acls.len() > ACLS_AT_ONCE || self.count + new > ACLS_MAX {
            let reason = format!("there are {} access rules: {ACLS_MAX} is the most", self.count);
            return Err(CommandError::LimitReached(reason));
        }
        Ok(())
    }

    /// Makes rules that were checked; one that is there stays.
    pub fn create(&mut self, acls: &[Acl]) {
        for acl in acls {
            let rules = Arc::make_mut(self.patterns.entry(acl.pattern.clone()).or_default());
            let bits = rules.entry(acl.principal.clone()).or_default().entry(acl.host.clone()).or_default();
            let of = bits.of(acl.permission);
            if *of & acl.operation.bit() == 0 {
                *of |= acl.operation.bit();
                self.count += 1;
            }
        }
        assert!(self.count <= ACLS_MAX, "{} access rules: they were checked", self.count);
    }

    /// Takes away the first rules that a filter means, in order, and so many at most; gives them, and whether there
    /// are more.
    pub fn delete(&mut self, filter: &AclFilter, at_most: usize) -> (Vec<Acl>, bool) {
        let mut found: Vec<Acl> = self.list(filter).take(at_most + 1).collect();
        let more = found.len() > at_most;
        found.truncate(at_most);
        for acl in &found {
            self.remove(acl);
        }
        assert!(found.iter().all(|acl| !self.contains(acl)), "what was taken away is gone");
        (found, more)
    }

    fn remove(&mut self, acl: &Acl) {
        let rules = Arc::make_mut(self.patterns.get_mut(&acl.pattern).expect("it was listed"));
        let hosts = rules.get_mut(&acl.principal).expect("it was listed");
        let bits = hosts.get_mut(&acl.host).expect("it was listed");
        let of = bits.of(acl.permission);
        assert!(*of & acl.operation.bit() != 0, "{acl:?} was listed");
        assert!(self.count > 0, "{acl:?} was counted");
        *of &= !acl.operation.bit();
        self.count -= 1;
        // What says nothing is not kept: two states with the same rules are the same.
        if *bits == Bits::default() {
            hosts.remove(&acl.host);
        }
        if hosts.is_empty() {
            rules.remove(&acl.principal);
        }
        if rules.is_empty() {
            self.patterns.remove(&acl.pattern);
        }
    }

    /// The rules that a filter means, sorted.
    pub fn list<'a>(&'a self, filter: &'a AclFilter) -> impl Iterator<Item = Acl> + 'a {
        let patterns = self.patterns.iter().filter(|(pattern, _)| filter.lets_pattern(pattern));
        patterns.flat_map(|(pattern, rules)| of_pattern(pattern, rules)).filter(|acl| filter.lets(acl))
    }

    /// Takes rules from a checkpoint; false for those that say nothing or stand twice.
    pub(super) fn restore(&mut self, pattern: Pattern, rules: PatternRules) -> bool {
        let bits = rules.values().flat_map(BTreeMap::values).map(|bits| bits.count());
        let whole = !rules.is_empty()
            && rules.values().all(|hosts| !hosts.is_empty())
            && bits.clone().all(|count| count > 0);
        self.count += bits.sum::<usize>();
        whole && self.patterns.insert(pattern, Arc::new(rules)).is_none()
    }
}

/// The rules of one pattern, sorted.
fn of_pattern(pattern: &Pattern, rules: &PatternRules) -> Vec<Acl> {
    let mut acls = Vec::new();
    for (principal, hosts) in rules {
        for (host, bits) in hosts {
            for (permission, of) in [(Permission::Deny, bits.deny), (Permission::Allow, bits.allow)] {
                let operations = Operation::ALL.into_iter().filter(|operation| of & operation.bit() != 0);
                acls.extend(operations.map(|operation| Acl {
                    pattern: pattern.clone(),
                    principal: principal.clone(),
                    host: host.clone(),
                    operation,
                    permission,
                }));
            }
        }
    }
    acls.sort_unstable();
    acls
}

/// What can be a rule, in Kafka's words.
fn check_one(acl: &Acl) -> Result<(), CommandError> {
    let invalid = |reason: String| Err(CommandError::InvalidRequest(reason));
    let (name, principal) = (&acl.pattern.name, &acl.principal);
    if name.is_empty() {
        return invalid("Resource name should not be empty".to_owned());
    }
    if acl.pattern.kind == ResourceType::Cluster && &**name != CLUSTER_NAME {
        return invalid(format!("The only valid name for the CLUSTER resource is {CLUSTER_NAME}"));
    }
    if !principal.contains(':') {
        return invalid(format!(
            "Could not parse principal from `{principal}` (no colon is present separating the principal type \
             from the principal name)"
        ));
    }
    let host_bytes = if let AclHost::Name(name) = &acl.host { name.len() } else { 1 };
    if name.len() > NAME_BYTES_MAX
        || principal.len() > NAME_BYTES_MAX
        || host_bytes == 0
        || host_bytes > HOST_BYTES_MAX
    {
        return invalid(format!(
            "A name and a principal have at most {NAME_BYTES_MAX} bytes, a host 1 to {HOST_BYTES_MAX}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::acl::PatternType;
    use super::super::filter::PatternFilter;
    use super::*;

    fn acl(name: &str, principal: &str, operation: Operation) -> Acl {
        let pattern =
            Pattern { kind: ResourceType::Topic, pattern_type: PatternType::Literal, name: name.into() };
        let permission = Permission::Allow;
        Acl { pattern, principal: principal.into(), host: AclHost::Any, operation, permission }
    }

    #[test]
    fn rules_are_made_listed_and_taken_away_and_nothing_of_them_stays() {
        let mut acls = Acls::default();
        let all: Vec<Acl> = ["a", "b"]
            .into_iter()
            .flat_map(|name| {
                [Operation::Read, Operation::Write].map(|operation| acl(name, "User:u", operation))
            })
            .collect();
        assert_eq!(acls.check(&all), Ok(()));
        acls.create(&all);
        acls.create(&all[1..2]);
        assert_eq!((acls.len(), acls.list(&AclFilter::any()).collect::<Vec<_>>()), (4, all.clone()));
        let of_a = AclFilter { name: Some("a".to_owned()), pattern: PatternFilter::Any, ..AclFilter::any() };
        assert_eq!(acls.delete(&of_a, 1), (vec![all[0].clone()], true));
        assert_eq!(acls.delete(&of_a, 1), (vec![all[1].clone()], false));
        assert_eq!(acls.delete(&of_a, 1), (vec![], false));
        assert_eq!(acls.delete(&AclFilter::any(), 9).0.len(), 2);
        assert_eq!(acls, Acls::default());
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        let cluster = |name: &str| {
            let mut acl = acl(name, "User:u", Operation::Alter);
            acl.pattern.kind = ResourceType::Cluster;
            acl
        };
        let check = |acl: Acl| Acls::default().check(&[acl]);
        assert_eq!(check(cluster("kafka-cluster")), Ok(()));
        let long = "n".repeat(NAME_BYTES_MAX + 1);
        let nowhere = Acl { host: AclHost::of(""), ..acl("t", "User:u", Operation::Read) };
        let wrong = [
            cluster("other"),
            acl("", "User:u", Operation::Read),
            acl("t", "alice", Operation::Read),
            acl(&long, "User:u", Operation::Read),
            acl("t", &format!("User:{long}"), Operation::Read),
            nowhere,
        ];
        for acl in wrong {
            let refused = check(acl.clone());
            assert!(matches!(refused, Err(CommandError::InvalidRequest(_))), "{acl:?}: {refused:?}");
        }
    }

    #[test]
    fn they_are_bounded() {
        let mut acls = Acls::default();
        let names: Vec<String> = (0..ACLS_MAX).map(|number| format!("t{number}")).collect();
        for chunk in names.chunks(ACLS_AT_ONCE) {
            let chunk: Vec<Acl> = chunk.iter().map(|name| acl(name, "User:u", Operation::All)).collect();
            assert_eq!(acls.check(&chunk), Ok(()));
            acls.create(&chunk);
        }
        assert_eq!(acls.check(&[acl("t7", "User:u", Operation::All)]), Ok(()), "it is there");
        let more = acls.check(&[acl("new", "User:u", Operation::All)]);
        assert!(matches!(more, Err(CommandError::LimitReached(_))), "{more:?}");
    }
}
