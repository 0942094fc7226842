//! What this shard asks coordinators of transactions, and producer ids that nobody has.

use super::context::Context;
use crate::kafka::errors::{code, control_error};
use engine::control::{Command, Outcome, View};
use engine::coordinator::partition_of;
use engine::ids::JournalId;
use engine::port::{Errand, ErrandAnswer, JoinRefusal, JoinTransaction};
use engine::transactions::{Answer, Request, TRANSACTIONS_TOPIC, TransactionError};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// A transaction that is being ended is asked for again this often, and so many times: a client that is told
/// CONCURRENT_TRANSACTIONS waits for longer.
const JOIN_AGAIN: Duration = Duration::from_millis(20);
const JOINS_MAX: usize = 5;

/// While a coordinator is asked, the marker of the transaction before may come, and guards tell transactions apart by
/// markers: what it said yes to is asked again, so many times.
pub const GUARDS_MAX: usize = 5;

/// A client at a bound asks again and again; the log is told once in so long.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// Ids that a shard takes from the meta journal at once, as Kafka's brokers do; what is left of a
/// block at a restart is never given.
const BLOCK_IDS: u32 = 1000;

/// Asks a producer's coordinator, wherever it is, whether partitions belong to its transaction, or adds them.
/// One result for each.
pub async fn join(context: &Context, join: JoinTransaction) -> Vec<Result<(), JoinRefusal>> {
    let mut results = Vec::new();
    for _ in 0..JOINS_MAX {
        results = join_once(context, join.clone()).await;
        if results.iter().all(|result| *result != Err(JoinRefusal::Concurrent)) {
            break;
        }
        glommio::timer::sleep(JOIN_AGAIN).await;
    }
    results
}

async fn join_once(context: &Context, join: JoinTransaction) -> Vec<Result<(), JoinRefusal>> {
    let partitions = join.partitions.len();
    let answer = match coordinator_journal(context, &join.transactional_id) {
        Some(journal) => context.shard.errand(journal, Errand::Join(join)).await,
        None => None,
    };
    match answer {
        Some(ErrandAnswer::Joined(results)) if results.len() == partitions => results,
        _ => vec![Err(JoinRefusal::Unavailable); partitions],
    }
}

fn coordinator_journal(context: &Context, transactional_id: &str) -> Option<JournalId> {
    let view = context.view();
    let topic = view.topics.get(TRANSACTIONS_TOPIC)?;
    let partitions = i32::try_from(topic.partitions.len()).expect("bounded by the metadata's rules");
    let partition = topic.partitions.get(partition_of(transactional_id, partitions) as usize)?;
    Some(partition.spans.last()?.journal)
}

/// The highest leader epoch that any coordinator of transactions is known to have had; 0 where there was none.
pub fn highest_coordinator_epoch(context: &Context, view: &View) -> i32 {
    let Some(topic) = view.topics.get(TRANSACTIONS_TOPIC) else { return 0 };
    let leaders = context.shard.leaders.borrow();
    let spans = topic.partitions.iter().filter_map(|partition| partition.spans.last());
    let epochs = spans.filter_map(|span| Some(leaders.get(span.journal)?.epoch(span.epoch_base).0));
    epochs.max().unwrap_or(0)
}

/// Kafka has no text for it in these answers, so that the log says what is full, once in a while.
pub fn tell_of_bound(answer: &Answer) {
    thread_local! {
        static TOLD: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    let is_full = matches!(
        answer,
        Answer::Initialised(Err(TransactionError::TooMany)) | Answer::Added(Err(TransactionError::TooMany))
    );
    let now = Instant::now();
    if is_full && TOLD.get().is_none_or(|told| now.duration_since(told) >= TELL_AGAIN) {
        TOLD.set(Some(now));
        let why = TransactionError::TooMany;
        tracing::warn!(
            "a client was refused with POLICY_VIOLATION: {why} (metric transactional_ids_refused)"
        );
    }
}

/// Asks this shard's coordinator, a second time with a producer id where it wants one.
pub async fn ask(context: &Context, request: impl Fn(Option<i64>) -> Request) -> Result<Answer, i16> {
    let answer = match context.transactions.ask(request(None)).await {
        Answer::NeedsProducerId => {
            let fresh = next_producer_id(context).await?;
            context.transactions.ask(request(Some(fresh))).await
        }
        answer => answer,
    };
    tell_of_bound(&answer);
    Ok(answer)
}

/// A producer id that nobody has.
pub async fn next_producer_id(context: &Context) -> Result<i64, i16> {
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

/// What leaders of partitions answer where their coordinator said no. Clients before Produce 12 know less.
pub fn join_code(refusal: JoinRefusal, is_newest: bool) -> i16 {
    match refusal {
        JoinRefusal::Concurrent if is_newest => code::CONCURRENT_TRANSACTIONS,
        JoinRefusal::NotInTransaction if is_newest => code::TRANSACTION_ABORTABLE,
        JoinRefusal::NotInTransaction => code::INVALID_TXN_STATE,
        JoinRefusal::OldEpoch => code::INVALID_PRODUCER_EPOCH,
        JoinRefusal::OtherProducer => code::INVALID_PRODUCER_ID_MAPPING,
        JoinRefusal::UnknownPartition => code::UNKNOWN_TOPIC_OR_PARTITION,
        // They try it again.
        JoinRefusal::Concurrent | JoinRefusal::Unavailable => code::NOT_ENOUGH_REPLICAS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_clients_are_told_what_they_know() {
        assert_eq!(join_code(JoinRefusal::Concurrent, true), 51);
        assert_eq!(join_code(JoinRefusal::Concurrent, false), 19);
        assert_eq!(join_code(JoinRefusal::NotInTransaction, true), 120);
        assert_eq!(join_code(JoinRefusal::NotInTransaction, false), 48);
    }
}
