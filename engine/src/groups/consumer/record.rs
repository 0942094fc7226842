//! The records of consumer groups, byte for byte Kafka's: ConsumerGroup{Metadata, MemberMetadata,
//! TargetAssignmentMetadata, TargetAssignmentMember, CurrentMemberAssignment, RegularExpression}Key
//! and -Value, all of version 0. ConsumerGroupPartitionMetadata, which Kafka wrote before 4.1, is
//! known and not read.

use super::assignor::Assignor;
use super::compact::{CompactReader, CompactWriter};
use super::member::{ClassicPart, CurrentAssignment, MemberProgress, Wish};
use super::partitions::Partitions;
use crate::coordinator::fields::{BadRecord, Fields, put_text};
use crate::ids::TopicId;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a record of a consumer group is about. Its number is the version of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    Group,
    /// Of an older Kafka.
    PartitionMetadata,
    Member(String),
    TargetEpoch,
    Target(String),
    Current(String),
    Pattern(String),
}

impl About {
    fn parts(&self) -> (i16, Option<&str>) {
        match self {
            About::Group => (3, None),
            About::PartitionMetadata => (4, None),
            About::Member(member) => (5, Some(member)),
            About::TargetEpoch => (6, None),
            About::Target(member) => (7, Some(member)),
            About::Current(member) => (8, Some(member)),
            About::Pattern(pattern) => (16, Some(pattern)),
        }
    }

    pub fn key(&self, group: &str) -> Vec<u8> {
        let (version, name) = self.parts();
        let mut key = version.to_be_bytes().to_vec();
        put_text(&mut key, group);
        name.into_iter().for_each(|name| put_text(&mut key, name));
        key
    }

    /// The group and what of it, behind the key's version; none where that names nothing of the kind.
    pub fn read(version: i16, from: &mut Fields<'_>) -> Result<Option<(String, Self)>, BadRecord> {
        if !matches!(version, 3..=8 | 16) {
            return Ok(None);
        }
        let group = from.text()?;
        let about = match version {
            3 => About::Group,
            4 => About::PartitionMetadata,
            5 => About::Member(from.text()?),
            6 => About::TargetEpoch,
            7 => About::Target(from.text()?),
            8 => About::Current(from.text()?),
            _ => About::Pattern(from.text()?),
        };
        Ok(Some((group, about)))
    }
}

/// What such a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Group { epoch: i32, metadata_hash: i64 },
    PartitionMetadata,
    Member(Wish),
    TargetEpoch(i32),
    Target(Partitions),
    Current(CurrentAssignment),
    Pattern { topics: BTreeSet<Arc<str>> },
}

impl Said {
    pub fn decode(about: &About, value: &[u8]) -> Result<Self, BadRecord> {
        let mut from = CompactReader::of(value)?;
        let said = Self::fields(about, &mut from)?;
        // What a later Kafka adds is passed over.
        if !matches!(said, Said::Group { .. } | Said::Member(_) | Said::PartitionMetadata) {
            from.tags()?;
        }
        Ok(said)
    }

    fn fields(about: &About, from: &mut CompactReader<'_>) -> Result<Self, BadRecord> {
        Ok(match about {
            About::Group => {
                let epoch = from.fields.i32()?;
                let tags = from.tags()?;
                let hash = tags.into_iter().find(|(tag, _)| *tag == 0);
                let metadata_hash = hash.map_or(Ok(0), |(_, bytes)| Fields::new(bytes).i64())?;
                Said::Group { epoch, metadata_hash }
            }
            About::PartitionMetadata => Said::PartitionMetadata,
            About::Member(_) => Said::Member(read_wish(from)?),
            About::TargetEpoch => Said::TargetEpoch(from.fields.i32()?),
            About::Target(_) => Said::Target(read_partitions(from)?),
            About::Current(_) => Said::Current(read_current(from)?),
            About::Pattern(_) => {
                let mut topics = BTreeSet::new();
                for _ in 0..from.count()?.unwrap_or(0) {
                    topics.insert(from.text()?.into());
                }
                let (_version, _at_ms) = (from.fields.i64()?, from.fields.i64()?);
                Said::Pattern { topics }
            }
        })
    }
}

pub fn group_value(epoch: i32, metadata_hash: i64) -> Vec<u8> {
    let mut to = CompactWriter::new(0);
    to.raw(&epoch.to_be_bytes());
    match metadata_hash {
        0 => to.no_tags().done(),
        hash => to.tag(0, &hash.to_be_bytes()).done(),
    }
}

pub fn target_epoch_value(epoch: i32) -> Vec<u8> {
    CompactWriter::new(0).raw(&epoch.to_be_bytes()).no_tags().done()
}

pub fn target_value(target: &Partitions) -> Vec<u8> {
    let mut to = CompactWriter::new(0);
    put_partitions(&mut to, target);
    to.no_tags().done()
}

pub fn current_value(current: &CurrentAssignment) -> Vec<u8> {
    let mut to = CompactWriter::new(0);
    to.raw(&current.epoch.to_be_bytes()).raw(&current.previous_epoch.to_be_bytes());
    to.raw(&[current.progress as u8]);
    put_partitions(&mut to, &current.assigned);
    put_partitions(&mut to, &current.revoking);
    to.no_tags().done()
}

/// With the version of the metadata that it was resolved by, and when.
pub fn pattern_value(topics: &BTreeSet<Arc<str>>, version: i64, at_ms: i64) -> Vec<u8> {
    let mut to = CompactWriter::new(0);
    to.count(topics.len());
    for topic in topics {
        to.text(topic);
    }
    to.raw(&version.to_be_bytes()).raw(&at_ms.to_be_bytes()).no_tags().done()
}

pub fn member_value(wish: &Wish) -> Vec<u8> {
    let mut to = CompactWriter::new(0);
    to.nullable(wish.instance.as_deref()).nullable(wish.rack.as_deref());
    to.text(&wish.client_id).text(&wish.client_host);
    to.count(wish.topics.len());
    for topic in &wish.topics {
        to.text(topic);
    }
    to.nullable(Some(&*wish.pattern).filter(|pattern| !pattern.is_empty()));
    to.raw(&wish.rebalance_timeout_ms.to_be_bytes());
    to.nullable(wish.assignor.map(Assignor::name));
    match &wish.classic {
        Some(classic) => to.tag(0, &classic_value(classic)).done(),
        None => to.no_tags().done(),
    }
}

fn classic_value(classic: &ClassicPart) -> Vec<u8> {
    let mut to = CompactWriter::default();
    // A struct that may be null says that it is there.
    to.number(1).raw(&classic.session_timeout_ms.to_be_bytes()).count(classic.protocols.len());
    for (name, metadata) in &classic.protocols {
        to.text(name).bytes(metadata).no_tags();
    }
    to.no_tags().done()
}

fn read_wish(from: &mut CompactReader<'_>) -> Result<Wish, BadRecord> {
    let mut wish = Wish {
        instance: from.nullable()?.map(Arc::from),
        rack: from.nullable()?.map(Arc::from),
        client_id: from.text()?.to_owned(),
        client_host: from.text()?.to_owned(),
        ..Wish::default()
    };
    for _ in 0..from.count()?.unwrap_or(0) {
        wish.topics.insert(from.text()?.into());
    }
    wish.pattern = from.nullable()?.unwrap_or_default().into();
    wish.rebalance_timeout_ms = from.fields.i32()?;
    // One that another broker had is none here.
    wish.assignor = from.nullable()?.and_then(Assignor::of);
    let tags = from.tags()?;
    if let Some((_, bytes)) = tags.into_iter().find(|(tag, _)| *tag == 0) {
        wish.classic = read_classic(&mut CompactReader { fields: Fields::new(bytes) })?;
    }
    Ok(wish)
}

fn read_classic(from: &mut CompactReader<'_>) -> Result<Option<ClassicPart>, BadRecord> {
    let [there] = from.fields.array()?;
    if (there as i8) < 0 {
        return Ok(None);
    }
    let session_timeout_ms = from.fields.i32()?;
    let mut protocols = Vec::new();
    for _ in 0..from.count()?.unwrap_or(0) {
        protocols.push((from.text()?.to_owned(), from.bytes()?.into()));
        from.tags()?;
    }
    Ok(Some(ClassicPart { session_timeout_ms, protocols }))
}

fn put_partitions(to: &mut CompactWriter, partitions: &Partitions) {
    to.count(partitions.topics().len());
    for (topic, numbers) in partitions.topics() {
        to.raw(&topic.0.to_be_bytes()).count(numbers.len());
        for number in numbers {
            to.raw(&number.to_be_bytes());
        }
        to.no_tags();
    }
}

fn read_partitions(from: &mut CompactReader<'_>) -> Result<Partitions, BadRecord> {
    let mut partitions = Partitions::default();
    for _ in 0..from.count()?.unwrap_or(0) {
        let topic = TopicId(u128::from_be_bytes(from.fields.array()?));
        for _ in 0..from.count()?.unwrap_or(0) {
            partitions.insert((topic, from.fields.i32()?));
        }
        from.tags()?;
    }
    Ok(partitions)
}

fn read_current(from: &mut CompactReader<'_>) -> Result<CurrentAssignment, BadRecord> {
    let (epoch, previous_epoch) = (from.fields.i32()?, from.fields.i32()?);
    let [progress] = from.fields.array()?;
    let progress = match progress {
        1 => MemberProgress::Unrevoked,
        2 => MemberProgress::Unreleased,
        _ => MemberProgress::Stable,
    };
    let (assigned, revoking) = (read_partitions(from)?, read_partitions(from)?);
    Ok(CurrentAssignment { epoch, previous_epoch, progress, assigned, revoking })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comes_back(about: About, value: &[u8], said: &Said) {
        let key = about.key("g");
        let mut from = Fields::new(&key);
        let version = from.i16().expect("a version");
        assert_eq!(About::read(version, &mut from), Ok(Some(("g".to_owned(), about.clone()))));
        assert_eq!(Said::decode(&about, value).as_ref(), Ok(said));
        for cut in 0..value.len() {
            assert!(Said::decode(&about, &value[..cut]).is_err(), "{about:?} cut at {cut}");
        }
    }

    #[test]
    fn a_group_and_its_assignment_are_these_bytes() {
        assert_eq!(About::Group.key("g"), [0, 3, 0, 1, b'g']);
        assert_eq!(About::Current("m".to_owned()).key("g"), [0, 8, 0, 1, b'g', 0, 1, b'm']);
        assert_eq!(group_value(5, 0), [0, 0, 0, 0, 0, 5, 0]);
        assert_eq!(group_value(5, 1), [0, 0, 0, 0, 0, 5, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(target_epoch_value(5), [0, 0, 0, 0, 0, 5, 0]);
        let target: Partitions = [(TopicId(7), 0), (TopicId(7), 2)].into_iter().collect();
        let mut bytes = vec![0, 0, 2];
        bytes.extend_from_slice(&7u128.to_be_bytes());
        bytes.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0]);
        assert_eq!(target_value(&target), bytes);
        comes_back(About::Group, &group_value(5, 9), &Said::Group { epoch: 5, metadata_hash: 9 });
        comes_back(About::TargetEpoch, &target_epoch_value(3), &Said::TargetEpoch(3));
        comes_back(About::Target("m".to_owned()), &bytes, &Said::Target(target.clone()));
        let current = CurrentAssignment {
            epoch: 4,
            previous_epoch: 3,
            progress: MemberProgress::Unrevoked,
            assigned: target,
            revoking: [(TopicId(8), 1)].into_iter().collect(),
        };
        comes_back(About::Current("m".to_owned()), &current_value(&current), &Said::Current(current));
    }

    #[test]
    fn a_member_and_a_pattern_come_back() {
        let mut wish = Wish {
            instance: Some("i".into()),
            client_id: "c".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            topics: ["a".into(), "b".into()].into(),
            rebalance_timeout_ms: 300_000,
            assignor: Some(Assignor::Range),
            ..Wish::default()
        };
        comes_back(About::Member("m".to_owned()), &member_value(&wish), &Said::Member(wish.clone()));
        wish.classic = Some(ClassicPart {
            session_timeout_ms: 45_000,
            protocols: vec![("range".to_owned(), [1, 2].into())],
        });
        wish.pattern = "a.*".into();
        comes_back(About::Member("m".to_owned()), &member_value(&wish), &Said::Member(wish));
        let topics: BTreeSet<Arc<str>> = ["a".into()].into();
        let value = pattern_value(&topics, 3, 4);
        assert_eq!(value[..5], [0, 0, 2, 2, b'a']);
        assert_eq!(Said::decode(&About::Pattern("a.*".to_owned()), &value), Ok(Said::Pattern { topics }));
    }
}
