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
use regex::{Regex, RegexBuilder};

pub struct ListTransactions;

/// What a client's pattern may take when it is compiled. It is matched in time that grows with the id alone.
const PATTERN_BYTES_MAX: usize = 1 << 20;

impl Handler for ListTransactions {
    type Request = ListTransactionsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;

    fn named(request: &Self::Request) -> usize {
        request.state_filters.len() + request.producer_id_filters.len()
    }

    async fn handle(
        context: &Context,
        &RequestContext { version, .. }: &RequestContext,
        request: ListTransactionsRequest,
    ) -> ListTransactionsResponse {
        let mut response = ListTransactionsResponse::default();
        let Ok(pattern) = pattern(request.transactional_id_pattern.as_deref()) else {
            response.error_code = code::INVALID_REGULAR_EXPRESSION;
            return response;
        };
        let states: Vec<String> =
            request.state_filters.iter().map(|state| state.as_str().to_owned()).collect();
        let unknown = unknown_states(&states);
        let longer_ms = Some(request.duration_filter).filter(|ms| version >= 1 && *ms >= 0);
        let filter =
            ListFilter { producers: request.producer_id_filters, states, open_longer_than_ms: longer_ms };
        response.unknown_state_filters = unknown.iter().map(|state| StrBytes::from(state.as_str())).collect();
        let (loading, listed) = match context.transactions.ask(Request::List(filter)).await {
            Answer::Listed { loading, transactions } => (loading, transactions),
            other => panic!("a list was answered with {other:?}"),
        };
        response.error_code = if loading { code::COORDINATOR_LOAD_IN_PROGRESS } else { code::NONE };
        response.transaction_states = listed
            .into_iter()
            .filter(|one| pattern.as_ref().is_none_or(|pattern| pattern.is_match(&one.transactional_id)))
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

/// What ids must be like as a whole (RE2's words); none where all are wanted.
fn pattern(text: Option<&str>) -> Result<Option<Regex>, regex::Error> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    // By itself it must be one, or it could leave the brackets that make it the whole.
    RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build()?;
    RegexBuilder::new(&format!(r"\A(?:{text})\z")).size_limit(PATTERN_BYTES_MAX).build().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_the_whole_id_and_is_bounded() {
        let matches = |text, id: &str| pattern(Some(text)).expect("a pattern").expect("one").is_match(id);
        assert!(matches("orders-[0-9]+", "orders-17") && !matches("orders-[0-9]+", "orders-17b"));
        assert!(matches("a|b", "b") && !matches("a|b", "ab"));
        assert!(pattern(None).expect("none").is_none() && pattern(Some("")).expect("none").is_none());
        for bad in ["(", "a)|(b", "(?:(?:a{1000}){1000}){1000}"] {
            assert!(pattern(Some(bad)).is_err(), "{bad}");
        }
    }
}
