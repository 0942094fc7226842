//! The eleven APIs of consumer groups, asked of the real process in every version that it
//! advertises, by frames made by hand.

use kafka_wire::{
    DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, KafkaRequest, LeaveGroupRequest, ListGroupsRequest, MetadataRequest,
    OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, RequestResponsePair, SyncGroupRequest,
    join_group_request, leave_group_request, metadata_request, offset_commit_request, offset_delete_request,
    offset_fetch_request, sync_group_request,
};
use net::kafka::client::{ClientHead, read_response, write_request};
use net::kafka::codec::wire::Bytes;
use tests::process::wire::Wire;
use tests::process::{Broker, BrokerOptions, Deadline};

const TOPIC: &str = "of-groups";
/// ConsumerProtocolSubscription v0: [`TOPIC`] and no user data.
const SUBSCRIPTION: &[u8] = b"\0\0\0\0\0\x01\0\x09of-groups\xff\xff\xff\xff";
/// The newest version of the API with most of them; those with fewer stay at their newest.
const ERAS: i16 = 9;

const NOT_COORDINATOR: i16 = 16;
const ILLEGAL_GENERATION: i16 = 22;
const UNKNOWN_MEMBER_ID: i16 = 25;
const NON_EMPTY_GROUP: i16 = 68;
const GROUP_ID_NOT_FOUND: i16 = 69;
const MEMBER_ID_REQUIRED: i16 = 79;
const GROUP_SUBSCRIBED_TO_TOPIC: i16 = 86;

fn broker(shards: u16) -> Broker {
    let set = vec!["group.initial.rebalance.delay.ms=0".to_owned()];
    let broker = Broker::start(BrokerOptions { shards, set, ..BrokerOptions::default() });
    let mut topic = metadata_request::MetadataRequestTopic::default();
    topic.name = Some(TOPIC.into());
    let mut metadata = MetadataRequest::default();
    metadata.topics = Some(vec![topic]);
    ask(&mut connect(&broker, 0), 12, &metadata);
    broker
}

fn connect(broker: &Broker, shard: u16) -> Wire {
    Wire::connect(broker.ports.kafka() + shard).expect("accepted")
}

fn ask<R: KafkaRequest + RequestResponsePair>(wire: &mut Wire, version: i16, request: &R) -> R::Response {
    let mut frame = Vec::new();
    write_request(&mut frame, ClientHead { correlation: 7, client_id: "by-hand" }, version, request);
    wire.send(&frame).expect("sent");
    let (correlation, response) =
        read_response::<R>(&wire.receive().expect("answered"), version).expect("an answer of its kind");
    assert_eq!(correlation, 7);
    response
}

/// The port of the group's coordinator, as a broker id.
fn coordinator(wire: &mut Wire, version: i16, group: &str) -> i32 {
    let mut request = FindCoordinatorRequest::default();
    if version < 4 {
        request.key = group.into();
    } else {
        request.coordinator_keys = vec![group.into(), "another".into()];
    }
    Deadline::seconds(60).wait_for("a coordinator", || {
        let response = ask(wire, version, &request);
        if version < 4 {
            return (response.error_code == 0).then_some(response.node_id);
        }
        assert_eq!(response.coordinators[1].key.as_str(), "another");
        let first = &response.coordinators[0];
        (first.error_code == 0).then_some(first.node_id)
    })
}

fn join(group: &str, member: &str) -> JoinGroupRequest {
    let mut protocol = join_group_request::JoinGroupRequestProtocol::default();
    protocol.name = "range".into();
    protocol.metadata = Bytes::from_static(SUBSCRIPTION);
    let mut join = JoinGroupRequest::default();
    join.group_id = group.into();
    join.member_id = member.into();
    (join.session_timeout_ms, join.rebalance_timeout_ms) = (10_000, 20_000);
    join.protocol_type = "consumer".into();
    join.protocols = vec![protocol];
    join
}

/// A member of a group of one.
struct Lone {
    group: String,
    member: String,
    generation: i32,
}

impl Lone {
    fn join(wire: &mut Wire, version: i16, group: &str) -> Self {
        let mut response: JoinGroupResponse = ask(wire, version, &join(group, ""));
        if version >= 4 {
            assert_eq!(response.error_code, MEMBER_ID_REQUIRED);
            response = ask(wire, version, &join(group, &response.member_id));
        }
        assert_eq!((response.error_code, response.generation_id), (0, 1));
        assert_eq!(response.leader, response.member_id);
        assert_eq!(response.members.len(), 1);
        assert_eq!(&*response.members[0].metadata, SUBSCRIPTION);
        Self { group: group.to_owned(), member: response.member_id.to_string(), generation: 1 }
    }

    fn sync(&self, wire: &mut Wire, version: i16) {
        let mut assignment = sync_group_request::SyncGroupRequestAssignment::default();
        assignment.member_id = self.member.as_str().into();
        assignment.assignment = Bytes::from_static(b"mine");
        let mut sync = SyncGroupRequest::default();
        sync.group_id = self.group.as_str().into();
        sync.member_id = self.member.as_str().into();
        sync.generation_id = self.generation;
        if version >= 5 {
            (sync.protocol_type, sync.protocol_name) = (Some("consumer".into()), Some("range".into()));
        }
        sync.assignments = vec![assignment];
        let response = ask(wire, version, &sync);
        assert_eq!((response.error_code, &*response.assignment), (0, &b"mine"[..]));
    }

    fn heartbeat(&self, wire: &mut Wire, version: i16, generation: i32) -> i16 {
        let mut heartbeat = HeartbeatRequest::default();
        heartbeat.group_id = self.group.as_str().into();
        heartbeat.member_id = self.member.as_str().into();
        heartbeat.generation_id = generation;
        ask(wire, version, &heartbeat).error_code
    }

    fn commit(&self, wire: &mut Wire, version: i16, offset: i64) -> i16 {
        let mut partition = offset_commit_request::OffsetCommitRequestPartition::default();
        partition.committed_offset = offset;
        partition.committed_metadata = Some("note".into());
        let mut topic = offset_commit_request::OffsetCommitRequestTopic::default();
        topic.name = TOPIC.into();
        topic.partitions = vec![partition];
        let mut commit = OffsetCommitRequest::default();
        commit.group_id = self.group.as_str().into();
        commit.member_id = self.member.as_str().into();
        commit.generation_id_or_member_epoch = self.generation;
        commit.topics = vec![topic];
        ask(wire, version, &commit).topics[0].partitions[0].error_code
    }

    fn leave(&self, wire: &mut Wire, version: i16) -> i16 {
        let mut leave = LeaveGroupRequest::default();
        leave.group_id = self.group.as_str().into();
        if version < 3 {
            leave.member_id = self.member.as_str().into();
            return ask(wire, version, &leave).error_code;
        }
        let mut member = leave_group_request::MemberIdentity::default();
        member.member_id = self.member.as_str().into();
        leave.members = vec![member];
        let response = ask(wire, version, &leave);
        assert_eq!(response.error_code, 0);
        response.members[0].error_code
    }
}

/// Offset and metadata of partition 0, and how many topics there are.
fn fetch(wire: &mut Wire, version: i16, group: &str, all: bool) -> (usize, Option<(i64, String)>) {
    let mut request = OffsetFetchRequest::default();
    if version < 8 {
        let mut topic = offset_fetch_request::OffsetFetchRequestTopic::default();
        topic.name = TOPIC.into();
        topic.partition_indexes = vec![0];
        request.group_id = group.into();
        request.topics = (!all).then(|| vec![topic]);
        let response = ask(wire, version, &request);
        assert_eq!(response.error_code, 0);
        let partition = response.topics.first().map(|topic| topic.partitions[0].clone());
        let found = partition.map(|one| (one.committed_offset, one.metadata.unwrap_or_default().to_string()));
        return (response.topics.len(), found);
    }
    let mut topic = offset_fetch_request::OffsetFetchRequestTopics::default();
    topic.name = TOPIC.into();
    topic.partition_indexes = vec![0];
    let mut wanted = offset_fetch_request::OffsetFetchRequestGroup::default();
    wanted.group_id = group.into();
    wanted.topics = (!all).then(|| vec![topic]);
    let mut unknown = wanted.clone();
    unknown.group_id = "unknown".into();
    request.groups = vec![unknown, wanted];
    let response = ask(wire, version, &request);
    assert_eq!(response.groups[0].error_code, 0, "a group that is not there is no error");
    let group = &response.groups[1];
    let partition = group.topics.first().map(|topic| topic.partitions[0].clone());
    let found = partition.map(|one| (one.committed_offset, one.metadata.unwrap_or_default().to_string()));
    (group.topics.len(), found)
}

fn describe(wire: &mut Wire, version: i16, group: &str) -> (String, String, usize) {
    let mut request = DescribeGroupsRequest::default();
    request.groups = vec![group.into()];
    let response = ask(wire, version, &request);
    let group = &response.groups[0];
    (group.group_state.to_string(), group.protocol_data.to_string(), group.members.len())
}

fn is_listed(wire: &mut Wire, version: i16, group: &str, state: &str) -> bool {
    let mut request = ListGroupsRequest::default();
    if version >= 4 {
        request.states_filter = vec![state.into()];
    }
    if version >= 5 {
        request.types_filter = vec!["classic".into()];
    }
    let response = ask(wire, version, &request);
    assert_eq!(response.error_code, 0);
    response.groups.iter().any(|listed| listed.group_id.as_str() == group)
}

fn delete(wire: &mut Wire, version: i16, group: &str) -> i16 {
    let mut request = DeleteGroupsRequest::default();
    request.groups_names = vec![group.into()];
    ask(wire, version, &request).results[0].error_code
}

fn delete_offset(wire: &mut Wire, group: &str) -> i16 {
    let mut topic = offset_delete_request::OffsetDeleteRequestTopic::default();
    topic.name = TOPIC.into();
    topic.partitions = vec![offset_delete_request::OffsetDeleteRequestPartition::default()];
    let mut request = OffsetDeleteRequest::default();
    request.group_id = group.into();
    request.topics = vec![topic];
    let response = ask(wire, 0, &request);
    assert_eq!(response.error_code, 0);
    response.topics[0].partitions[0].error_code
}

#[test]
fn every_version_of_every_api_takes_a_group_through_its_life() {
    let broker = broker(1);
    let wire = &mut connect(&broker, 0);
    for era in 0..=ERAS {
        let group = format!("era-{era}");
        assert_eq!(coordinator(wire, era.min(6), &group), 0);
        assert_eq!(fetch(wire, era.max(1), &group, false), (1, Some((-1, String::new()))));
        let lone = Lone::join(wire, era, &group);
        lone.sync(wire, era.min(5));
        assert_eq!(lone.heartbeat(wire, era.min(4), 1), 0);
        assert_eq!(lone.heartbeat(wire, era.min(4), 5), ILLEGAL_GENERATION);
        assert_eq!(lone.commit(wire, era.max(2), 40 + i64::from(era)), 0);
        let note = (40 + i64::from(era), "note".to_owned());
        assert_eq!(fetch(wire, era.max(1), &group, era >= 2), (1, Some(note)));
        assert_eq!(describe(wire, era.min(6), &group), ("Stable".to_owned(), "range".to_owned(), 1));
        assert!(is_listed(wire, era.min(5), &group, "Stable"));
        assert_eq!(delete(wire, era.min(2), &group), NON_EMPTY_GROUP);
        assert_eq!(delete_offset(wire, &group), GROUP_SUBSCRIBED_TO_TOPIC);
        assert_eq!(lone.leave(wire, era.min(5)), 0);
        assert_eq!(lone.leave(wire, era.min(5)), UNKNOWN_MEMBER_ID);
        assert_eq!(describe(wire, era.min(6), &group), ("Empty".to_owned(), String::new(), 0));
        assert_eq!(is_listed(wire, era.min(5), &group, "Stable"), era < 4);
        assert_eq!(delete_offset(wire, &group), 0);
        assert_eq!(fetch(wire, era.max(1), &group, false), (1, Some((-1, String::new()))));
        assert_eq!(delete(wire, era.min(2), &group), 0);
        assert_eq!(delete(wire, era.min(2), &group), GROUP_ID_NOT_FOUND);
        assert_eq!(describe(wire, era.min(6), &group).0, "Dead");
    }
}

#[test]
fn a_shard_that_is_not_the_coordinator_sends_the_client_on() {
    let broker = broker(2);
    let wire = &mut connect(&broker, 0);
    let found = coordinator(wire, 4, "somewhere");
    let other = &mut connect(&broker, 1 - u16::try_from(found).expect("a shard"));
    assert_eq!(ask(other, 9, &join("somewhere", "")).error_code, NOT_COORDINATOR);
    let right = &mut connect(&broker, u16::try_from(found).expect("a shard"));
    assert_eq!(ask(right, 9, &join("somewhere", "")).error_code, MEMBER_ID_REQUIRED);
}

#[test]
fn an_offset_expires_by_its_own_retention() {
    let set = ["group.initial.rebalance.delay.ms=0", "offsets.retention.check.interval.ms=50"];
    let set = set.map(str::to_owned).to_vec();
    let broker = Broker::start(BrokerOptions { shards: 1, set, ..BrokerOptions::default() });
    let mut named = metadata_request::MetadataRequestTopic::default();
    named.name = Some(TOPIC.into());
    let mut metadata = MetadataRequest::default();
    metadata.topics = Some(vec![named]);
    let wire = &mut connect(&broker, 0);
    ask(wire, 12, &metadata);
    coordinator(wire, 4, "short");
    let mut partition = offset_commit_request::OffsetCommitRequestPartition::default();
    partition.committed_offset = 5;
    let mut topic = offset_commit_request::OffsetCommitRequestTopic::default();
    topic.name = TOPIC.into();
    topic.partitions = vec![partition];
    let mut commit = OffsetCommitRequest::default();
    commit.group_id = "short".into();
    commit.retention_time_ms = 1;
    commit.topics = vec![topic];
    assert_eq!(ask(wire, 3, &commit).topics[0].partitions[0].error_code, 0);
    Deadline::seconds(30)
        .wait_for("the group is gone", || (describe(wire, 5, "short").0 == "Dead").then_some(()));
    // The group ends with the tombstone's append, the offset with its commit.
    Deadline::seconds(30)
        .wait_for("the offset is gone", || (fetch(wire, 5, "short", true) == (0, None)).then_some(()));
}
