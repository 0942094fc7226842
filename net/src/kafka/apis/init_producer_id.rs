//! InitProducerId: numbers for idempotent producers, from a block that this shard holds; with a
//! transactional id an epoch that fences whoever had it before.

use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::{code, transaction_code};
use crate::kafka::request_context::RequestContext;
use crate::kafka::transactions::{ask, next_producer_id};
use core::ops::RangeInclusive;
use engine::transactions::request::InitProducer;
use engine::transactions::{Answer, ProducerEpoch, Request};
use kafka_wire::{InitProducerIdRequest, InitProducerIdResponse};
use std::sync::Arc;

pub struct InitProducerId;

/// From here on clients know PRODUCER_FENCED.
const FENCED_FROM: i16 = 4;

impl Handler for InitProducerId {
    type Request = InitProducerIdRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;

    async fn handle(
        context: &Context,
        &RequestContext { version, .. }: &RequestContext,
        request: InitProducerIdRequest,
    ) -> InitProducerIdResponse {
        let mut response = InitProducerIdResponse::default();
        (response.producer_id, response.producer_epoch) = (-1, -1);
        match producer(context, version, &request).await {
            Ok((id, epoch)) => (response.producer_id, response.producer_epoch) = (id, epoch),
            Err(error_code) => response.error_code = error_code,
        }
        response
    }
}

async fn producer(
    context: &Context,
    version: i16,
    request: &InitProducerIdRequest,
) -> Result<(i64, i16), i16> {
    let expected = expected(request)?;
    let Some(id) = &request.transactional_id else {
        // Without transactions an id that the client names is no use: it gets a new one, as from Kafka.
        return Ok((next_producer_id(context).await?, 0));
    };
    let init = InitProducer {
        transactional_id: Arc::from(id.as_str()),
        timeout_ms: request.transaction_timeout_ms,
        expected,
        fresh: None,
    };
    match ask(context, |fresh| Request::Init(InitProducer { fresh, ..init.clone() })).await? {
        Answer::Initialised(Ok(ProducerEpoch { id, epoch })) => Ok((id, epoch)),
        Answer::Initialised(Err(error)) => Err(transaction_code(error, version >= FENCED_FROM)),
        other => panic!("a producer was answered with {other:?}"),
    }
}

/// Both a producer id and its epoch, or neither.
fn expected(request: &InitProducerIdRequest) -> Result<Option<ProducerEpoch>, i16> {
    match (request.producer_id, request.producer_epoch) {
        (-1, -1) => Ok(None),
        (id, epoch) if id >= 0 && epoch >= 0 => Ok(Some(ProducerEpoch { id, epoch })),
        _ => Err(code::INVALID_REQUEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_id_comes_with_its_epoch() {
        let mut request = InitProducerIdRequest::default();
        (request.producer_id, request.producer_epoch) = (-1, -1);
        assert_eq!(expected(&request), Ok(None));
        (request.producer_id, request.producer_epoch) = (5, 0);
        assert_eq!(expected(&request), Ok(Some(ProducerEpoch { id: 5, epoch: 0 })));
        for (id, epoch) in [(5, -1), (-1, 0), (-2, -1)] {
            (request.producer_id, request.producer_epoch) = (id, epoch);
            assert_eq!(expected(&request), Err(42));
        }
    }
}
