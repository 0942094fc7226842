//! Members of consumer groups, by rdkafka: they read one topic of numbered records and commit.

use super::records::{client, number_of};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a member is told.
pub fn settings(bootstrap: &str, group: &str) -> ClientConfig {
    client(
        bootstrap,
        &[
            ("group.id", group),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "200"),
        ],
    )
}

/// A member of a group that reads the topic and commits what it has read.
pub struct Member {
    pub consumer: BaseConsumer,
    topic: &'static str,
    /// Partition and number of each record, as often as it came.
    pub seen: Vec<(i32, u64)>,
}

impl Member {
    pub fn join(bootstrap: &str, topic: &'static str, group: &str) -> Self {
        Self::with(&settings(bootstrap, group), topic)
    }

    pub fn with(settings: &ClientConfig, topic: &'static str) -> Self {
        let consumer: BaseConsumer = settings.create().expect("a consumer");
        consumer.subscribe(&[topic]).expect("subscribed");
        Self { consumer, topic, seen: Vec::new() }
    }

    /// What is there within a moment; errors of a broker that is away pass.
    pub fn poll(&mut self) {
        while let Some(message) = self.consumer.poll(Duration::from_millis(10)) {
            let Ok(message) = message else { continue };
            let number = number_of(message.partition(), message.payload().expect("a payload"));
            self.seen.push((message.partition(), number));
        }
    }

    /// Commits what was polled; gives the offsets that the broker has said yes to.
    pub fn commit(&self) -> BTreeMap<i32, i64> {
        let Ok(position) = self.consumer.position() else { return BTreeMap::new() };
        let mut offsets = TopicPartitionList::new();
        for element in position.elements() {
            if let Offset::Offset(offset) = element.offset() {
                let partition = element.partition();
                let added = offsets.add_partition_offset(self.topic, partition, Offset::Offset(offset));
                added.expect("a partition");
            }
        }
        if offsets.count() == 0 || self.consumer.commit(&offsets, CommitMode::Sync).is_err() {
            return BTreeMap::new();
        }
        let raw = |element: &TopicPartitionListElem<'_>| {
            (element.partition(), element.offset().to_raw().expect("a number"))
        };
        offsets.elements().iter().map(raw).collect()
    }

    /// It leaves the group by itself; gives what it has seen.
    pub fn leave(self) -> Vec<(i32, u64)> {
        self.consumer.unsubscribe();
        self.seen
    }

    pub fn assigned(&self) -> BTreeSet<i32> {
        let assignment = self.consumer.assignment().expect("an assignment");
        assignment.elements().iter().map(|element| element.partition()).collect()
    }
}

/// Every partition has one owner, and every member some.
pub fn is_shared(assigned: impl Iterator<Item = BTreeSet<i32>>, partitions: i32) -> bool {
    let all: Vec<BTreeSet<i32>> = assigned.collect();
    let owned: usize = all.iter().map(BTreeSet::len).sum();
    let different: BTreeSet<i32> = all.iter().flatten().copied().collect();
    owned == partitions as usize && different.len() == owned && all.iter().all(|own| !own.is_empty())
}

/// What a group has committed of a topic's partition.
pub fn committed(bootstrap: &str, group: &str, (topic, partition): (&str, i32)) -> i64 {
    let consumer: BaseConsumer = settings(bootstrap, group).create().expect("a consumer");
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition(topic, partition);
    let found = consumer.committed_offsets(wanted, Duration::from_secs(60)).expect("offsets");
    found.elements()[0].offset().to_raw().expect("a number")
}
