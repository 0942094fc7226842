//! The words of access rules, with Kafka's numbers.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// What there is to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ResourceType {
    Topic = 2,
    Group = 3,
    Cluster = 4,
    TransactionalId = 5,
    DelegationToken = 6,
    User = 7,
}

/// How a rule names its resources. The name `*`, literally, is all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum PatternType {
    Literal = 3,
    /// All whose names begin with it.
    Prefixed = 4,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Operation {
    /// In a rule alone: each of the others.
    All = 2,
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
    Alter = 7,
    Describe = 8,
    ClusterAction = 9,
    DescribeConfigs = 10,
    AlterConfigs = 11,
    IdempotentWrite = 12,
    CreateTokens = 13,
    DescribeTokens = 14,
    TwoPhaseCommit = 15,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Permission {
    Deny = 2,
    Allow = 3,
}

/// The one name of the one cluster.
pub const CLUSTER_NAME: &str = "kafka-cluster";
/// Any name, where it stands literally; any host, too.
pub const ANY: &str = "*";
/// Everybody, those that nobody asked for a name included.
pub const ANYBODY: &str = "User:*";

/// A name's and a principal's longest, bytes. Kafka has no bound; a topic's name has 249.
pub const NAME_BYTES_MAX: usize = 1_024;
/// A host's longest.
pub const HOST_BYTES_MAX: usize = 255;

/// Which resources a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern {
    pub kind: ResourceType,
    pub pattern_type: PatternType,
    pub name: Arc<str>,
}

/// From where a rule holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AclHost {
    Any,
    Address(IpAddr),
    /// As Kafka takes it: no client comes from a name, so that the rule has no effect.
    Name(String),
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acl {
    pub pattern: Pattern,
    /// Type and name, `User:alice`.
    pub principal: Arc<str>,
    pub host: AclHost,
    pub operation: Operation,
    pub permission: Permission,
}

impl ResourceType {
    pub const ALL: [Self; 6] =
        [Self::Topic, Self::Group, Self::Cluster, Self::TransactionalId, Self::DelegationToken, Self::User];

    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// Its place among [`Self::ALL`].
    pub(super) fn at(self) -> usize {
        self as usize - Self::Topic as usize
    }

    /// The operations that it has (Kafka's `AclEntry.supportedOperations`).
    pub fn operations(self) -> &'static [Operation] {
        use Operation::*;
        match self {
            Self::Topic => &[Read, Write, Create, Describe, Delete, Alter, DescribeConfigs, AlterConfigs],
            Self::Group => &[Read, Describe, Delete, DescribeConfigs, AlterConfigs],
            Self::Cluster => {
                &[Create, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite, Alter, Describe]
            }
            Self::TransactionalId => &[Describe, Write, TwoPhaseCommit],
            Self::DelegationToken => &[Describe],
            Self::User => &[CreateTokens, DescribeTokens],
        }
    }
}

impl PatternType {
    pub fn of(number: u8) -> Option<Self> {
        [Self::Literal, Self::Prefixed].into_iter().find(|one| *one as u8 == number)
    }
}

impl Operation {
    pub const ALL: [Self; 14] = [
        Self::All,
        Self::Read,
        Self::Write,
        Self::Create,
        Self::Delete,
        Self::Alter,
        Self::Describe,
        Self::ClusterAction,
        Self::DescribeConfigs,
        Self::AlterConfigs,
        Self::IdempotentWrite,
        Self::CreateTokens,
        Self::DescribeTokens,
        Self::TwoPhaseCommit,
    ];

    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| *operation as u8 == number)
    }

    pub(super) const fn bit(self) -> u16 {
        1 << self as u8
    }
}

impl Permission {
    pub fn of(number: u8) -> Option<Self> {
        [Self::Deny, Self::Allow].into_iter().find(|one| *one as u8 == number)
    }
}

impl AclHost {
    /// As a client writes it. One address has many texts, and an IPv4 address may come in IPv6's clothes.
    pub fn of(text: &str) -> Self {
        match text.parse::<IpAddr>() {
            _ if text == ANY => Self::Any,
            Ok(address) => Self::Address(address.to_canonical()),
            Err(_) => Self::Name(text.to_owned()),
        }
    }
}

impl fmt::Display for AclHost {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => to.write_str(ANY),
            Self::Address(address) => address.fmt(to),
            Self::Name(name) => to.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kafkas_and_come_back() {
        let kinds: Vec<u8> = (0..=255).filter(|number| ResourceType::of(*number).is_some()).collect();
        assert_eq!(kinds, [2, 3, 4, 5, 6, 7]);
        assert_eq!(ResourceType::ALL.map(ResourceType::at), [0, 1, 2, 3, 4, 5]);
        let operations: Vec<u8> = (0..=255).filter(|number| Operation::of(*number).is_some()).collect();
        assert_eq!(operations, (2..=15).collect::<Vec<_>>());
        let patterns: Vec<u8> = (0..=255).filter(|number| PatternType::of(*number).is_some()).collect();
        let permissions: Vec<u8> = (0..=255).filter(|number| Permission::of(*number).is_some()).collect();
        assert_eq!((patterns, permissions), (vec![3, 4], vec![2, 3]));
    }

    #[test]
    fn an_address_is_one_however_it_is_written() {
        assert_eq!(AclHost::of("0:0:0:0:0:0:0:1"), AclHost::of("::1"));
        assert_eq!(AclHost::of("::ffff:10.0.0.7"), AclHost::of("10.0.0.7"));
        assert_eq!(AclHost::of("*"), AclHost::Any);
        assert_eq!(AclHost::of("db.example"), AclHost::Name("db.example".to_owned()));
        for text in ["*", "10.0.0.7", "::1", "db.example"] {
            assert_eq!(AclHost::of(text).to_string(), text);
        }
    }
}
