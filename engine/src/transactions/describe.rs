//! What tools ask: DescribeTransactions, ListTransactions.

use super::error::TransactionError;
use super::ids::Ids;
use super::metadata::TransactionMetadata;
use super::request::{DescribedTransaction, ListFilter, ListedTransaction, ProducerEpoch};
use super::state::State;
use super::transaction::Next;
use std::sync::Arc;

pub fn describe(ids: &Ids, id: &str) -> Result<DescribedTransaction, TransactionError> {
    if id.is_empty() {
        return Err(TransactionError::InvalidRequest);
    }
    let transaction = ids.get(id).filter(|transaction| !matches!(transaction.next, Some(Next::Forgotten)));
    let known = transaction.and_then(|transaction| transaction.known.as_ref());
    let known = known.ok_or(TransactionError::TransactionalIdNotFound)?;
    Ok(DescribedTransaction {
        state: known.state,
        timeout_ms: known.timeout_ms,
        started_ms: known.started_ms,
        producer: ProducerEpoch { id: known.producer, epoch: known.epoch },
        partitions: known.partitions.iter().cloned().collect(),
    })
}

pub fn list<'a>(
    ids: &'a Ids,
    filter: &'a ListFilter,
    now_ms: i64,
) -> impl Iterator<Item = ListedTransaction> + 'a {
    let known = ids.iter().filter_map(|transaction| Some((&transaction.id, transaction.known.as_ref()?)));
    known.filter(move |(_, known)| is_wanted(known, filter, now_ms)).map(|(id, known)| ListedTransaction {
        transactional_id: Arc::clone(id),
        producer_id: known.producer,
        state: known.state,
    })
}

fn is_wanted(known: &TransactionMetadata, filter: &ListFilter, now_ms: i64) -> bool {
    let of_producer = filter.producers.is_empty() || filter.producers.contains(&known.producer);
    let in_state = filter.states.is_empty() || filter.states.iter().any(|name| name == known.state.name());
    let is_long = filter.open_longer_than_ms.is_none_or(|longer_ms| open_ms(known, now_ms) > longer_ms);
    of_producer && in_state && is_long
}

/// How long it is open; −1 where it is not.
pub fn open_ms(known: &TransactionMetadata, now_ms: i64) -> i64 {
    let is_open = known.state.is_open() && known.started_ms >= 0;
    if is_open { now_ms.saturating_sub(known.started_ms).max(0) } else { -1 }
}

/// The states that a filter names and that there are not.
pub fn unknown_states(names: &[String]) -> Vec<String> {
    let is_known = |name: &&String| !State::ALL.iter().any(|state| state.name() == name.as_str());
    names.iter().filter(is_known).cloned().collect()
}
