//! InitProducerId: numbers for idempotent producers, from a block that this shard holds.

use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::{code, control_error};
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::control::{Command, Outcome};
use kafka_wire::{InitProducerIdRequest, InitProducerIdResponse};

pub struct InitProducerId;

/// Ids that a shard takes from the meta journal at once, as Kafka's brokers do; what is left of a
/// block at a restart is never given.
const BLOCK_IDS: u32 = 1000;

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
    Ok((next_id(context).await?, 0))
}

async fn next_id(context: &Context) -> Result<i64, i16> {
    loop {
        let (next, end) = context.producer_ids.get();
        if next < end {
            context.producer_ids.set((next + 1, end));
            return Ok(next);
        }
        // Several requests may get here at once; each brings a block, and the last one stays.
        match context.control(Command::AllocateProducerIds { count: BLOCK_IDS }).await {
            Ok(Outcome::ProducerIds { first, count }) => {
                context.producer_ids.set((first, first + i64::from(count)));
            }
            Ok(other) => panic!("producer ids were answered with {other:?}"),
            Err(refusal) => return Err(control_error(&refusal).0),
        }
    }
}
