//! AddOffsetsToTxn: a group whose offsets a producer is about to commit within its transaction. What
//! joins that is the group's partition of the offsets topic.

use super::find_coordinator::make_topic;
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::{code, transaction_code};
use crate::kafka::request_context::RequestContext;
use crate::kafka::transactions::tell_of_bound;
use core::ops::RangeInclusive;
use engine::coordinator::partition_of;
use engine::groups::OFFSETS_TOPIC;
use engine::port::TransactionVersion;
use engine::transactions::request::AddPartitions;
use engine::transactions::{Answer, ProducerEpoch, Request};
use kafka_wire::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use std::sync::Arc;

pub struct AddOffsetsToTxn;

/// From here on clients know PRODUCER_FENCED.
const FENCED_FROM: i16 = 2;

impl Handler for AddOffsetsToTxn {
    type Request = AddOffsetsToTxnRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=4;

    async fn handle(
        context: &Context,
        &RequestContext { version, .. }: &RequestContext,
        request: AddOffsetsToTxnRequest,
    ) -> AddOffsetsToTxnResponse {
        let mut response = AddOffsetsToTxnResponse::default();
        response.error_code = add(context, version, &request).await.err().unwrap_or(code::NONE);
        response
    }
}

async fn add(context: &Context, version: i16, request: &AddOffsetsToTxnRequest) -> Result<(), i16> {
    if request.group_id.is_empty() {
        return Err(code::INVALID_GROUP_ID);
    }
    make_topic(context, OFFSETS_TOPIC).await;
    let view = context.view();
    let (name, topic) = view.topics.get_key_value(OFFSETS_TOPIC).ok_or(code::COORDINATOR_NOT_AVAILABLE)?;
    let partitions = i32::try_from(topic.partitions.len()).expect("bounded by the metadata's rules");
    let add = AddPartitions {
        transactional_id: Arc::from(request.transactional_id.as_str()),
        producer: ProducerEpoch { id: request.producer_id, epoch: request.producer_epoch },
        partitions: vec![(Arc::clone(name), partition_of(request.group_id.as_str(), partitions))],
        verify_only: false,
        version: TransactionVersion::One,
    };
    let answer = context.transactions.ask(Request::Add(add)).await;
    tell_of_bound(&answer);
    let answer = match answer {
        Answer::Added(added) => added.and_then(|results| results.into_iter().collect::<Result<(), _>>()),
        other => panic!("a group was answered with {other:?}"),
    };
    answer.map_err(|error| transaction_code(error, version >= FENCED_FROM))
}
