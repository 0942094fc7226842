//! Producers' numbers and transactions.

use super::admit::{Admission, Admit, take_out};
use super::judge::Judge;
use crate::kafka::apis::write_txn_markers::answered;
use crate::kafka::codec::wire::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use crate::kafka::codec::wire::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use crate::kafka::codec::wire::describe_transactions_response::TransactionState;
use crate::kafka::codec::wire::txn_offset_commit_request::TxnOffsetCommitRequestTopic;
use crate::kafka::codec::wire::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use crate::kafka::errors::code;
use engine::control::acls::acl::CLUSTER_NAME;
use engine::control::acls::{Operation, ResourceType};
use kafka_wire::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    DescribeTransactionsRequest, DescribeTransactionsResponse, EndTxnRequest, EndTxnResponse,
    InitProducerIdRequest, InitProducerIdResponse, ListTransactionsRequest, ListTransactionsResponse,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};

const DENIED: i16 = code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
/// From here on brokers ask for others.
const OF_BROKERS_FROM: i16 = 4;

impl Admit for AddPartitionsToTxnRequest {
    fn admit(&mut self, judge: &Judge, version: i16) -> Admission<AddPartitionsToTxnResponse> {
        if version >= OF_BROKERS_FROM {
            return Admission::whole_if(judge.cluster(Operation::ClusterAction), || {
                let mut response = AddPartitionsToTxnResponse::default();
                response.error_code = code::CLUSTER_AUTHORIZATION_FAILED;
                response
            });
        }
        let topics = &self.v3_and_below_topics;
        let may_id = judge.transaction(Operation::Write, &self.v3_and_below_transactional_id);
        let may_topic = |topic: &AddPartitionsToTxnTopic| judge.topic(Operation::Write, &topic.name);
        // All of them, or none.
        let may = may_id && topics.iter().all(may_topic);
        Admission::whole_if(may, || {
            let code_of = |topic: &AddPartitionsToTxnTopic| match (may_id, may_topic(topic)) {
                (false, _) => DENIED,
                (true, false) => code::TOPIC_AUTHORIZATION_FAILED,
                (true, true) => code::OPERATION_NOT_ATTEMPTED,
            };
            let mut response = AddPartitionsToTxnResponse::default();
            response.results_by_topic_v3_and_below =
                topics.iter().map(|topic| topic_refused(topic, code_of(topic))).collect();
            response
        })
    }
}

fn topic_refused(topic: &AddPartitionsToTxnTopic, error_code: i16) -> AddPartitionsToTxnTopicResult {
    let mut refused = AddPartitionsToTxnTopicResult::default();
    refused.name = topic.name.clone();
    refused.results_by_partition = topic
        .partitions
        .iter()
        .map(|number| {
            let mut one = AddPartitionsToTxnPartitionResult::default();
            (one.partition_index, one.partition_error_code) = (*number, error_code);
            one
        })
        .collect();
    refused
}

impl Admit for AddOffsetsToTxnRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<AddOffsetsToTxnResponse> {
        let may_id = judge.transaction(Operation::Write, &self.transactional_id);
        let may = may_id && judge.group(Operation::Read, &self.group_id);
        Admission::whole_if(may, || {
            let mut response = AddOffsetsToTxnResponse::default();
            response.error_code = if may_id { code::GROUP_AUTHORIZATION_FAILED } else { DENIED };
            response
        })
    }
}

impl Admit for EndTxnRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<EndTxnResponse> {
        Admission::whole_if(judge.transaction(Operation::Write, &self.transactional_id), || {
            let mut response = EndTxnResponse::default();
            (response.producer_id, response.producer_epoch) = (-1, -1);
            response.error_code = DENIED;
            response
        })
    }
}

impl Admit for TxnOffsetCommitRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<TxnOffsetCommitResponse> {
        let may_id = judge.transaction(Operation::Write, &self.transactional_id);
        let may_group = judge.group(Operation::Read, &self.group_id);
        let may_all = may_id && may_group;
        let denied = take_out(&mut self.topics, |topic| may_all && judge.topic(Operation::Read, &topic.name));
        let error_code = match (may_id, may_group) {
            (false, _) => DENIED,
            (true, false) => code::GROUP_AUTHORIZATION_FAILED,
            (true, true) => code::TOPIC_AUTHORIZATION_FAILED,
        };
        let tell = move |response: &mut TxnOffsetCommitResponse, denied: Vec<TxnOffsetCommitRequestTopic>| {
            response.topics.extend(denied.into_iter().map(|topic| offsets_refused(topic, error_code)));
        };
        if may_all {
            return Admission::without(denied, tell);
        }
        let mut response = TxnOffsetCommitResponse::default();
        tell(&mut response, denied);
        Admission::Denied(response)
    }
}

fn offsets_refused(topic: TxnOffsetCommitRequestTopic, error_code: i16) -> TxnOffsetCommitResponseTopic {
    let mut refused = TxnOffsetCommitResponseTopic::default();
    refused.partitions = topic
        .partitions
        .iter()
        .map(|partition| {
            let mut one = TxnOffsetCommitResponsePartition::default();
            (one.partition_index, one.error_code) = (partition.partition_index, error_code);
            one
        })
        .collect();
    refused.name = topic.name;
    refused
}

impl Admit for DescribeTransactionsRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<DescribeTransactionsResponse> {
        let denied = take_out(&mut self.transactional_ids, |id| judge.transaction(Operation::Describe, id));
        let judge = judge.clone();
        Admission::part(move |response: &mut DescribeTransactionsResponse| {
            for state in &mut response.transaction_states {
                state.topics.retain(|topic| judge.topic(Operation::Describe, &topic.topic));
            }
            response.transaction_states.extend(denied.into_iter().map(|id| {
                let mut state = TransactionState::default();
                (state.transactional_id, state.error_code) = (id, DENIED);
                state
            }));
        })
    }
}

impl Admit for ListTransactionsRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<ListTransactionsResponse> {
        let judge = judge.clone();
        Admission::part(move |response: &mut ListTransactionsResponse| {
            let sees = |id: &str| judge.sees(Operation::Describe, ResourceType::TransactionalId, id);
            response.transaction_states.retain(|state| sees(&state.transactional_id));
        })
    }
}

impl Admit for WriteTxnMarkersRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<WriteTxnMarkersResponse> {
        // An operator's right, or a broker's.
        let may = judge.cluster(Operation::Alter) || judge.cluster(Operation::ClusterAction);
        Admission::whole_if(may, || {
            let mut response = WriteTxnMarkersResponse::default();
            for marker in std::mem::take(&mut self.markers) {
                let partitions = marker.topics.iter().map(|topic| topic.partition_indexes.len()).sum();
                let codes = vec![code::CLUSTER_AUTHORIZATION_FAILED; partitions];
                response.markers.push(answered(marker, codes));
            }
            response
        })
    }
}

impl Admit for InitProducerIdRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<InitProducerIdResponse> {
        let (may, error_code) = match &self.transactional_id {
            Some(id) => {
                (judge.transaction(Operation::Write, id), code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
            }
            // Who writes any topic may do so idempotently (KIP-679).
            None => {
                let may = judge.sees(Operation::IdempotentWrite, ResourceType::Cluster, CLUSTER_NAME)
                    || judge.writes_any_topic();
                (may, code::CLUSTER_AUTHORIZATION_FAILED)
            }
        };
        Admission::whole_if(may, || {
            let mut response = InitProducerIdResponse::default();
            (response.producer_id, response.producer_epoch) = (-1, -1);
            response.error_code = error_code;
            response
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::fixture::judge;
    use super::*;
    use crate::kafka::apis::admin::fixture::Cluster;
    use crate::kafka::codec::wire::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};

    #[test]
    fn a_producers_number_is_given_to_who_may_write_something() {
        let code_of = |transaction: Option<&str>, rules: &[(Operation, ResourceType, &str)]| {
            let mut request = InitProducerIdRequest::default();
            request.transactional_id = transaction.map(Into::into);
            match request.admit(&judge(Cluster::new(1), 22, rules), 4) {
                Admission::Whole => 0,
                Admission::Denied(response) => response.error_code,
                Admission::Part(_) => panic!("it has no parts"),
            }
        };
        let writes = [(Operation::Write, ResourceType::Topic, "t")];
        let idempotent = [(Operation::IdempotentWrite, ResourceType::Cluster, CLUSTER_NAME)];
        let transaction = [(Operation::Write, ResourceType::TransactionalId, "x")];
        assert_eq!(code_of(None, &[]), code::CLUSTER_AUTHORIZATION_FAILED);
        assert_eq!((code_of(None, &writes), code_of(None, &idempotent)), (0, 0));
        assert_eq!(code_of(Some("x"), &writes), code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        assert_eq!((code_of(Some("x"), &transaction), code_of(Some("y"), &transaction)), (0, 53));
    }

    #[test]
    fn markers_are_written_for_who_may_alter_the_cluster_or_act_for_it() {
        let asked = |rules: &[(Operation, ResourceType, &str)]| {
            let mut topic = WritableTxnMarkerTopic::default();
            (topic.name, topic.partition_indexes) = ("t".into(), vec![4]);
            let mut marker = WritableTxnMarker::default();
            marker.topics.push(topic);
            let mut request = WriteTxnMarkersRequest::default();
            request.markers.push(marker);
            match request.admit(&judge(Cluster::new(1), 27, rules), 1) {
                Admission::Whole => 0,
                Admission::Denied(response) => response.markers[0].topics[0].partitions[0].error_code,
                Admission::Part(_) => panic!("it has no parts"),
            }
        };
        let right = |operation| [(operation, ResourceType::Cluster, CLUSTER_NAME)];
        assert_eq!(asked(&[]), code::CLUSTER_AUTHORIZATION_FAILED);
        assert_eq!((asked(&right(Operation::Alter)), asked(&right(Operation::ClusterAction))), (0, 0));
    }
}
