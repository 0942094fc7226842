//! What classic consumers put into metadata and assignments: Kafka's ConsumerProtocolSubscription
//! and ConsumerProtocolAssignment. In a consumer group it is the coordinator that reads the one and
//! writes the other.

use super::partitions::Partitions;
use crate::control::View;
use crate::coordinator::fields::{BadRecord, Fields, count_of, put_text};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    pub version: i16,
    pub topics: BTreeSet<Arc<str>>,
    /// As far as there are such topics.
    pub owned: Partitions,
    pub rack: Option<Arc<str>>,
}

/// Versions of the schema that are known; a later one begins like the last.
const OWNED_FROM: i16 = 1;
const GENERATION_FROM: i16 = 2;
const RACK_FROM: i16 = 3;

pub fn subscription(metadata: &[u8], view: &View) -> Result<Subscription, BadRecord> {
    let mut from = Fields::new(metadata);
    let mut read = Subscription { version: from.i16()?, ..Subscription::default() };
    for _ in 0..from.i32()? {
        read.topics.insert(from.text()?.into());
    }
    let _user_data = from.bytes()?;
    if read.version >= OWNED_FROM {
        read.owned = partitions(&mut from, view)?;
    }
    if read.version >= GENERATION_FROM {
        let _generation = from.i32()?;
    }
    if read.version >= RACK_FROM {
        read.rack = from.nullable()?.map(Arc::from);
    }
    Ok(read)
}

/// Nothing where a member has not been assigned anything yet.
pub fn assignment(bytes: &[u8], view: &View) -> Result<Partitions, BadRecord> {
    if bytes.is_empty() {
        return Ok(Partitions::default());
    }
    let mut from = Fields::new(bytes);
    let _version = from.i16()?;
    partitions(&mut from, view)
}

fn partitions(from: &mut Fields<'_>, view: &View) -> Result<Partitions, BadRecord> {
    let mut partitions = Partitions::default();
    for _ in 0..from.i32()? {
        let topic = view.topics.get(from.text()?.as_str()).map(|topic| topic.id);
        for _ in 0..from.i32()? {
            let number = from.i32()?;
            topic.into_iter().for_each(|topic| partitions.insert((topic, number)));
        }
    }
    Ok(partitions)
}

/// Topics that are no more are left out.
pub fn write_assignment(version: i16, assigned: &Partitions, view: &View) -> Vec<u8> {
    let named = assigned.topics().filter_map(|(id, numbers)| Some((view.topic_ids.get(&id)?, numbers)));
    let named: Vec<_> = named.collect();
    let mut to = version.to_be_bytes().to_vec();
    to.extend_from_slice(&count_of(named.len()).to_be_bytes());
    for (name, numbers) in named {
        put_text(&mut to, name);
        to.extend_from_slice(&count_of(numbers.len()).to_be_bytes());
        numbers.iter().for_each(|number| to.extend_from_slice(&number.to_be_bytes()));
    }
    // No user data.
    to.extend_from_slice(&(-1i32).to_be_bytes());
    to
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::view::TopicView;
    use crate::ids::TopicId;

    fn view() -> View {
        let mut view = View::default();
        let topic = TopicView {
            name: "t".into(),
            id: TopicId(9),
            replication_factor: 1,
            partitions: Vec::new(),
            configs: Default::default(),
            settings: crate::control::life::TopicSettings::effective(
                &Default::default(),
                &Default::default(),
                &Default::default(),
            ),
        };
        view.topic_ids.insert(topic.id, topic.name.clone());
        view.topics.insert(topic.name.clone(), Arc::new(topic));
        view
    }

    #[test]
    fn a_subscription_is_read_in_every_version() {
        let head = [0, 0, 0, 2, 0, 1, b't', 0, 1, b'u', 0xff, 0xff, 0xff, 0xff];
        let owned = [0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 4];
        let (generation, rack) = ([0, 0, 0, 7], [0, 1, b'r']);
        let all = [&head[..], &owned, &generation, &rack].concat();
        let ends = [head.len(), head.len() + owned.len(), all.len() - rack.len(), all.len()];
        for (version, end) in (0..).zip(ends) {
            let bytes = [&[0, version][..], &all[..end]].concat();
            let read = subscription(&bytes, &view()).expect("a subscription");
            assert_eq!((read.version, read.topics.len()), (i16::from(version), 2));
            assert_eq!(read.owned.contains((TopicId(9), 4)), version >= 1);
            assert_eq!(read.rack.as_deref(), (version >= 3).then_some("r"));
            for cut in 0..bytes.len() {
                assert!(subscription(&bytes[..cut], &view()).is_err(), "{version} cut at {cut}");
            }
        }
        assert!(subscription(&[0, 0, 0x7f, 0xff, 0xff, 0xff], &view()).is_err());
    }

    #[test]
    fn an_assignment_comes_back_without_topics_that_are_gone() {
        let mut assigned: Partitions = [(TopicId(9), 0), (TopicId(9), 3)].into_iter().collect();
        let known = assigned.clone();
        assigned.insert((TopicId(1), 0));
        let bytes = write_assignment(1, &assigned, &view());
        assert_eq!(bytes[..6], [0, 1, 0, 0, 0, 1]);
        assert_eq!(assignment(&bytes, &view()), Ok(known));
        assert_eq!(assignment(&[], &view()), Ok(Partitions::default()));
    }
}
