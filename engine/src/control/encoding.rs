//! The bytes of a command in the meta journal: `version: u16, tag: u16`, then the tag's fields in
//! order, little-endian. A version above ours is refused, never guessed at.

use super::acls::encoding as acls;
use super::bytes::{DecodeError, Reader, Writer};
use super::command::{Command, ConfigChange, Place, Resource};
use super::credentials;
use super::life::Life;
use super::node_bytes::{
    LISTENER_BYTES_MIN, read_advertised, read_invited, read_listener, write_advertised, write_invited,
    write_listener,
};
use super::nodes::Invited;
use super::quotas::{self, QuotaName};
use crate::ids::{BrokerIds, ClusterId, Incarnation, JournalId, LaneId, NodeId, RaftId, TopicId};

/// The newest version written and understood. A change of a command's fields, or of what
/// [`super::MetaState::apply`] makes of one, needs a new version: replicas must agree.
pub const COMMAND_VERSION: u16 = 14;

const FORM: u16 = 1;
const REGISTER_NODE: u16 = 2;
const CREATE_TOPIC: u16 = 3;
const DELETE_TOPIC: u16 = 4;
const ADD_PARTITIONS: u16 = 5;
const ALTER_CONFIGS: u16 = 6;
const ALLOCATE_PRODUCER_IDS: u16 = 7;
/// Since version 2.
const ALTER_QUOTAS: u16 = 8;
/// Since version 4.
const REJOIN: u16 = 9;
/// Since version 7.
const RENEW: u16 = 10;
/// Since version 9.
const ALTER_CREDENTIAL: u16 = 11;
/// Both since version 10.
const CREATE_ACLS: u16 = 12;
const DELETE_ACLS: u16 = 13;
/// Since version 13.
const ALTER_REPLICATION: u16 = 14;
/// Since version 14.
const ADD_NODE: u16 = 15;
/// Since this one a cluster is formed with a stride of broker ids; without it they have the default.
const STRIDE_SINCE: u16 = 5;
/// Since this one partitions may be placed by hand; without it they are not.
const BY_HAND_SINCE: u16 = 6;
/// Since this one a node may register listeners by name; without it there is the plaintext one alone.
const LISTENERS_SINCE: u16 = 8;

impl Command {
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.u16(self.version());
        to.u16(self.tag());
        self.encode_fields(&mut to);
        to.0
    }

    /// The oldest version that has the command, so that older programs read what they can.
    fn version(&self) -> u16 {
        match self {
            Command::AlterQuotas { entity, .. } if entity.ip != QuotaName::Absent => 11,
            Command::AlterQuotas { .. } => 2,
            Command::AlterConfigs { resource: Resource::Broker(_), .. } => 3,
            Command::AlterConfigs { resource: Resource::Group(_), .. } => 12,
            Command::Rejoin { .. } => 4,
            Command::Renew { .. } => 7,
            Command::AlterCredential { .. } => 9,
            Command::CreateAcls { .. } | Command::DeleteAcls { .. } => 10,
            Command::AlterReplication { .. } => 13,
            Command::AddNode { .. } => 14,
            Command::Form { broker_ids, .. } if *broker_ids != BrokerIds::default() => STRIDE_SINCE,
            Command::CreateTopic { by_hand, .. } | Command::AddPartitions { by_hand, .. }
                if !by_hand.is_empty() =>
            {
                BY_HAND_SINCE
            }
            Command::RegisterNode { advertised, .. } if !advertised.listeners.is_empty() => LISTENERS_SINCE,
            _ => 1,
        }
    }

    fn tag(&self) -> u16 {
        match self {
            Command::Form { .. } => FORM,
            Command::RegisterNode { .. } => REGISTER_NODE,
            Command::CreateTopic { .. } => CREATE_TOPIC,
            Command::DeleteTopic { .. } => DELETE_TOPIC,
            Command::AddPartitions { .. } => ADD_PARTITIONS,
            Command::AlterConfigs { .. } => ALTER_CONFIGS,
            Command::AllocateProducerIds { .. } => ALLOCATE_PRODUCER_IDS,
            Command::AlterQuotas { .. } => ALTER_QUOTAS,
            Command::Rejoin { .. } => REJOIN,
            Command::Renew { .. } => RENEW,
            Command::AlterCredential { .. } => ALTER_CREDENTIAL,
            Command::CreateAcls { .. } => CREATE_ACLS,
            Command::DeleteAcls { .. } => DELETE_ACLS,
            Command::AlterReplication { .. } => ALTER_REPLICATION,
            Command::AddNode { .. } => ADD_NODE,
        }
    }

    fn encode_fields(&self, to: &mut Writer) {
        match self {
            Command::Form { cluster, members, lanes, segment_bytes, broker_ids } => {
                to.u128(cluster.0);
                to.list(members.iter(), |to, (node, incarnation)| {
                    to.u32(node.0);
                    to.u128(incarnation.0);
                });
                to.u16(*lanes);
                to.u64(*segment_bytes);
                if self.version() >= STRIDE_SINCE {
                    to.u16(broker_ids.stride());
                }
            }
            Command::RegisterNode { node, shards, advertised } => {
                to.u32(node.0);
                to.u16(*shards);
                write_advertised(to, advertised);
                if !advertised.listeners.is_empty() {
                    to.list(advertised.listeners.iter(), write_listener);
                }
            }
            Command::Rejoin { node, incarnation, replaces } => {
                to.u32(node.0);
                to.u128(incarnation.0);
                to.u128(replaces.0);
            }
            Command::Renew { node, incarnation, journal, replaces } => {
                to.u32(node.0);
                to.u128(incarnation.0);
                to.u64(journal.0);
                to.u64(replaces.0);
            }
            Command::CreateTopic {
                name,
                topic_id,
                partitions,
                replication_factor,
                configs,
                life,
                entropy,
                by_hand,
            } => {
                to.text(name);
                to.u128(topic_id.0);
                to.u32(*partitions);
                to.u16(*replication_factor);
                to.list(configs.iter(), |to, (key, value)| to.pair(key, value));
                to.u8(*life as u8);
                to.u64(*entropy);
                write_places(to, by_hand);
            }
            Command::DeleteTopic { topic_id } => to.u128(topic_id.0),
            Command::AddPartitions { topic_id, total, entropy, by_hand } => {
                to.u128(topic_id.0);
                to.u32(*total);
                to.u64(*entropy);
                write_places(to, by_hand);
            }
            Command::AlterConfigs { resource, changes } => {
                match resource {
                    Resource::Topic(id) => {
                        to.u8(1);
                        to.u128(id.0);
                    }
                    Resource::Brokers => to.u8(2),
                    // Since version 3.
                    Resource::Broker(id) => {
                        to.u8(3);
                        to.i32(*id);
                    }
                    // Since version 12.
                    Resource::Group(name) => {
                        to.u8(4);
                        to.text(name);
                    }
                }
                to.list(changes.iter(), write_change);
            }
            Command::AllocateProducerIds { count } => to.u32(*count),
            Command::AlterQuotas { entity, changes } => {
                quotas::write_entity(to, entity);
                to.list(changes.iter(), quotas::write_change);
            }
            Command::AlterCredential { user, mechanism, credential } => {
                to.text(user);
                credentials::write_change(to, *mechanism, credential.as_ref());
            }
            Command::CreateAcls { acls } => to.list(acls.iter(), acls::write_acl),
            Command::DeleteAcls { filter, at_most } => {
                acls::write_filter(to, filter);
                to.u16(*at_most);
            }
            Command::AddNode { node, incarnation, advertised } => {
                to.u32(node.0);
                write_invited(to, *incarnation, advertised);
            }
            Command::AlterReplication { topic_id, replication_factor } => {
                to.u128(topic_id.0);
                to.u16(*replication_factor);
            }
        }
    }

    pub fn decode(bytes: &[u8]) -> Result<Command, DecodeError> {
        let mut from = Reader(bytes);
        let version = from.u16()?;
        if version == 0 || version > COMMAND_VERSION {
            return Err(DecodeError::Newer { what: "a metadata command", version, newest: COMMAND_VERSION });
        }
        let tag = from.u16()?;
        let command = Command::decode_fields((version, tag), &mut from)?;
        from.end()?;
        Ok(command)
    }

    fn decode_fields((version, tag): (u16, u16), from: &mut Reader<'_>) -> Result<Command, DecodeError> {
        const MEMBER_BYTES: usize = 20;
        const CHANGE_BYTES_MIN: usize = 5;
        Ok(match tag {
            FORM => Command::Form {
                cluster: ClusterId(from.u128()?),
                members: from
                    .list(MEMBER_BYTES, |from| Ok((NodeId(from.u32()?), Incarnation(from.u128()?))))?,
                lanes: from.u16()?,
                segment_bytes: from.u64()?,
                broker_ids: if version >= STRIDE_SINCE { read_stride(from)? } else { BrokerIds::default() },
            },
            REGISTER_NODE => Command::RegisterNode {
                node: NodeId(from.u32()?),
                shards: from.u16()?,
                advertised: {
                    let mut advertised = read_advertised(from)?;
                    if version >= LISTENERS_SINCE {
                        advertised.listeners = from.list(LISTENER_BYTES_MIN, read_listener)?;
                    }
                    advertised
                },
            },
            REJOIN => Command::Rejoin {
                node: NodeId(from.u32()?),
                incarnation: Incarnation(from.u128()?),
                replaces: Incarnation(from.u128()?),
            },
            RENEW => Command::Renew {
                node: NodeId(from.u32()?),
                incarnation: Incarnation(from.u128()?),
                journal: JournalId(from.u64()?),
                replaces: RaftId(from.u64()?),
            },
            CREATE_TOPIC => Command::CreateTopic {
                name: from.text()?,
                topic_id: TopicId(from.u128()?),
                partitions: from.u32()?,
                replication_factor: from.u16()?,
                configs: from.list(Reader::PAIR_BYTES_MIN, Reader::pair)?,
                life: read_life(from)?,
                entropy: from.u64()?,
                by_hand: read_places(version, from)?,
            },
            DELETE_TOPIC => Command::DeleteTopic { topic_id: TopicId(from.u128()?) },
            ADD_PARTITIONS => Command::AddPartitions {
                topic_id: TopicId(from.u128()?),
                total: from.u32()?,
                entropy: from.u64()?,
                by_hand: read_places(version, from)?,
            },
            ALTER_CONFIGS => Command::AlterConfigs {
                resource: match from.u8()? {
                    1 => Resource::Topic(TopicId(from.u128()?)),
                    2 => Resource::Brokers,
                    3 => Resource::Broker(from.i32()?),
                    4 => Resource::Group(from.text()?),
                    number => return Err(DecodeError::Unknown { what: "resource", number: number.into() }),
                },
                changes: from.list(CHANGE_BYTES_MIN, read_change)?,
            },
            ALLOCATE_PRODUCER_IDS => Command::AllocateProducerIds { count: from.u32()? },
            ALTER_QUOTAS => Command::AlterQuotas {
                entity: quotas::read_entity(from)?,
                changes: from.list(quotas::CHANGE_BYTES, quotas::read_change)?,
            },
            ALTER_CREDENTIAL => {
                let user = from.text()?;
                let (mechanism, credential) = credentials::read_change(from)?;
                Command::AlterCredential { user, mechanism, credential }
            }
            CREATE_ACLS => Command::CreateAcls { acls: from.list(acls::ACL_BYTES_MIN, acls::read_acl)? },
            DELETE_ACLS => Command::DeleteAcls { filter: acls::read_filter(from)?, at_most: from.u16()? },
            ADD_NODE => {
                let (node, Invited { incarnation, advertised }) = (NodeId(from.u32()?), read_invited(from)?);
                Command::AddNode { node, incarnation, advertised }
            }
            ALTER_REPLICATION => {
                Command::AlterReplication { topic_id: TopicId(from.u128()?), replication_factor: from.u16()? }
            }
            number => return Err(DecodeError::Unknown { what: "metadata command", number: number.into() }),
        })
    }
}

/// Nothing where there are none, as the versions before have it.
fn write_places(to: &mut Writer, places: &[Place]) {
    if !places.is_empty() {
        to.list(places.iter(), |to, place| {
            to.u16(place.lane.0);
            to.list(place.replicas.iter(), |to, node| to.u32(node.0));
        });
    }
}

fn read_places(version: u16, from: &mut Reader<'_>) -> Result<Vec<Place>, DecodeError> {
    const PLACE_BYTES_MIN: usize = 2 + 4;
    if version < BY_HAND_SINCE {
        return Ok(Vec::new());
    }
    from.list(PLACE_BYTES_MIN, |from| {
        let lane = LaneId(from.u16()?);
        Ok(Place { lane, replicas: from.list(4, |from| Ok(NodeId(from.u32()?)))? })
    })
}

pub(super) fn read_stride(from: &mut Reader<'_>) -> Result<BrokerIds, DecodeError> {
    let stride = from.u16()?;
    BrokerIds::new(stride).ok_or(DecodeError::Unknown { what: "stride of broker ids", number: stride.into() })
}

pub(super) fn read_life(from: &mut Reader<'_>) -> Result<Life, DecodeError> {
    let number = from.u8()?;
    Life::of(number).ok_or(DecodeError::Unknown { what: "kind of life", number: number.into() })
}

fn write_change(to: &mut Writer, change: &ConfigChange) {
    match change {
        ConfigChange::Set { key, value } => {
            to.u8(1);
            to.pair(key, value);
        }
        ConfigChange::Delete { key } => {
            to.u8(2);
            to.text(key);
        }
        ConfigChange::Append { key, value } => {
            to.u8(3);
            to.pair(key, value);
        }
        ConfigChange::Subtract { key, value } => {
            to.u8(4);
            to.pair(key, value);
        }
        ConfigChange::ReplaceAll { configs } => {
            to.u8(5);
            to.list(configs.iter(), |to, (key, value)| to.pair(key, value));
        }
    }
}

fn read_change(from: &mut Reader<'_>) -> Result<ConfigChange, DecodeError> {
    Ok(match from.u8()? {
        1 => ConfigChange::Set { key: from.text()?, value: from.text()? },
        2 => ConfigChange::Delete { key: from.text()? },
        3 => ConfigChange::Append { key: from.text()?, value: from.text()? },
        4 => ConfigChange::Subtract { key: from.text()?, value: from.text()? },
        5 => ConfigChange::ReplaceAll { configs: from.list(Reader::PAIR_BYTES_MIN, Reader::pair)? },
        number => return Err(DecodeError::Unknown { what: "change of settings", number: number.into() }),
    })
}

#[cfg(test)]
mod tests {
    use super::super::nodes::{Advertised, AdvertisedListener};
    use super::*;
    use crate::control::acls::{
        Acl, AclFilter, AclHost, Operation, Pattern, PatternType, Permission, ResourceType,
    };
    use crate::control::credentials::{Credential, Mechanism};
    use crate::control::quotas::{QuotaChange, QuotaEntity, QuotaKind, QuotaName};
    use proptest::prelude::*;

    fn text(text: &str) -> String {
        text.to_owned()
    }

    fn place(lane: u16, nodes: &[u32]) -> Place {
        Place { lane: LaneId(lane), replicas: nodes.iter().copied().map(NodeId).collect() }
    }

    /// Those that say who may.
    fn of_security() -> Vec<Command> {
        vec![
            Command::AlterCredential {
                user: text("alice"),
                mechanism: Mechanism::ScramSha512,
                credential: Some(Credential {
                    iterations: 4096,
                    salt: vec![1, 2],
                    stored_key: vec![3; 64],
                    server_key: vec![4; 64],
                }),
            },
            Command::AlterCredential {
                user: text("alice"),
                mechanism: Mechanism::ScramSha256,
                credential: None,
            },
            Command::CreateAcls {
                acls: vec![Acl {
                    pattern: Pattern {
                        kind: ResourceType::Topic,
                        pattern_type: PatternType::Prefixed,
                        name: "orders.".into(),
                    },
                    principal: "User:alice".into(),
                    host: AclHost::of("10.0.0.7"),
                    operation: Operation::Read,
                    permission: Permission::Deny,
                }],
            },
            Command::DeleteAcls { filter: AclFilter::any(), at_most: 200 },
            Command::AlterReplication { topic_id: TopicId(8), replication_factor: 3 },
            Command::AddNode {
                node: NodeId(4),
                incarnation: Incarnation(44),
                advertised: Advertised {
                    host: text("four"),
                    listeners: vec![AdvertisedListener {
                        name: text("PEER"),
                        ..AdvertisedListener::default()
                    }],
                    ..Advertised::default()
                },
            },
        ]
    }

    fn all() -> Vec<Command> {
        [one_of_each(), of_security()].concat()
    }

    fn one_of_each() -> Vec<Command> {
        let key = || text("cleanup.policy");
        let value = || text("delete");
        let rack = Some(text("r"));
        vec![
            Command::Form {
                cluster: ClusterId(7),
                members: vec![(NodeId(0), Incarnation(1)), (NodeId(9), Incarnation(u128::MAX))],
                lanes: 4,
                segment_bytes: 1 << 28,
                broker_ids: BrokerIds::default(),
            },
            Command::Form {
                cluster: ClusterId(7),
                members: vec![(NodeId(1), Incarnation(1))],
                lanes: 1,
                segment_bytes: 1 << 28,
                broker_ids: BrokerIds::new(1).unwrap(),
            },
            Command::RegisterNode {
                node: NodeId(3),
                shards: 2,
                advertised: Advertised { host: text("h"), first_port: 9092, rack, listeners: vec![] },
            },
            Command::RegisterNode {
                node: NodeId(3),
                shards: 2,
                advertised: Advertised {
                    host: text("h"),
                    first_port: 9092,
                    rack: None,
                    listeners: vec![AdvertisedListener {
                        name: text("EXTERNAL"),
                        protocol: 3,
                        host: text("b.example"),
                        first_port: 9192,
                    }],
                },
            },
            Command::CreateTopic {
                name: text("t"),
                topic_id: TopicId(5),
                partitions: 3,
                replication_factor: 1,
                configs: vec![(key(), value())],
                life: Life::Infinite,
                entropy: 99,
                by_hand: vec![],
            },
            Command::CreateTopic {
                name: text("t"),
                topic_id: TopicId(5),
                partitions: 2,
                replication_factor: 3,
                configs: vec![],
                life: Life::Finite,
                entropy: 99,
                by_hand: vec![place(0, &[3, 1, 2]), place(7, &[1, 2, 3])],
            },
            Command::DeleteTopic { topic_id: TopicId(5) },
            Command::AddPartitions { topic_id: TopicId(5), total: 9, entropy: 1, by_hand: vec![] },
            Command::AddPartitions {
                topic_id: TopicId(5),
                total: 9,
                entropy: 1,
                by_hand: vec![place(1, &[1])],
            },
            Command::AlterConfigs {
                resource: Resource::Topic(TopicId(5)),
                changes: vec![
                    ConfigChange::Set { key: key(), value: value() },
                    ConfigChange::Delete { key: key() },
                    ConfigChange::Append { key: key(), value: value() },
                    ConfigChange::Subtract { key: key(), value: value() },
                    ConfigChange::ReplaceAll { configs: vec![(key(), value())] },
                ],
            },
            Command::AlterConfigs { resource: Resource::Brokers, changes: vec![] },
            Command::AlterConfigs { resource: Resource::Broker(2001), changes: vec![] },
            Command::AlterConfigs { resource: Resource::Group("g".to_owned()), changes: vec![] },
            Command::AllocateProducerIds { count: 1_000 },
            Command::Rejoin {
                node: NodeId(3),
                incarnation: Incarnation(u128::MAX),
                replaces: Incarnation(1),
            },
            Command::Renew {
                node: NodeId(3),
                incarnation: Incarnation(u128::MAX),
                journal: JournalId(8),
                replaces: RaftId(2),
            },
            Command::AlterQuotas {
                entity: QuotaEntity {
                    user: QuotaName::Default,
                    client: QuotaName::Named(text("c")),
                    ..QuotaEntity::default()
                },
                changes: vec![
                    QuotaChange { kind: QuotaKind::Produce, bytes_per_s: Some(1 << 20) },
                    QuotaChange { kind: QuotaKind::Fetch, bytes_per_s: None },
                ],
            },
        ]
    }

    #[test]
    fn commands_come_back_as_they_went_in_and_cut_ones_are_errors() {
        for command in all() {
            let bytes = command.encode();
            assert_eq!(Command::decode(&bytes), Ok(command.clone()));
            for cut in 0..bytes.len() {
                assert!(Command::decode(&bytes[..cut]).is_err(), "{command:?} cut at {cut}");
            }
            let longer = [bytes, vec![0]].concat();
            assert_eq!(Command::decode(&longer), Err(DecodeError::LeftOver(1)));
        }
    }

    #[test]
    fn a_newer_version_and_an_unknown_command_are_refused_by_name() {
        let mut bytes = Command::AllocateProducerIds { count: 1 }.encode();
        bytes[0] = COMMAND_VERSION as u8 + 1;
        let error = Command::decode(&bytes).unwrap_err();
        assert!(
            error.to_string().contains("has version 15; this program knows versions up to 14"),
            "{error}"
        );
        bytes[0] = 1;
        bytes[2] = 99;
        let unknown = DecodeError::Unknown { what: "metadata command", number: 99 };
        assert_eq!(Command::decode(&bytes), Err(unknown));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(which in 0usize..all().len(), at in 0usize..200, flip in 1u8..) {
            let mut bytes = all()[which].encode();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            let _ = Command::decode(&bytes);
        }
    }
}
