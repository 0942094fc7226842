//! InitProducerId: numbers for idempotent producers, from a block that this shard holds.

use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::request_context::RequestContext;
use crate::kafka::transactions::next_producer_id;
use core::ops::RangeInclusive;
use kafka_wire::{InitProducerIdRequest, InitProducerIdResponse};

pub struct InitProducerId;

impl Handler for InitProducerId {
    type Request = InitProducerIdRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: InitProducerIdRequest,
    ) -> InitProducerIdResponse {
        let mut response = InitProducerIdResponse::default();
        (response.producer_id, response.producer_epoch) = (-1, -1);
        match producer(context, &request).await {
            Ok((id, epoch)) => (response.producer_id, response.producer_epoch) = (id, epoch),
            Err(error_code) => response.error_code = error_code,
        }
        response
    }
}

async fn producer(context: &Context, request: &InitProducerIdRequest) -> Result<(i64, i16), i16> {
    // Transactions are not built. This error is fatal to every client; one that they retry
    // (such as COORDINATOR_NOT_AVAILABLE) would hang the producer for ever.
    if request.transactional_id.is_some() {
        return Err(code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    }
    // Without transactions an id that the client names is no use: it gets a new one, as from Kafka.
    Ok((next_producer_id(context).await?, 0))
}
