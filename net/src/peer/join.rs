//! What a node with an empty folder asks a member before anything else: who the members are and where; and the answer.

use crate::process::address::Address;
use engine::codec::{Reader, Short, Write};
use engine::folder::FORMATION_MEMBERS_MAX;
use engine::ids::NodeId;
use std::collections::BTreeMap;

/// The newest version written and understood, of both. Later ones add fields at the end, which are passed over.
const JOIN_VERSION: u16 = 1;
/// The metadata's bound on a name.
const HOST_BYTES_MAX: usize = 255;
/// Of a member in an answer: its id, an empty host and a port.
const MEMBER_BYTES_MIN: usize = 4 + 4 + 2;

/// Which node asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinQuestion {
    pub node: NodeId,
}

/// How the cluster that was asked knows the node that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinStanding {
    /// Nobody said that it may come.
    Unknown = 0,
    Invited = 1,
    /// It has been one: its folder was another.
    Member = 2,
}

/// All members but the one that asks, and where their shards 0 listen for other nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinAnswer {
    pub standing: JoinStanding,
    pub members: BTreeMap<NodeId, Address>,
}

/// Bytes that are neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    #[error("it ends early")]
    Short(#[from] Short),
    #[error("it holds a value that its field does not allow")]
    Value,
}

impl JoinQuestion {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put_u16(JOIN_VERSION);
        bytes.put_u32(self.node.0);
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, JoinError> {
        let mut reader = Reader(bytes);
        let (version, node) = (reader.u16()?, NodeId(reader.u32()?));
        ends_well(version, &reader)?;
        Ok(Self { node })
    }
}

impl JoinAnswer {
    pub fn encode(&self) -> Vec<u8> {
        assert!(self.members.len() <= FORMATION_MEMBERS_MAX, "{} members", self.members.len());
        let mut bytes = Vec::new();
        bytes.put_u16(JOIN_VERSION);
        bytes.put_u8(self.standing as u8);
        bytes.put_count(self.members.len());
        for (node, address) in &self.members {
            bytes.put_u32(node.0);
            bytes.sized(address.host.as_bytes());
            bytes.put_u16(address.port);
        }
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, JoinError> {
        let mut reader = Reader(bytes);
        let version = reader.u16()?;
        let standing = match reader.u8()? {
            0 => JoinStanding::Unknown,
            1 => JoinStanding::Invited,
            2 => JoinStanding::Member,
            _ => return Err(JoinError::Value),
        };
        let count = reader.count(MEMBER_BYTES_MIN)?;
        let mut members = BTreeMap::new();
        for _ in 0..count {
            let node = NodeId(reader.u32()?);
            let host = str::from_utf8(reader.sized()?).map_err(|_| JoinError::Value)?;
            if host.len() > HOST_BYTES_MAX || host.chars().any(|one| one.is_control() || one == ' ') {
                return Err(JoinError::Value);
            }
            let address = Address { host: host.to_owned(), port: reader.u16()? };
            if members.insert(node, address).is_some() {
                return Err(JoinError::Value);
            }
        }
        ends_well(version, &reader)?;
        if members.len() > FORMATION_MEMBERS_MAX {
            return Err(JoinError::Value);
        }
        Ok(Self { standing, members })
    }
}

fn ends_well(version: u16, rest: &Reader<'_>) -> Result<(), JoinError> {
    let is_longer = version <= JOIN_VERSION && !rest.is_empty();
    if version == 0 || is_longer { Err(JoinError::Value) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer() -> JoinAnswer {
        let at = |host: &str, port| Address { host: host.to_owned(), port };
        let members = [(NodeId(1), at("::1", 9192)), (NodeId(7), at("seven", 9))].into();
        JoinAnswer { standing: JoinStanding::Invited, members }
    }

    #[test]
    fn both_come_back_and_end_nowhere_early() {
        let question = JoinQuestion { node: NodeId(4) };
        assert_eq!(question.encode(), b"\x01\0\x04\0\0\0");
        assert_eq!(JoinQuestion::decode(&question.encode()), Ok(question));
        let bytes = answer().encode();
        assert_eq!(JoinAnswer::decode(&bytes), Ok(answer()));
        for length in 0..bytes.len() {
            assert!(JoinAnswer::decode(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over_and_what_cannot_be_is_refused() {
        let mut later = answer().encode();
        later.push(9);
        assert_eq!(JoinAnswer::decode(&later), Err(JoinError::Value));
        later[0] = 2;
        assert_eq!(JoinAnswer::decode(&later), Ok(answer()));
        let mut strange = answer();
        strange.members.insert(NodeId(9), Address { host: "a\nb".to_owned(), port: 1 });
        assert_eq!(JoinAnswer::decode(&strange.encode()), Err(JoinError::Value));
        assert_eq!(JoinQuestion::decode(b"\0\0\x04\0\0\0"), Err(JoinError::Value));
    }

    proptest! {
        #[test]
        fn any_bytes_are_one_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(answer) = JoinAnswer::decode(&bytes) {
                prop_assert!(answer.members.len() <= bytes.len());
            }
            let _ = JoinQuestion::decode(&bytes);
        }
    }
}
