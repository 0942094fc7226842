//! What is asked of the cluster as a whole: the request is carried out or it is not.

use super::admit::{Admission, Admit};
use super::judge::Judge;
use crate::kafka::errors::code;
use engine::control::acls::Operation::{Alter, AlterConfigs, Describe, DescribeConfigs};
use kafka_wire::alter_client_quotas_response::{EntityData, EntryData};
use kafka_wire::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_wire::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use kafka_wire::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use kafka_wire::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_wire::{
    AddRaftVoterRequest, AddRaftVoterResponse, AlterClientQuotasRequest, AlterClientQuotasResponse,
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse, AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse,
    DescribeClientQuotasRequest, DescribeClientQuotasResponse, DescribeLogDirsRequest,
    DescribeLogDirsResponse, DescribeQuorumRequest, DescribeQuorumResponse,
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse, ElectLeadersRequest,
    ElectLeadersResponse, ListConfigResourcesRequest, ListConfigResourcesResponse,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};
use std::collections::BTreeSet;

pub(super) const DENIED: i16 = code::CLUSTER_AUTHORIZATION_FAILED;
pub(super) const WORDS: &str = "Cluster authorization failed.";

/// With an error of the whole answer, and words where it has a place for them.
macro_rules! with_one_error {
    ($request:ty, $response:ty, $operation:expr) => {
        with_one_error!($request, $response, $operation, |_| {});
    };
    ($request:ty, $response:ty, $operation:expr, $also:expr) => {
        impl Admit for $request {
            fn admit(&mut self, judge: &Judge, _: i16) -> Admission<$response> {
                Admission::whole_if(judge.cluster($operation), || {
                    let mut response = <$response>::default();
                    response.error_code = DENIED;
                    let also: fn(&mut $response) = $also;
                    also(&mut response);
                    response
                })
            }
        }
    };
}

with_one_error!(DescribeClientQuotasRequest, DescribeClientQuotasResponse, DescribeConfigs, |response| {
    (response.entries, response.error_message) = (None, Some(WORDS.into()));
});
with_one_error!(
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
    Describe,
    |response| response.error_message = Some(WORDS.into())
);
with_one_error!(
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
    Describe,
    |response| response.error_message = Some(WORDS.into())
);
with_one_error!(DescribeQuorumRequest, DescribeQuorumResponse, Describe, |response| {
    response.error_message = None;
});
with_one_error!(AddRaftVoterRequest, AddRaftVoterResponse, Alter, |response| {
    response.error_message = Some(WORDS.into());
});
with_one_error!(DescribeLogDirsRequest, DescribeLogDirsResponse, Describe);
with_one_error!(ListConfigResourcesRequest, ListConfigResourcesResponse, DescribeConfigs);

impl Admit for AlterClientQuotasRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<AlterClientQuotasResponse> {
        Admission::whole_if(judge.cluster(AlterConfigs), || {
            let entry = |entry: &kafka_wire::alter_client_quotas_request::EntryData| {
                let mut answered = EntryData::default();
                (answered.error_code, answered.error_message) = (DENIED, Some(WORDS.into()));
                let part = |part: &kafka_wire::alter_client_quotas_request::EntityData| {
                    let mut same = EntityData::default();
                    (same.entity_type, same.entity_name) =
                        (part.entity_type.clone(), part.entity_name.clone());
                    same
                };
                answered.entity = entry.entity.iter().map(part).collect();
                answered
            };
            let mut response = AlterClientQuotasResponse::default();
            response.entries = self.entries.iter().map(entry).collect();
            response
        })
    }
}

impl Admit for AlterUserScramCredentialsRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<AlterUserScramCredentialsResponse> {
        Admission::whole_if(judge.cluster(Alter), || {
            let deleted = self.deletions.iter().map(|one| one.name.as_str());
            let users: BTreeSet<&str> =
                deleted.chain(self.upsertions.iter().map(|one| one.name.as_str())).collect();
            let result = |user: &str| {
                let mut result = AlterUserScramCredentialsResult::default();
                result.user = user.into();
                (result.error_code, result.error_message) = (DENIED, Some(WORDS.into()));
                result
            };
            let mut response = AlterUserScramCredentialsResponse::default();
            response.results = users.into_iter().map(result).collect();
            response
        })
    }
}

impl Admit for AlterPartitionReassignmentsRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<AlterPartitionReassignmentsResponse> {
        Admission::whole_if(judge.cluster(Alter), || {
            let partition = |number| {
                let mut one = ReassignablePartitionResponse::default();
                one.partition_index = number;
                (one.error_code, one.error_message) = (DENIED, Some(WORDS.into()));
                one
            };
            let mut response = AlterPartitionReassignmentsResponse::default();
            response.allow_replication_factor_change = self.allow_replication_factor_change;
            (response.error_code, response.error_message) = (DENIED, Some(WORDS.into()));
            response.responses = self
                .topics
                .iter()
                .map(|topic| {
                    let mut answered = ReassignableTopicResponse::default();
                    answered.name = topic.name.clone();
                    answered.partitions =
                        topic.partitions.iter().map(|one| partition(one.partition_index)).collect();
                    answered
                })
                .collect();
            response
        })
    }
}

impl Admit for AlterReplicaLogDirsRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<AlterReplicaLogDirsResponse> {
        Admission::whole_if(judge.cluster(Alter), || {
            let mut response = AlterReplicaLogDirsResponse::default();
            for topic in self.dirs.iter().flat_map(|dir| &dir.topics) {
                let mut answered = AlterReplicaLogDirTopicResult::default();
                answered.topic_name = topic.name.clone();
                let partition = |number: &i32| {
                    let mut one = AlterReplicaLogDirPartitionResult::default();
                    (one.partition_index, one.error_code) = (*number, DENIED);
                    one
                };
                answered.partitions = topic.partitions.iter().map(partition).collect();
                response.results.push(answered);
            }
            response
        })
    }
}

impl Admit for ElectLeadersRequest {
    fn admit(&mut self, judge: &Judge, version: i16) -> Admission<ElectLeadersResponse> {
        Admission::whole_if(judge.cluster(Alter), || {
            let mut response = ElectLeadersResponse::default();
            // Version 0 has no place for it.
            response.error_code = if version >= 1 { DENIED } else { code::NONE };
            for topic in self.topic_partitions.iter().flatten() {
                let mut answered = ReplicaElectionResult::default();
                answered.topic = topic.topic.clone();
                let partition = |number: &i32| {
                    let mut one = PartitionResult::default();
                    (one.partition_id, one.error_code, one.error_message) = (*number, DENIED, None);
                    one
                };
                answered.partition_result = topic.partitions.iter().map(partition).collect();
                response.replica_election_results.push(answered);
            }
            response
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::fixture::judge;
    use super::*;
    use crate::kafka::apis::admin::fixture::Cluster;
    use crate::kafka::codec::wire::{self, BytesMut, KafkaRequest};
    use engine::control::acls::ResourceType;

    /// Denied to who has no right, whole to who has the one; every version carries the denial.
    fn is_judged<R>(mut request: R, operation: engine::control::acls::Operation) -> Vec<R::Response>
    where
        R: Admit + KafkaRequest,
        R::Response: wire::KafkaEncode + Clone,
    {
        let api = R::API_KEY.value();
        let right = [(operation, ResourceType::Cluster, "kafka-cluster")];
        let allowed = request.admit(&judge(Cluster::new(1), api, &right), 0);
        assert!(matches!(allowed, Admission::Whole), "{}", R::NAME);
        let versions = R::SUPPORTED_VERSIONS.min().value()..=R::SUPPORTED_VERSIONS.max().value();
        versions
            .map(|version| {
                let denied = request.admit(&judge(Cluster::new(1), api, &[]), version);
                let Admission::Denied(response) = denied else { panic!("{} was not denied", R::NAME) };
                wire::encode(&mut BytesMut::new(), &response, version).expect("it is carried");
                response
            })
            .collect()
    }

    #[test]
    fn the_whole_is_denied_and_what_was_named_has_the_error_too() {
        let mut topic = kafka_wire::elect_leaders_request::TopicPartitions::default();
        (topic.topic, topic.partitions) = ("a".into(), vec![0]);
        let mut elect = ElectLeadersRequest::default();
        elect.topic_partitions = Some(vec![topic]);
        let answers = is_judged(elect, Alter);
        assert_eq!(answers[0].replica_election_results[0].partition_result[0].error_code, DENIED);
        assert_eq!((answers[0].error_code, answers[1].error_code), (0, DENIED));
        let mut user = kafka_wire::alter_user_scram_credentials_request::ScramCredentialUpsertion::default();
        user.name = "alice".into();
        let mut users = AlterUserScramCredentialsRequest::default();
        users.upsertions = vec![user.clone(), user];
        let answers = is_judged(users, Alter);
        assert_eq!(answers[0].results.len(), 1);
        assert_eq!(answers[0].results[0].error_code, DENIED);
        let mut quotas = AlterClientQuotasRequest::default();
        quotas.entries.push(Default::default());
        assert_eq!(is_judged(quotas, AlterConfigs)[0].entries[0].error_code, DENIED);
        is_judged(AlterPartitionReassignmentsRequest::default(), Alter);
        is_judged(AlterReplicaLogDirsRequest::default(), Alter);
        is_judged(DescribeClientQuotasRequest::default(), DescribeConfigs);
        is_judged(DescribeUserScramCredentialsRequest::default(), Describe);
        is_judged(ListPartitionReassignmentsRequest::default(), Describe);
        is_judged(DescribeQuorumRequest::default(), Describe);
        is_judged(DescribeLogDirsRequest::default(), Describe);
        is_judged(ListConfigResourcesRequest::default(), DescribeConfigs);
        is_judged(kafka_wire::DescribeAclsRequest::default(), Describe);
        is_judged(kafka_wire::CreateAclsRequest::default(), Alter);
        is_judged(kafka_wire::DeleteAclsRequest::default(), Alter);
    }
}
