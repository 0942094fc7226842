//! What each API asks of which kind of resource, as Kafka has it (`KafkaApis`, `ControllerApis`). What is not in a
//! row is not asked: [`super::Judge`] sees to that where assertions are on, and a test to it that each API has one.

use engine::control::acls::Operation::{
    self, Alter, AlterConfigs, ClusterAction, Create, Delete, Describe, DescribeConfigs, IdempotentWrite,
    Read, Write,
};
use engine::control::acls::ResourceType::{self, Cluster, Group, Topic, TransactionalId};

type Asks = &'static [(Operation, ResourceType)];

/// By API key. Several rights of one row are not all needed: the files `admit_*` say which when.
#[rustfmt::skip]
const ROWS: &[(i16, Asks)] = &[
    (0,  &[(Write, Topic), (Write, TransactionalId)]),                       // Produce
    (1,  &[(Read, Topic)]),                                                  // Fetch
    (2,  &[(Describe, Topic)]),                                              // ListOffsets
    (3,  &[(Describe, Topic), (Create, Topic), (Create, Cluster), (Describe, Cluster)]), // Metadata
    (8,  &[(Read, Group), (Read, Topic)]),                                   // OffsetCommit
    (9,  &[(Describe, Group), (Describe, Topic)]),                           // OffsetFetch
    (10, &[(Describe, Group), (Describe, TransactionalId)]),                 // FindCoordinator
    (11, &[(Read, Group)]),                                                  // JoinGroup
    (12, &[(Read, Group)]),                                                  // Heartbeat
    (13, &[(Read, Group)]),                                                  // LeaveGroup
    (14, &[(Read, Group)]),                                                  // SyncGroup
    (15, &[(Describe, Group)]),                                              // DescribeGroups
    (16, &[(Describe, Cluster), (Describe, Group)]),                         // ListGroups
    (17, &[]),                                                               // SaslHandshake
    (18, &[]),                                                               // ApiVersions
    (19, &[(Create, Cluster), (Create, Topic), (DescribeConfigs, Topic)]),   // CreateTopics
    (20, &[(Delete, Topic), (Describe, Topic)]),                             // DeleteTopics
    (21, &[(Delete, Topic)]),                                                // DeleteRecords
    (22, &[(Write, TransactionalId), (IdempotentWrite, Cluster), (Write, Topic)]), // InitProducerId
    (23, &[(ClusterAction, Cluster), (Describe, Topic)]),                    // OffsetForLeaderEpoch
    (24, &[(Write, TransactionalId), (Write, Topic), (ClusterAction, Cluster)]), // AddPartitionsToTxn
    (25, &[(Write, TransactionalId), (Read, Group)]),                        // AddOffsetsToTxn
    (26, &[(Write, TransactionalId)]),                                       // EndTxn
    (27, &[(Alter, Cluster), (ClusterAction, Cluster)]),                     // WriteTxnMarkers
    (28, &[(Write, TransactionalId), (Read, Group), (Read, Topic)]),         // TxnOffsetCommit
    (29, &[(Describe, Cluster)]),                                            // DescribeAcls
    (30, &[(Alter, Cluster)]),                                               // CreateAcls
    (31, &[(Alter, Cluster)]),                                               // DeleteAcls
    (32, &[(DescribeConfigs, Cluster), (DescribeConfigs, Topic), (DescribeConfigs, Group)]), // DescribeConfigs
    (33, &[(AlterConfigs, Cluster), (AlterConfigs, Topic), (AlterConfigs, Group)]), // AlterConfigs
    (34, &[(Alter, Cluster)]),                                               // AlterReplicaLogDirs
    (35, &[(Describe, Cluster)]),                                            // DescribeLogDirs
    (36, &[]),                                                               // SaslAuthenticate
    (37, &[(Alter, Topic)]),                                                 // CreatePartitions
    (42, &[(Delete, Group)]),                                                // DeleteGroups
    (43, &[(Alter, Cluster)]),                                               // ElectLeaders
    (44, &[(AlterConfigs, Cluster), (AlterConfigs, Topic), (AlterConfigs, Group)]), // IncrementalAlterConfigs
    (45, &[(Alter, Cluster)]),                                               // AlterPartitionReassignments
    (46, &[(Describe, Cluster)]),                                            // ListPartitionReassignments
    (47, &[(Delete, Group), (Read, Topic)]),                                 // OffsetDelete
    (48, &[(DescribeConfigs, Cluster)]),                                     // DescribeClientQuotas
    (49, &[(AlterConfigs, Cluster)]),                                        // AlterClientQuotas
    (50, &[(Describe, Cluster)]),                                            // DescribeUserScramCredentials
    (51, &[(Alter, Cluster)]),                                               // AlterUserScramCredentials
    (55, &[(Describe, Cluster)]),                                            // DescribeQuorum
    (60, &[(Describe, Cluster)]),                                            // DescribeCluster
    (61, &[(Read, Topic)]),                                                  // DescribeProducers
    (65, &[(Describe, TransactionalId), (Describe, Topic)]),                 // DescribeTransactions
    (66, &[(Describe, TransactionalId)]),                                    // ListTransactions
    (68, &[(Read, Group), (Describe, Topic)]),                               // ConsumerGroupHeartbeat
    (69, &[(Describe, Group), (Describe, Topic)]),                           // ConsumerGroupDescribe
    (74, &[(DescribeConfigs, Cluster)]),                                     // ListConfigResources
    (75, &[(Describe, Topic)]),                                              // DescribeTopicPartitions
    (80, &[(Alter, Cluster)]),                                               // AddRaftVoter
];

/// What an API asks; none for one that has no row.
pub fn row(api: i16) -> Option<Asks> {
    ROWS.iter().find(|(key, _)| *key == api).map(|(_, asks)| *asks)
}

/// Whether it is the API's to ask this.
pub fn asks(api: i16, operation: Operation, kind: ResourceType) -> bool {
    row(api).is_some_and(|asks| asks.contains(&(operation, kind)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::versions;

    #[test]
    fn every_api_has_a_row_and_asks_what_its_resources_have() {
        for api in versions::apis() {
            assert!(row(api.key).is_some(), "{} has no row", versions::name(api.key));
        }
        assert!(ROWS.windows(2).all(|pair| pair[0].0 < pair[1].0), "sorted, each once");
        for (api, asks) in ROWS {
            for (operation, kind) in *asks {
                assert!(kind.operations().contains(operation), "{api}: {operation:?} of {kind:?}");
            }
        }
        assert!(asks(1, Read, Topic) && !asks(1, Write, Topic) && !asks(99, Read, Topic));
    }
}
