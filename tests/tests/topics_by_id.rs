//! Topics by id in place of names, asked of the real process: Produce 13, Fetch 18, OffsetCommit and
//! OffsetFetch 10, across a topic that is deleted and made again with the same name.

use kafka_wire::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_wire::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_wire::{
    DeleteTopicsRequest, FetchRequest, FindCoordinatorRequest, MetadataRequest, OffsetCommitRequest,
    OffsetFetchRequest, ProduceRequest, metadata_request,
};
use net::kafka::codec::wire::{StrBytes, Uuid};
use tests::process::requests::{batch, error_of, fetch, produce};
use tests::process::wire::Wire;
use tests::process::{Broker, BrokerOptions, Deadline};

const TOPIC: &str = "by-id";
const UNKNOWN_TOPIC_ID: i16 = 100;

struct Client {
    broker: Broker,
    wire: Wire,
}

impl Client {
    fn new() -> Self {
        let broker = Broker::start(BrokerOptions {
            shards: 1,
            set: vec!["offsets.topic.num.partitions=1".to_owned()],
            ..BrokerOptions::default()
        });
        let wire = Wire::connect(broker.ports.kafka()).expect("accepted");
        Self { broker, wire }
    }

    fn ask<R: kafka_wire::RequestResponsePair>(&mut self, version: i16, request: &R) -> R::Response {
        self.wire.ask("test", version, request)
    }

    /// Has the topic made, and gives its id once it has one that is not `before`.
    fn id(&mut self, before: Uuid) -> Uuid {
        let mut topic = metadata_request::MetadataRequestTopic::default();
        topic.name = Some(StrBytes::from(TOPIC));
        let mut request = MetadataRequest::default();
        request.topics = Some(vec![topic]);
        Deadline::seconds(30).wait_for("the topic has an id and a leader", || {
            let response = self.ask(13, &request);
            let topic = &response.topics[0];
            let id = topic.topic_id;
            (topic.error_code == 0 && id != before && topic.partitions[0].leader_id >= 0).then_some(id)
        })
    }

    fn produced(&mut self, id: Uuid) -> i16 {
        let mut request: ProduceRequest = produce("", -1, batch(&[b"one"]));
        request.topic_data[0].topic_id = id;
        let response = self.ask(13, &request);
        assert_eq!(response.responses[0].topic_id, id);
        error_of(&response)
    }

    /// The error, and how many bytes of records there are.
    fn fetched(&mut self, id: Uuid) -> (i16, usize) {
        let mut request: FetchRequest = fetch("", 0, 0);
        request.topics[0].topic_id = id;
        let response = self.ask(18, &request);
        let topic = &response.responses[0];
        assert_eq!(topic.topic_id, id);
        let partition = &topic.partitions[0];
        (partition.error_code, partition.records.as_ref().map_or(0, |records| records.len()))
    }

    fn committed(&mut self, id: Uuid, offset: i64) -> i16 {
        let mut partition = OffsetCommitRequestPartition::default();
        partition.committed_offset = offset;
        let mut topic = OffsetCommitRequestTopic::default();
        (topic.topic_id, topic.partitions) = (id, vec![partition]);
        let mut request = OffsetCommitRequest::default();
        (request.group_id, request.generation_id_or_member_epoch) = (StrBytes::from("g"), -1);
        request.topics = vec![topic];
        let response = self.ask(10, &request);
        assert_eq!(response.topics[0].topic_id, id);
        response.topics[0].partitions[0].error_code
    }

    /// Of each topic its id, error and offset.
    fn offsets(&mut self, ids: Option<&[Uuid]>) -> Vec<(Uuid, i16, i64)> {
        let topic = |id: &Uuid| {
            let mut topic = OffsetFetchRequestTopics::default();
            (topic.topic_id, topic.partition_indexes) = (*id, vec![0]);
            topic
        };
        let mut group = OffsetFetchRequestGroup::default();
        group.group_id = StrBytes::from("g");
        group.topics = ids.map(|ids| ids.iter().map(topic).collect());
        let mut request = OffsetFetchRequest::default();
        request.groups = vec![group];
        let response = self.ask(10, &request);
        assert_eq!(response.groups[0].error_code, 0);
        let topics = response.groups[0].topics.iter();
        let told = topics.map(|topic| {
            let partition = &topic.partitions[0];
            (topic.topic_id, partition.error_code, partition.committed_offset)
        });
        told.collect()
    }

    fn wait_for_coordinator(&mut self) {
        let mut request = FindCoordinatorRequest::default();
        request.coordinator_keys = vec![StrBytes::from("g")];
        Deadline::seconds(30).wait_for("the group has a coordinator", || {
            (self.ask(6, &request).coordinators[0].error_code == 0).then_some(())
        });
    }

    fn delete_topic(&mut self) {
        let mut request = DeleteTopicsRequest::default();
        request.topic_names = vec![StrBytes::from(TOPIC)];
        request.timeout_ms = 10_000;
        assert_eq!(self.ask(5, &request).responses[0].error_code, 0);
    }
}

#[test]
fn an_id_is_its_topics_and_no_other_ones_of_the_same_name() {
    let mut client = Client::new();
    let id = client.id(Uuid::ZERO);
    client.wait_for_coordinator();
    assert_eq!(client.produced(id), 0);
    let (error, bytes) = client.fetched(id);
    assert!(error == 0 && bytes > 0, "error {error}, {bytes} bytes");
    Deadline::seconds(30)
        .wait_for("the coordinator is loaded", || (client.committed(id, 1) == 0).then_some(()));
    let stranger = Uuid::from_bytes([7; 16]);
    assert_eq!([client.produced(stranger), client.fetched(stranger).0], [UNKNOWN_TOPIC_ID; 2]);
    assert_eq!(client.committed(stranger, 1), UNKNOWN_TOPIC_ID);
    let both = [(id, 0, 1), (stranger, UNKNOWN_TOPIC_ID, -1)];
    assert_eq!(client.offsets(Some(&[stranger, id])), both, "what is unknown stands behind");
    assert_eq!(client.offsets(None), [(id, 0, 1)], "all that is committed, by id");

    client.delete_topic();
    let next = client.id(id);
    assert_ne!(next, id);
    assert_eq!([client.produced(id), client.fetched(id).0], [UNKNOWN_TOPIC_ID; 2]);
    assert_eq!(client.committed(id, 1), UNKNOWN_TOPIC_ID);
    assert_eq!(client.fetched(next), (0, 0), "nothing was written to the new one");
    Deadline::seconds(30).wait_for("the old one's offsets are gone", || {
        (client.offsets(Some(&[id, next])) == [(next, 0, -1), (id, UNKNOWN_TOPIC_ID, -1)]).then_some(())
    });
    assert!(client.broker.log().lines().all(|line| !line.contains("panicked")));
}
