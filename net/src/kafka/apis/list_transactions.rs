//! ListTransactions: the transactional ids that this shard coordinates.

use crate::kafka::codec::wire::StrBytes;
use crate::kafka::codec::wire::list_transactions_response::TransactionState;
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::transactions::describe::unknown_states;
use engine::transactions::request::ListFilter;
use engine::transactions::{Answer, Request};
use kafka_wire::{ListTransactionsRequest, ListTransactionsResponse};

pub struct ListTransactions;

impl Handler for ListTransactions {
    type Request = ListTransactionsRequest;
    /// Version 2 has a pattern of ids, which is not built.
    const VERSIONS: RangeInclusive<i16> = 0..=1;

    fn named(request: &Self::Request) -> usize {
        request.state_filters.len() + request.producer_id_filters.len()
    }

    async fn handle(
        context: &Context,
        &RequestContext { version, .. }: &RequestContext,
        request: ListTransactionsRequest,
    ) -> ListTransactionsResponse {
        let states: Vec<String> =
            request.state_filters.iter().map(|state| state.as_str().to_owned()).collect();
        let unknown = unknown_states(&states);
        let longer_ms = Some(request.duration_filter).filter(|ms| version >= 1 && *ms >= 0);
        let filter =
            ListFilter { producers: request.producer_id_filters, states, open_longer_than_ms: longer_ms };
        let mut response = ListTransactionsResponse::default();
        response.unknown_state_filters = unknown.iter().map(|state| StrBytes::from(state.as_str())).collect();
        let (loading, listed) = match context.transactions.ask(Request::List(filter)).await {
            Answer::Listed { loading, transactions } => (loading, transactions),
            other => panic!("a list was answered with {other:?}"),
        };
        response.error_code = if loading { code::COORDINATOR_LOAD_IN_PROGRESS } else { code::NONE };
        response.transaction_states = listed
            .into_iter()
            .map(|one| {
                let mut state = TransactionState::default();
                state.transactional_id = StrBytes::from(&*one.transactional_id);
                state.producer_id = one.producer_id;
                state.transaction_state = one.state.name().into();
                state
            })
            .collect();
        response
    }
}
