//! The records of the offsets topic, byte for byte Kafka's: OffsetCommitKey and -Value,
//! GroupMetadataKey and -Value. Big-endian; the first two bytes are the version.
//!
//! Written: offset values v3 (v1 where a commit brought its own retention), group values v3.
//! Read: what any Kafka wrote in fixed fields, v0 to v3.

use super::consumer::record::About;
use crate::coordinator::fields::{BadRecord, Fields, count_of, put_bytes, put_nullable, put_text};
use std::sync::Arc;

/// What a key names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Offset {
        group: String,
        topic: String,
        partition: i32,
    },
    Group {
        group: String,
    },
    /// Of a consumer group.
    Consumer {
        group: String,
        about: About,
    },
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetValue {
    pub offset: i64,
    /// −1: unknown.
    pub leader_epoch: i32,
    pub metadata: Arc<str>,
    pub commit_ms: i64,
    /// Set where the commit brought its own retention.
    pub expire_ms: Option<i64>,
}

/// A group as it was when all its members had their assignments, or when it became empty.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct GroupValue {
    pub protocol_type: String,
    pub generation: i32,
    pub protocol: Option<String>,
    pub leader: Option<String>,
    pub state_since_ms: i64,
    pub members: Vec<MemberValue>,
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MemberValue {
    pub member: String,
    pub instance: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub subscription: Arc<[u8]>,
    pub assignment: Arc<[u8]>,
}

/// The version of a key says what it is.
const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;
const OFFSET_VALUE: i16 = 3;
const OFFSET_VALUE_WITH_EXPIRY: i16 = 1;
const GROUP_VALUE: i16 = 3;

pub fn offset_key(group: &str, topic: &str, partition: i32) -> Vec<u8> {
    let mut key = Vec::with_capacity(10 + group.len() + topic.len());
    key.extend_from_slice(&OFFSET_KEY.to_be_bytes());
    put_text(&mut key, group);
    put_text(&mut key, topic);
    key.extend_from_slice(&partition.to_be_bytes());
    key
}

pub fn group_key(group: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(4 + group.len());
    key.extend_from_slice(&GROUP_KEY.to_be_bytes());
    put_text(&mut key, group);
    key
}

impl Key {
    pub fn decode(bytes: &[u8]) -> Result<Self, BadRecord> {
        let mut from = Fields::new(bytes);
        let version = from.i16()?;
        match version {
            0 | OFFSET_KEY => {
                Ok(Key::Offset { group: from.text()?, topic: from.text()?, partition: from.i32()? })
            }
            GROUP_KEY => Ok(Key::Group { group: from.text()? }),
            _ => match About::read(version, &mut from)? {
                Some((group, about)) => Ok(Key::Consumer { group, about }),
                None => Err(BadRecord::Version(version)),
            },
        }
    }
}

impl OffsetValue {
    pub fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(40 + self.metadata.len());
        let version = if self.expire_ms.is_some() { OFFSET_VALUE_WITH_EXPIRY } else { OFFSET_VALUE };
        value.extend_from_slice(&version.to_be_bytes());
        value.extend_from_slice(&self.offset.to_be_bytes());
        if self.expire_ms.is_none() {
            value.extend_from_slice(&self.leader_epoch.to_be_bytes());
        }
        put_text(&mut value, &self.metadata);
        value.extend_from_slice(&self.commit_ms.to_be_bytes());
        if let Some(expire_ms) = self.expire_ms {
            value.extend_from_slice(&expire_ms.to_be_bytes());
        }
        value
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, BadRecord> {
        let mut from = Fields::new(bytes);
        let version = from.i16()?;
        if !(0..=3).contains(&version) {
            return Err(BadRecord::Version(version));
        }
        let offset = from.i64()?;
        let leader_epoch = if version == 3 { from.i32()? } else { -1 };
        let metadata = from.text()?.into();
        let commit_ms = from.i64()?;
        let expire_ms = if version == OFFSET_VALUE_WITH_EXPIRY { Some(from.i64()?) } else { None };
        let expire_ms = expire_ms.filter(|expire_ms| *expire_ms >= 0);
        Ok(Self { offset, leader_epoch, metadata, commit_ms, expire_ms })
    }
}

impl GroupValue {
    pub fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(64);
        value.extend_from_slice(&GROUP_VALUE.to_be_bytes());
        put_text(&mut value, &self.protocol_type);
        value.extend_from_slice(&self.generation.to_be_bytes());
        put_nullable(&mut value, self.protocol.as_deref());
        put_nullable(&mut value, self.leader.as_deref());
        value.extend_from_slice(&self.state_since_ms.to_be_bytes());
        value.extend_from_slice(&count_of(self.members.len()).to_be_bytes());
        for member in &self.members {
            put_text(&mut value, &member.member);
            put_nullable(&mut value, member.instance.as_deref());
            put_text(&mut value, &member.client_id);
            put_text(&mut value, &member.client_host);
            value.extend_from_slice(&member.rebalance_timeout_ms.to_be_bytes());
            value.extend_from_slice(&member.session_timeout_ms.to_be_bytes());
            put_bytes(&mut value, &member.subscription);
            put_bytes(&mut value, &member.assignment);
        }
        value
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, BadRecord> {
        let mut from = Fields::new(bytes);
        let version = from.i16()?;
        if !(0..=3).contains(&version) {
            return Err(BadRecord::Version(version));
        }
        let mut group = Self {
            protocol_type: from.text()?,
            generation: from.i32()?,
            protocol: from.nullable()?,
            leader: from.nullable()?,
            state_since_ms: if version >= 2 { from.i64()? } else { -1 },
            members: Vec::new(),
        };
        for _ in 0..from.i32()? {
            group.members.push(MemberValue::decode(&mut from, version)?);
        }
        Ok(group)
    }
}

impl MemberValue {
    fn decode(from: &mut Fields<'_>, version: i16) -> Result<Self, BadRecord> {
        let member = from.text()?;
        let instance = if version >= 3 { from.nullable()? } else { None };
        let (client_id, client_host) = (from.text()?, from.text()?);
        let rebalance_timeout_ms = if version >= 1 { Some(from.i32()?) } else { None };
        let session_timeout_ms = from.i32()?;
        Ok(Self {
            member,
            instance,
            client_id,
            client_host,
            rebalance_timeout_ms: rebalance_timeout_ms.unwrap_or(session_timeout_ms),
            session_timeout_ms,
            subscription: from.bytes()?,
            assignment: from.bytes()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_these_bytes() {
        let key = offset_key("g", "top", 5);
        assert_eq!(key, [0, 1, 0, 1, b'g', 0, 3, b't', b'o', b'p', 0, 0, 0, 5]);
        let mut value =
            OffsetValue { offset: 258, leader_epoch: 7, metadata: "m".into(), commit_ms: 1, expire_ms: None };
        let bytes = [0, 3, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 7, 0, 1, b'm', 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(value.encode(), bytes);
        assert_eq!(OffsetValue::decode(&bytes), Ok(value.clone()));
        value.expire_ms = Some(9);
        let with_expiry = value.encode();
        assert_eq!(with_expiry[..2], [0, 1]);
        value.leader_epoch = -1;
        assert_eq!(OffsetValue::decode(&with_expiry), Ok(value));
    }

    #[test]
    fn a_group_comes_back_and_begins_with_these_bytes() {
        let member = MemberValue {
            member: "m".to_owned(),
            instance: Some("i".to_owned()),
            client_id: "c".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            rebalance_timeout_ms: 5,
            session_timeout_ms: 6,
            subscription: [1, 2].into(),
            assignment: [3].into(),
        };
        let group = GroupValue {
            protocol_type: "consumer".to_owned(),
            generation: 3,
            protocol: Some("range".to_owned()),
            leader: None,
            state_since_ms: 8,
            members: vec![member.clone(), member],
        };
        let bytes = group.encode();
        assert_eq!(bytes[..16], [0, 3, 0, 8, b'c', b'o', b'n', b's', b'u', b'm', b'e', b'r', 0, 0, 0, 3]);
        assert_eq!(GroupValue::decode(&bytes), Ok(group));
        for cut in 0..bytes.len() {
            assert!(GroupValue::decode(&bytes[..cut]).is_err(), "{cut}");
        }
        assert_eq!(GroupValue::decode(&[0, 4, 0]), Err(BadRecord::Version(4)));
    }

    #[test]
    fn a_key_says_what_it_names() {
        let group = "g".to_owned();
        assert_eq!(Key::decode(&group_key("g")), Ok(Key::Group { group: group.clone() }));
        let topic = "t".to_owned();
        assert_eq!(Key::decode(&offset_key("g", "t", 1)), Ok(Key::Offset { group, topic, partition: 1 }));
        assert_eq!(Key::decode(&[0, 9]), Err(BadRecord::Version(9)));
        assert_eq!(Key::decode(&[0]), Err(BadRecord::Short));
        assert_eq!(Key::decode(&[0, 2, 0, 1, 0xff]), Err(BadRecord::Text));
    }
}
