//! Partitions that join a transaction: AddPartitionsToTxn, AddOffsetsToTxn, and what the leader of
//! a partition asks before a transaction's first batch there.
//!
//! What can only be answered when something else is decided (another record of the id is on its
//! way, the transaction before is still being ended) waits for that for a moment: a client that is
//! told CONCURRENT_TRANSACTIONS sleeps for longer. All that waited become one record.

use super::config::PARTITIONS_MAX;
use super::error::TransactionError;
use super::ids::Ids;
use super::request::{AddPartitions, Answer};
use super::room;
use super::state::State;
use super::transaction::{Next, Waiting};
use super::words::{Pending, TransactionTimer, Turn};
use crate::port::RequestId;
use std::sync::Arc;

/// A partition's leader gives up after as long.
const WAIT_MS: u64 = 100;

type Results = Vec<Result<(), TransactionError>>;

/// What becomes of a request now.
enum Judged {
    Answered(Result<Results, TransactionError>),
    Waits,
    /// These of its partitions are to be added.
    Adds,
}

pub fn add(ids: &mut Ids, request: RequestId, add: AddPartitions, turn: &mut Turn<'_>) {
    let until_ns = turn.after_ms(WAIT_MS);
    let id = Arc::clone(&add.transactional_id);
    let waiting = Waiting { request, add, until_ns };
    match judge(ids, &waiting.add) {
        Judged::Answered(result) => turn.answer(request, Answer::Added(result)),
        Judged::Waits => park(ids, &id, waiting, turn),
        Judged::Adds => write(ids, &id, vec![waiting], turn),
    }
}

/// Something about the id was decided: whoever waited is looked at again.
pub fn go_on(ids: &mut Ids, id: &Arc<str>, turn: &mut Turn<'_>) {
    if ids.get(id).is_none_or(|transaction| transaction.waiting.is_empty()) {
        return;
    }
    let mut adding = Vec::new();
    for waiting in ids.change(id, |transaction| core::mem::take(&mut transaction.waiting)) {
        match judge(ids, &waiting.add) {
            Judged::Answered(result) => turn.answer(waiting.request, Answer::Added(result)),
            Judged::Waits => ids.change(id, |transaction| transaction.waiting.push(waiting)),
            Judged::Adds => adding.push(waiting),
        }
    }
    if !adding.is_empty() {
        write(ids, id, adding, turn);
    }
}

/// Those that waited for too long are told so.
pub fn give_up(ids: &mut Ids, id: &Arc<str>, turn: &mut Turn<'_>) {
    if ids.get(id).is_none() {
        return;
    }
    let now_ns = turn.now.mono_ns;
    let is_over = |waiting: &mut Waiting| waiting.until_ns <= now_ns;
    let over: Vec<Waiting> =
        ids.change(id, |transaction| transaction.waiting.extract_if(.., is_over).collect());
    for waiting in over {
        turn.answer(waiting.request, Answer::Added(Err(TransactionError::ConcurrentTransactions)));
    }
}

fn park(ids: &mut Ids, id: &Arc<str>, waiting: Waiting, turn: &mut Turn<'_>) {
    turn.timers.set(waiting.until_ns, TransactionTimer::Waiting { id: Arc::clone(id) });
    ids.change(id, |transaction| transaction.waiting.push(waiting));
}

fn judge(ids: &Ids, add: &AddPartitions) -> Judged {
    let refuse = |error| Judged::Answered(Err(error));
    if add.transactional_id.is_empty() {
        return refuse(TransactionError::InvalidRequest);
    }
    let Some(transaction) = ids.get(&add.transactional_id) else {
        return refuse(TransactionError::InvalidProducerIdMapping);
    };
    let Some(known) = &transaction.known else { return Judged::Waits };
    let told = known.told();
    if told.id != add.producer.id {
        return refuse(TransactionError::InvalidProducerIdMapping);
    }
    if told.epoch != add.producer.epoch {
        return refuse(TransactionError::ProducerFenced);
    }
    let is_ending = matches!(known.state, State::Prepare(_));
    if add.verify_only {
        if is_ending {
            return refuse(TransactionError::ConcurrentTransactions);
        }
        let judged = |partition| match known.partitions.contains(partition) {
            true => Ok(()),
            // It can only be that the client never added it, or that its transaction was ended.
            false => Err(TransactionError::TransactionAbortable),
        };
        return Judged::Answered(Ok(add.partitions.iter().map(judged).collect()));
    }
    if transaction.next.is_some() || is_ending {
        return Judged::Waits;
    }
    if known.state == State::Ongoing && add.partitions.iter().all(|one| known.partitions.contains(one)) {
        return Judged::Answered(Ok(vec![Ok(()); add.partitions.len()]));
    }
    Judged::Adds
}

/// One record for all of them, which are of one producer: it was judged.
fn write(ids: &mut Ids, id: &Arc<str>, adding: Vec<Waiting>, turn: &mut Turn<'_>) {
    let added: usize =
        adding.iter().flat_map(|one| &one.add.partitions).map(|(topic, _)| topic.len() + 8).sum();
    let transaction = ids.get(id).expect("it was judged");
    let known = transaction.known.as_ref().expect("it was judged");
    let version = adding[0].add.version;
    let partitions = adding.iter().flat_map(|one| one.add.partitions.iter().cloned());
    let next = known.with_partitions(partitions, version, turn.now.wall_ms);
    let requests = adding.iter().map(|one| (one.request, one.add.partitions.len())).collect();
    let pending = Pending::Add { id: Arc::clone(id), requests };
    if next.partitions.len() <= PARTITIONS_MAX && room::make(ids, id, 0, added, turn).is_ok() {
        return room::write(ids, id, Next::Known(next), pending, turn);
    }
    for one in adding {
        turn.answer(one.request, Answer::Added(Err(TransactionError::TooMany)));
    }
}
