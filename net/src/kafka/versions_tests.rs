//! The advertised APIs beside those of a Kafka 4.3 broker, line by line: each difference has its reason.

use super::*;
use std::collections::BTreeMap;

/// What a broker of Kafka 4.3.1 answers clients: key, name, lowest and highest stable version, as its own
/// `ApiMessageType` has them for the listener of brokers.
#[rustfmt::skip]
const KAFKA: &[(i16, &str, i16, i16)] = &[
    (0, "Produce", 3, 13),
    (1, "Fetch", 4, 18),
    (2, "ListOffsets", 1, 11),
    (3, "Metadata", 0, 13),
    (8, "OffsetCommit", 2, 10),
    (9, "OffsetFetch", 1, 10),
    (10, "FindCoordinator", 0, 6),
    (11, "JoinGroup", 0, 9),
    (12, "Heartbeat", 0, 4),
    (13, "LeaveGroup", 0, 5),
    (14, "SyncGroup", 0, 5),
    (15, "DescribeGroups", 0, 6),
    (16, "ListGroups", 0, 5),
    (17, "SaslHandshake", 0, 1),
    (18, "ApiVersions", 0, 4),
    (19, "CreateTopics", 2, 7),
    (20, "DeleteTopics", 1, 6),
    (21, "DeleteRecords", 0, 2),
    (22, "InitProducerId", 0, 5),
    (23, "OffsetForLeaderEpoch", 2, 4),
    (24, "AddPartitionsToTxn", 0, 5),
    (25, "AddOffsetsToTxn", 0, 4),
    (26, "EndTxn", 0, 5),
    (27, "WriteTxnMarkers", 1, 2),
    (28, "TxnOffsetCommit", 0, 5),
    (29, "DescribeAcls", 1, 3),
    (30, "CreateAcls", 1, 3),
    (31, "DeleteAcls", 1, 3),
    (32, "DescribeConfigs", 1, 4),
    (33, "AlterConfigs", 0, 2),
    (34, "AlterReplicaLogDirs", 1, 2),
    (35, "DescribeLogDirs", 1, 5),
    (36, "SaslAuthenticate", 0, 2),
    (37, "CreatePartitions", 0, 3),
    (38, "CreateDelegationToken", 1, 3),
    (39, "RenewDelegationToken", 1, 2),
    (40, "ExpireDelegationToken", 1, 2),
    (41, "DescribeDelegationToken", 1, 3),
    (42, "DeleteGroups", 0, 2),
    (43, "ElectLeaders", 0, 2),
    (44, "IncrementalAlterConfigs", 0, 1),
    (45, "AlterPartitionReassignments", 0, 1),
    (46, "ListPartitionReassignments", 0, 0),
    (47, "OffsetDelete", 0, 0),
    (48, "DescribeClientQuotas", 0, 1),
    (49, "AlterClientQuotas", 0, 1),
    (50, "DescribeUserScramCredentials", 0, 0),
    (51, "AlterUserScramCredentials", 0, 0),
    (55, "DescribeQuorum", 0, 2),
    (57, "UpdateFeatures", 0, 2),
    (60, "DescribeCluster", 0, 2),
    (61, "DescribeProducers", 0, 0),
    (64, "UnregisterBroker", 0, 0),
    (65, "DescribeTransactions", 0, 0),
    (66, "ListTransactions", 0, 2),
    (68, "ConsumerGroupHeartbeat", 0, 1),
    (69, "ConsumerGroupDescribe", 0, 1),
    (71, "GetTelemetrySubscriptions", 0, 0),
    (72, "PushTelemetry", 0, 0),
    (74, "ListConfigResources", 0, 1),
    (75, "DescribeTopicPartitions", 0, 0),
    (76, "ShareGroupHeartbeat", 1, 1),
    (77, "ShareGroupDescribe", 1, 1),
    (78, "ShareFetch", 1, 2),
    (79, "ShareAcknowledge", 1, 2),
    (80, "AddRaftVoter", 0, 1),
    (81, "RemoveRaftVoter", 0, 0),
    (83, "InitializeShareGroupState", 0, 0),
    (84, "ReadShareGroupState", 0, 0),
    (85, "WriteShareGroupState", 0, 1),
    (86, "DeleteShareGroupState", 0, 0),
    (87, "ReadShareGroupStateSummary", 0, 1),
    (88, "StreamsGroupHeartbeat", 0, 0),
    (89, "StreamsGroupDescribe", 0, 0),
    (90, "DescribeShareGroupOffsets", 0, 1),
    (91, "AlterShareGroupOffsets", 0, 0),
    (92, "DeleteShareGroupOffsets", 0, 0),
];

const NO_SHARES: &str = "share groups are not built";
const NO_STREAMS: &str = "groups of the streams protocol are not built";
const NO_TOKENS: &str = "delegation tokens are not built";
const NO_TELEMETRY: &str = "clients' own metrics are not collected";
const NOT_KRAFT: &str = "nodes and their versions are not KRaft's: it would be about another thing";
const OLD_PRODUCE: &str = "answered from 3, and told from 0: without that librdkafka 2.0 stops compressing";

type Versions = (i16, i16);

/// What is not there, or behind, by key: our versions, and why.
#[rustfmt::skip]
const BEHIND: &[(i16, Option<Versions>, &str)] = &[
    (0,  Some((0, 13)), OLD_PRODUCE),
    (38, None, NO_TOKENS), (39, None, NO_TOKENS), (40, None, NO_TOKENS), (41, None, NO_TOKENS),
    (57, None, NOT_KRAFT), (64, None, NOT_KRAFT), (81, None, NOT_KRAFT),
    (71, None, NO_TELEMETRY), (72, None, NO_TELEMETRY),
    (76, None, NO_SHARES), (77, None, NO_SHARES), (78, None, NO_SHARES), (79, None, NO_SHARES),
    (83, None, NO_SHARES), (84, None, NO_SHARES), (85, None, NO_SHARES), (86, None, NO_SHARES),
    (87, None, NO_SHARES), (90, None, NO_SHARES), (91, None, NO_SHARES), (92, None, NO_SHARES),
    (88, None, NO_STREAMS), (89, None, NO_STREAMS),
];

#[test]
fn every_api_is_listed_once_with_a_range() {
    let apis = apis();
    assert!(apis.windows(2).all(|pair| pair[0].key < pair[1].key));
    assert!(apis.iter().all(|api| api.min <= api.max));
    let names: std::collections::BTreeSet<_> = apis.iter().map(|api| name(api.key)).collect();
    assert!(names.len() == apis.len() && !names.contains("other"), "{names:?}");
    assert_eq!((name(3), name(19), name(-1)), ("Metadata", "CreateTopics", "other"));
}

#[test]
fn the_table_is_kafkas_but_for_what_has_a_reason() {
    let ours: BTreeMap<i16, (i16, i16)> =
        apis().into_iter().map(|api| (api.key, (api.min, api.max))).collect();
    for (key, kafkas_name, min, max) in KAFKA {
        let known = BEHIND.iter().find(|(behind, ..)| behind == key);
        let expected = known.map_or(Some((*min, *max)), |(_, ours, _)| *ours);
        let why = known.map_or("it has no reason to differ", |(.., why)| *why);
        assert_eq!(ours.get(key).copied(), expected, "{kafkas_name} ({key}): {why}");
        if let Some((our_min, our_max)) = expected {
            assert_eq!(name(*key), *kafkas_name);
            let differs = (our_min, our_max) != (*min, *max);
            assert_eq!(differs, known.is_some(), "{kafkas_name}: a reason stands there for nothing");
            assert!(our_max <= *max, "{kafkas_name}: above Kafka's");
        }
    }
    for key in ours.keys() {
        assert!(KAFKA.iter().any(|(known, ..)| known == key), "{}: Kafka has no such API", name(*key));
    }
    assert!(KAFKA.windows(2).all(|pair| pair[0].0 < pair[1].0), "sorted, each once");
}
