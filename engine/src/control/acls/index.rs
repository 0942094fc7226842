//! What a request is judged by: the rules that hold for a name are found without looking at the others.
//!
//! Prefixes are sorted, and each knows the longest other one that it begins with. Whatever begins a name is not behind
//! it in the order, and all between the two begins with it as well; so the last prefix that is not behind the name,
//! and those that it begins with, are the only ones that can hold:
//!
//! ```text
//! f          ←─┐
//! foo      ────┘ ←─┐        name: fooz
//! foobar   ────────┘        found: foobar (does not hold) → foo (holds) → f (holds)
//! ```

use super::acl::{ANY, ANYBODY, AclHost, Operation, Pattern, PatternType, ResourceType};
use super::rules::{Acls, Bits, PatternRules};
use crate::collections::Map;
use std::net::IpAddr;
use std::sync::Arc;

/// Made anew when rules change; shared by all shards.
#[derive(Debug, Default)]
pub struct AclIndex {
    acls: Arc<Acls>,
    kinds: [KindIndex; ResourceType::ALL.len()],
}

/// The patterns of one kind of resource.
#[derive(Debug, Default)]
struct KindIndex {
    literal: Map<Arc<str>, Arc<PatternRules>>,
    /// For every name.
    any: Option<Arc<PatternRules>>,
    /// Sorted by name.
    prefixed: Vec<Prefix>,
}

#[derive(Debug)]
struct Prefix {
    name: Arc<str>,
    /// The longest other one that it begins with.
    parent: Option<u32>,
    rules: Arc<PatternRules>,
}

/// Who asks, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who<'a> {
    /// Type and name, `User:alice`.
    pub principal: &'a str,
    pub host: AclHost,
}

/// What the rules say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    Allowed,
    Denied,
    /// No rule is about this resource, whoever asks: what holds then is the node's setting.
    NoRule,
}

/// What allows describing: having any business with it (Kafka's `IMPLIES_DESCRIBE`).
const DESCRIBES: u16 = Operation::Describe.bit()
    | Operation::Read.bit()
    | Operation::Write.bit()
    | Operation::Delete.bit()
    | Operation::Alter.bit();
/// What allows describing settings.
const DESCRIBES_CONFIGS: u16 = Operation::DescribeConfigs.bit() | Operation::AlterConfigs.bit();

impl<'a> Who<'a> {
    pub fn new(principal: &'a str, address: IpAddr) -> Self {
        Self { principal, host: AclHost::Address(address.to_canonical()) }
    }
}

/// What has been found so far.
#[derive(Default)]
struct Found {
    bits: Bits,
    any_rule: bool,
}

impl Found {
    fn add(&mut self, rules: &PatternRules, who: &Who<'_>) {
        self.any_rule = true;
        for principal in [who.principal, ANYBODY] {
            let Some(hosts) = rules.get(principal) else { continue };
            for host in [&AclHost::Any, &who.host] {
                if let Some(bits) = hosts.get(host) {
                    self.bits.allow |= bits.allow;
                    self.bits.deny |= bits.deny;
                }
            }
        }
    }

    fn ruling(&self, operation: Operation) -> Ruling {
        let all = Operation::All.bit();
        let allowing = match operation {
            Operation::Describe => DESCRIBES,
            Operation::DescribeConfigs => DESCRIBES_CONFIGS,
            other => other.bit(),
        };
        if self.bits.deny & (operation.bit() | all) != 0 {
            Ruling::Denied
        } else if self.bits.allow & (allowing | all) != 0 {
            Ruling::Allowed
        } else if self.any_rule {
            Ruling::Denied
        } else {
            Ruling::NoRule
        }
    }
}

impl AclIndex {
    pub fn new(acls: Arc<Acls>) -> Self {
        let mut kinds: [KindIndex; ResourceType::ALL.len()] = Default::default();
        for (pattern, rules) in acls.patterns() {
            kinds[pattern.kind.at()].add(pattern, rules);
        }
        Self { acls, kinds }
    }

    /// All rules.
    pub fn acls(&self) -> &Arc<Acls> {
        &self.acls
    }

    /// Whether `who` may do this with a resource. [`Operation::All`] is no operation of a request.
    pub fn rule(&self, who: &Who<'_>, operation: Operation, kind: ResourceType, name: &str) -> Ruling {
        assert!(operation != Operation::All, "a request does one thing");
        self.find(who, kind, name).ruling(operation)
    }

    /// The same for each operation at once: those that are allowed, and those about which there is no rule at all.
    pub fn rulings(
        &self,
        who: &Who<'_>,
        kind: ResourceType,
        name: &str,
    ) -> impl Iterator<Item = (Operation, Ruling)> + use<> {
        let found = self.find(who, kind, name);
        kind.operations().iter().map(move |operation| (*operation, found.ruling(*operation)))
    }

    fn find(&self, who: &Who<'_>, kind: ResourceType, name: &str) -> Found {
        let kind = &self.kinds[kind.at()];
        let mut found = Found::default();
        if let Some(rules) = kind.literal.get(name) {
            found.add(rules, who);
        }
        if let Some(rules) = &kind.any {
            found.add(rules, who);
        }
        for prefix in kind.holding(name) {
            found.add(&prefix.rules, who);
        }
        found
    }

    /// Whether there is any resource of this kind with which `who` may do this, as Kafka's `authorizeByResourceType`
    /// asks: some rule allows it, and none denies all that it allows. Operations that follow from others do not count.
    pub fn allows_any(&self, who: &Who<'_>, operation: Operation, kind: ResourceType) -> bool {
        let index = &self.kinds[kind.at()];
        let wanted = operation.bit() | Operation::All.bit();
        let says = |rules: &PatternRules| {
            let mut found = Found::default();
            found.add(rules, who);
            (found.bits.allow & wanted != 0, found.bits.deny & wanted != 0)
        };
        match index.any.as_ref().map(|rules| says(rules)) {
            Some((_, true)) => return false,
            Some((true, false)) => return true,
            _ => {}
        }
        let denied_prefix = |name: &str| index.holding(name).any(|prefix| says(&prefix.rules).1);
        let allows = |rules: &PatternRules| says(rules) == (true, false);
        index.literal.iter().any(|(name, rules)| allows(rules) && !denied_prefix(name))
            || index.prefixed.iter().any(|prefix| says(&prefix.rules).0 && !denied_prefix(&prefix.name))
    }
}

impl KindIndex {
    /// Adds a pattern; they come sorted.
    fn add(&mut self, pattern: &Pattern, rules: &Arc<PatternRules>) {
        let (name, rules) = (pattern.name.clone(), rules.clone());
        match pattern.pattern_type {
            PatternType::Literal if &*name == ANY => self.any = Some(rules),
            PatternType::Literal => {
                self.literal.insert(name, rules);
            }
            PatternType::Prefixed => {
                assert!(self.prefixed.last().is_none_or(|last| last.name < name), "patterns are sorted");
                let parent = self.chain(self.prefixed.len().checked_sub(1), &name).next();
                assert!(
                    parent.is_none_or(|at| self.prefixed[at].name.len() < name.len()),
                    "a parent is shorter"
                );
                self.prefixed.push(Prefix { name, parent: parent.map(|at| at as u32), rules });
            }
        }
    }

    /// The prefixes that a name begins with, longest first.
    fn holding(&self, name: &str) -> impl Iterator<Item = &Prefix> {
        let last = self.prefixed.partition_point(|prefix| *prefix.name <= *name).checked_sub(1);
        self.chain(last, name).map(|at| &self.prefixed[at])
    }

    /// From a prefix on, those that the name begins with.
    fn chain(&self, from: Option<usize>, name: &str) -> impl Iterator<Item = usize> {
        let parent = |at: &usize| self.prefixed[*at].parent.map(|at| at as usize);
        std::iter::successors(from, parent).filter(move |at| name.starts_with(&*self.prefixed[*at].name))
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
