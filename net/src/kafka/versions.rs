//! The whole surface: every API that this broker advertises, in one list.

use super::context::Context;
use super::dispatch::{self, Handler};
use super::request_context::RequestContext;
use crate::kafka::api::{API_VERSIONS, Api, FETCH, PRODUCE, SASL_AUTHENTICATE, SASL_HANDSHAKE};
use crate::kafka::apis::add_offsets_to_txn::AddOffsetsToTxn;
use crate::kafka::apis::add_partitions_to_txn::AddPartitionsToTxn;
use crate::kafka::apis::add_raft_voter::AddRaftVoter;
use crate::kafka::apis::alter_client_quotas::AlterClientQuotas;
use crate::kafka::apis::alter_configs::AlterConfigs;
use crate::kafka::apis::alter_replica_log_dirs::AlterReplicaLogDirs;
use crate::kafka::apis::alter_user_scram_credentials::AlterUserScramCredentials;
use crate::kafka::apis::consumer_group_describe::ConsumerGroupDescribe;
use crate::kafka::apis::consumer_group_heartbeat::ConsumerGroupHeartbeat;
use crate::kafka::apis::create_acls::CreateAcls;
use crate::kafka::apis::create_partitions::CreatePartitions;
use crate::kafka::apis::create_topics::CreateTopics;
use crate::kafka::apis::delete_acls::DeleteAcls;
use crate::kafka::apis::delete_groups::DeleteGroups;
use crate::kafka::apis::delete_records::DeleteRecords;
use crate::kafka::apis::delete_topics::DeleteTopics;
use crate::kafka::apis::describe_acls::DescribeAcls;
use crate::kafka::apis::describe_client_quotas::DescribeClientQuotas;
use crate::kafka::apis::describe_cluster::DescribeCluster;
use crate::kafka::apis::describe_configs::DescribeConfigs;
use crate::kafka::apis::describe_groups::DescribeGroups;
use crate::kafka::apis::describe_log_dirs::DescribeLogDirs;
use crate::kafka::apis::describe_producers::DescribeProducers;
use crate::kafka::apis::describe_quorum::DescribeQuorum;
use crate::kafka::apis::describe_topic_partitions::DescribeTopicPartitions;
use crate::kafka::apis::describe_transactions::DescribeTransactions;
use crate::kafka::apis::describe_user_scram_credentials::DescribeUserScramCredentials;
use crate::kafka::apis::elect_leaders::ElectLeaders;
use crate::kafka::apis::end_txn::EndTxn;
use crate::kafka::apis::find_coordinator::FindCoordinator;
use crate::kafka::apis::heartbeat::Heartbeat;
use crate::kafka::apis::incremental_alter_configs::IncrementalAlterConfigs;
use crate::kafka::apis::init_producer_id::InitProducerId;
use crate::kafka::apis::join_group::JoinGroup;
use crate::kafka::apis::leave_group::LeaveGroup;
use crate::kafka::apis::list_config_resources::ListConfigResources;
use crate::kafka::apis::list_groups::ListGroups;
use crate::kafka::apis::list_offsets::ListOffsets;
use crate::kafka::apis::list_transactions::ListTransactions;
use crate::kafka::apis::metadata::Metadata;
use crate::kafka::apis::offset_commit::OffsetCommit;
use crate::kafka::apis::offset_delete::OffsetDelete;
use crate::kafka::apis::offset_fetch::OffsetFetch;
use crate::kafka::apis::offset_for_leader_epoch::OffsetForLeaderEpoch;
use crate::kafka::apis::reassignments::{AlterPartitionReassignments, ListPartitionReassignments};
use crate::kafka::apis::sync_group::SyncGroup;
use crate::kafka::apis::txn_offset_commit::TxnOffsetCommit;
use crate::kafka::apis::write_txn_markers::WriteTxnMarkers;
use crate::kafka::codec::wire::{Bytes, BytesMut, WireError};

/// The APIs with a codec of their own. Produce is advertised from 0 and answered from 3: below
/// that it is UNSUPPORTED_VERSION, but without these librdkafka 2.0 stops compressing.
const HOT: [Api; 5] = [
    Api { key: PRODUCE, min: 0, max: 13, flexible_from: 9 },
    Api { key: FETCH, min: 4, max: 18, flexible_from: 12 },
    Api { key: API_VERSIONS, min: 0, max: 4, flexible_from: 3 },
    // A connection's own: who its client is (see `client::login`).
    Api { key: SASL_HANDSHAKE, min: 0, max: 1, flexible_from: 2 },
    Api { key: SASL_AUTHENTICATE, min: 0, max: 2, flexible_from: 2 },
];

macro_rules! surface {
    ($($handler:ty),* $(,)?) => {
        /// Every API, by key.
        pub fn apis() -> Vec<Api> {
            let mut apis = HOT.to_vec();
            $(apis.push(api_of::<$handler>());)*
            apis.sort_by_key(|api| api.key);
            apis
        }

        /// Kafka's name of an API; `other` for one that is not there.
        pub fn name(key: i16) -> &'static str {
            match key {
                PRODUCE => "Produce",
                FETCH => "Fetch",
                API_VERSIONS => "ApiVersions",
                SASL_HANDSHAKE => "SaslHandshake",
                SASL_AUTHENTICATE => "SaslAuthenticate",
                $(key if key == dispatch::key_of::<$handler>() => dispatch::name_of::<$handler>(),)*
                _ => "other",
            }
        }

        /// Handles a request off the hot path whose version is in range; `None` when there is no
        /// such API.
        pub async fn handle(
            context: &Context,
            asked: &RequestContext,
            body: Bytes,
            decoded: impl FnOnce(),
        ) -> Option<Result<BytesMut, WireError>> {
            $(if asked.api == dispatch::key_of::<$handler>() {
                // Boxed: the largest handler's state would otherwise be each connection's.
                return Some(Box::pin(dispatch::answer::<$handler>(context, asked, body, decoded)).await);
            })*
            None
        }
    };
}

// The list. What is not in it is not advertised.
surface! {
    AddOffsetsToTxn,
    AddPartitionsToTxn,
    AddRaftVoter,
    AlterClientQuotas,
    AlterConfigs,
    AlterPartitionReassignments,
    AlterReplicaLogDirs,
    AlterUserScramCredentials,
    ConsumerGroupDescribe,
    ConsumerGroupHeartbeat,
    CreateAcls,
    CreatePartitions,
    CreateTopics,
    DeleteAcls,
    DeleteGroups,
    DeleteRecords,
    DeleteTopics,
    DescribeAcls,
    DescribeClientQuotas,
    DescribeCluster,
    DescribeConfigs,
    DescribeGroups,
    DescribeLogDirs,
    DescribeProducers,
    DescribeQuorum,
    DescribeTopicPartitions,
    DescribeUserScramCredentials,
    DescribeTransactions,
    ElectLeaders,
    EndTxn,
    FindCoordinator,
    Heartbeat,
    IncrementalAlterConfigs,
    InitProducerId,
    JoinGroup,
    LeaveGroup,
    ListGroups,
    ListConfigResources,
    ListOffsets,
    ListTransactions,
    ListPartitionReassignments,
    Metadata,
    OffsetCommit,
    OffsetDelete,
    OffsetFetch,
    OffsetForLeaderEpoch,
    SyncGroup,
    TxnOffsetCommit,
    WriteTxnMarkers,
}

fn api_of<H: Handler>() -> Api {
    let (min, max) = (*H::VERSIONS.start(), *H::VERSIONS.end());
    let flexible_from = (min..=max).find(|version| dispatch::is_flexible::<H>(*version));
    Api { key: dispatch::key_of::<H>(), min, max, flexible_from: flexible_from.unwrap_or(max + 1) }
}

#[cfg(test)]
#[path = "versions_tests.rs"]
mod tests;
