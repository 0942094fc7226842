//! A real client's admin calls against a broker of two shards.

use futures_lite::future::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tests::process::records::{Load, client};
use tests::process::{Broker, BrokerOptions, Deadline};

type Admin = AdminClient<DefaultClientContext>;

fn admin(broker: &Broker) -> Admin {
    client(&broker.bootstrap(), &[]).create().expect("an admin client")
}

fn create(admin: &Admin, options: &AdminOptions, new: &NewTopic<'_>) -> Result<(), RDKafkaErrorCode> {
    let mut created = block_on(admin.create_topics([new], options)).expect("answered");
    created.pop().expect("one").map(|_| ()).map_err(|(_, code)| code)
}

/// The value and source of a topic's setting.
fn setting(admin: &Admin, topic: &str, name: &str) -> (Option<String>, ConfigSource) {
    let described =
        block_on(admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &AdminOptions::new()));
    let resource = described.expect("answered").pop().expect("one").expect("described");
    let entry = resource.entries.into_iter().find(|entry| entry.name == name);
    let entry = entry.expect("a setting of every topic");
    (entry.value, entry.source)
}

#[test]
fn topics_are_checked_made_grown_and_deleted() {
    let broker = Broker::start(BrokerOptions::default());
    let (admin, options) = (admin(&broker), AdminOptions::new());
    let new = |name, partitions, factor| NewTopic::new(name, partitions, TopicReplication::Fixed(factor));
    let only_check = AdminOptions::new().validate_only(true);
    assert_eq!(create(&admin, &only_check, &new("a", 3, 1)), Ok(()));
    assert_eq!(create(&admin, &options, &new("a", 3, 1)), Ok(()), "checking made nothing");
    assert_eq!(create(&admin, &options, &new("a", 3, 1)), Err(RDKafkaErrorCode::TopicAlreadyExists));
    assert_eq!(create(&admin, &options, &new("a b", 1, 1)), Err(RDKafkaErrorCode::InvalidTopic));
    assert_eq!(create(&admin, &options, &new("b", 1, 2)), Err(RDKafkaErrorCode::InvalidReplicationFactor));
    let shred = new("b", 1, 1).set("cleanup.policy", "shred");
    assert_eq!(create(&admin, &options, &shred), Err(RDKafkaErrorCode::InvalidConfig));
    let grow = |count| {
        let mut grown =
            block_on(admin.create_partitions(&[NewPartitions::new("a", count)], &options)).expect("answered");
        grown.pop().expect("one").map(|_| ()).map_err(|(_, code)| code)
    };
    assert_eq!(grow(5), Ok(()));
    assert_eq!(grow(5), Err(RDKafkaErrorCode::InvalidPartitions));
    let metadata = admin.inner().fetch_metadata(Some("a"), std::time::Duration::from_secs(30));
    let metadata = metadata.expect("metadata");
    assert!(metadata.topics()[0].partitions().iter().all(|partition| partition.leader() >= 0));
    assert_eq!(metadata.topics()[0].partitions().len(), 5);
    let delete = || block_on(admin.delete_topics(&["a"], &options)).expect("answered").pop().expect("one");
    assert_eq!(delete(), Ok("a".to_owned()));
    assert_eq!(delete(), Err(("a".to_owned(), RDKafkaErrorCode::UnknownTopicOrPartition)));
}

#[test]
fn settings_are_shown_and_altered() {
    let broker = Broker::start(BrokerOptions {
        set: vec!["log.retention.hours=2".to_owned()],
        ..BrokerOptions::default()
    });
    let (admin, options) = (admin(&broker), AdminOptions::new());
    let new = NewTopic::new("a", 1, TopicReplication::Fixed(1)).set("max.message.bytes", "5000");
    assert_eq!(create(&admin, &options, &new), Ok(()));
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(setting(&admin, "a", "max.message.bytes"), (text("5000"), ConfigSource::DynamicTopic));
    assert_eq!(setting(&admin, "a", "retention.ms"), (text("7200000"), ConfigSource::StaticBroker));
    // This client says Ok of every resource, whatever the broker answered: what counts is what
    // the settings are afterwards.
    let alter = |key, value| {
        let change = AlterConfig::new(ResourceSpecifier::Topic("a")).set(key, value);
        block_on(admin.alter_configs([&change], &options)).expect("answered");
    };
    alter("retention.ms", "60000");
    assert_eq!(setting(&admin, "a", "retention.ms"), (text("60000"), ConfigSource::DynamicTopic));
    let replaced = setting(&admin, "a", "max.message.bytes");
    assert_eq!(replaced, (text("1048588"), ConfigSource::Default), "what is not named goes back");
    alter("compression.type", "brotli");
    let kept = setting(&admin, "a", "compression.type");
    assert_eq!(kept, (text("producer"), ConfigSource::Default), "what is not there is not set");
    let kept = setting(&admin, "a", "retention.ms");
    assert_eq!(kept, (text("60000"), ConfigSource::DynamicTopic), "a refused change changes nothing");
}

#[test]
fn records_are_deleted_up_to_an_offset() {
    let broker = Broker::start(BrokerOptions::default());
    let (admin, options) = (admin(&broker), AdminOptions::new());
    assert_eq!(create(&admin, &options, &NewTopic::new("a", 1, TopicReplication::Fixed(1))), Ok(()));
    let load = Load::new(&broker.bootstrap(), &[("acks", "all")]);
    for number in 0..100 {
        Deadline::seconds(60)
            .wait_for("room in the producer's queue", || load.send("a", 0, number, 100).then_some(()));
    }
    load.flush(60);
    let delete = |offset| {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset("a", 0, offset).expect("a list");
        let deleted = block_on(admin.delete_records(&offsets, &options)).expect("answered");
        let deleted = deleted.find_partition("a", 0).expect("the partition");
        deleted.error().map(|()| deleted.offset())
    };
    assert_eq!(delete(Offset::Offset(40)).ok(), Some(Offset::Offset(40)));
    let watermarks = admin.inner().fetch_watermarks("a", 0, std::time::Duration::from_secs(30));
    assert_eq!(watermarks.expect("watermarks"), (40, 100));
    assert!(delete(Offset::Offset(101)).is_err(), "above the high watermark");
    assert_eq!(delete(Offset::End).ok(), Some(Offset::Offset(100)));
}
