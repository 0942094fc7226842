//! EndTxn: commits or aborts. Answered when that is decided; from version 5 on the answer says who the
//! producer is in its next transaction (KIP-890).

use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::transaction_code;
use crate::kafka::request_context::RequestContext;
use crate::kafka::transactions::ask;
use core::ops::RangeInclusive;
use engine::batch::Ending;
use engine::port::TransactionVersion;
use engine::transactions::request::EndTransaction;
use engine::transactions::{Answer, ProducerEpoch, Request};
use kafka_wire::{EndTxnRequest, EndTxnResponse};
use std::sync::Arc;

pub struct EndTxn;

/// From here on clients know PRODUCER_FENCED.
const FENCED_FROM: i16 = 2;
/// From here on each transaction has an epoch of its own.
const VERSION_2_FROM: i16 = 5;

impl Handler for EndTxn {
    type Request = EndTxnRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;

    async fn handle(
        context: &Context,
        &RequestContext { version, .. }: &RequestContext,
        request: EndTxnRequest,
    ) -> EndTxnResponse {
        let mut response = EndTxnResponse::default();
        (response.producer_id, response.producer_epoch) = (-1, -1);
        match end(context, version, &request).await {
            Ok(ProducerEpoch { id, epoch }) if version >= VERSION_2_FROM => {
                (response.producer_id, response.producer_epoch) = (id, epoch);
            }
            Ok(_) => {}
            Err(error_code) => response.error_code = error_code,
        }
        response
    }
}

async fn end(context: &Context, version: i16, request: &EndTxnRequest) -> Result<ProducerEpoch, i16> {
    let is_newest = version >= VERSION_2_FROM;
    let end = EndTransaction {
        transactional_id: Arc::from(request.transactional_id.as_str()),
        producer: ProducerEpoch { id: request.producer_id, epoch: request.producer_epoch },
        ending: if request.committed { Ending::Commit } else { Ending::Abort },
        version: if is_newest { TransactionVersion::Two } else { TransactionVersion::One },
        fresh: None,
    };
    match ask(context, |fresh| Request::End(EndTransaction { fresh, ..end.clone() })).await? {
        Answer::Ended(Ok(told)) => Ok(told),
        Answer::Ended(Err(error)) => Err(transaction_code(error, version >= FENCED_FROM)),
        other => panic!("an end was answered with {other:?}"),
    }
}
