//! How a transaction ends: EndTxn, the time-out, the markers, and what follows when all of them
//! are written.

use super::add;
use super::error::TransactionError;
use super::ids::Ids;
use super::metadata::{EPOCH_MAX, TransactionMetadata};
use super::request::{Answer, EndTransaction};
use super::room;
use super::state::State;
use super::transaction::{Next, Transaction};
use super::words::{Asker, Pending, SendMarkers, TransactionNews, TransactionTimer, Turn};
use crate::batch::Ending;
use crate::port::{RequestId, TransactionVersion};
use std::sync::Arc;

/// A record that could not be written is tried again after this.
const RETRY_MS: u64 = 100;

enum Judged {
    Prepares(TransactionMetadata),
    /// The answer of before was not heard.
    Repeat,
    NeedsProducerId,
}

/// Answered when the end is decided: markers follow on their own.
pub fn end(ids: &mut Ids, request: RequestId, end: &EndTransaction, turn: &mut Turn<'_>) {
    let id = &end.transactional_id;
    match judge(ids, end, turn.now.wall_ms) {
        Err(error) => turn.answer(request, Answer::Ended(Err(error))),
        Ok(Judged::NeedsProducerId) => turn.answer(request, Answer::NeedsProducerId),
        Ok(Judged::Repeat) => {
            let known = ids.get(id).and_then(|transaction| transaction.known.as_ref());
            let told = known.expect("it was judged").told();
            turn.answer(request, Answer::Ended(Ok(told)));
        }
        Ok(Judged::Prepares(next)) => {
            let pending = Pending::Prepare { id: Arc::clone(id), request: Some((request, Asker::EndTxn)) };
            room::write(ids, id, Next::Known(next), pending, turn);
        }
    }
}

fn judge(ids: &Ids, end: &EndTransaction, now_ms: i64) -> Result<Judged, TransactionError> {
    if end.transactional_id.is_empty() {
        return Err(TransactionError::InvalidRequest);
    }
    let transaction = ids.get(&end.transactional_id).ok_or(TransactionError::InvalidProducerIdMapping)?;
    let known = transaction.known.as_ref().ok_or(TransactionError::InvalidProducerIdMapping)?;
    match end.version {
        TransactionVersion::One => judge_version_1(transaction, known, end, now_ms),
        TransactionVersion::Two => judge_version_2(transaction, known, end, now_ms),
    }
}

/// One epoch for all transactions of a producer: the state alone says what is a repeat.
fn judge_version_1(
    transaction: &Transaction,
    known: &TransactionMetadata,
    end: &EndTransaction,
    now_ms: i64,
) -> Result<Judged, TransactionError> {
    if known.producer != end.producer.id {
        return Err(TransactionError::InvalidProducerIdMapping);
    }
    if known.epoch != end.producer.epoch {
        return Err(TransactionError::ProducerFenced);
    }
    if transaction.next.is_some() {
        return Err(TransactionError::ConcurrentTransactions);
    }
    match known.state {
        State::Ongoing => {
            Ok(Judged::Prepares(known.prepared(end.ending, TransactionVersion::One, None, now_ms)))
        }
        State::Complete(ending) if ending == end.ending => Ok(Judged::Repeat),
        State::Prepare(ending) if ending == end.ending => Err(TransactionError::ConcurrentTransactions),
        _ => Err(TransactionError::InvalidTxnState),
    }
}

/// Each transaction has its epoch: that of before is a repeat, the newest one is the next
/// transaction. An abort is taken without a partition, too: what the client sent may not have
/// come to us.
///
/// |                 | abort, repeat | abort, newest | commit, repeat | commit, newest |
/// |-----------------|---------------|---------------|----------------|----------------|
/// | Empty           | fenced        | aborts        | fenced         | invalid        |
/// | aborted         | done          | aborts        | invalid        | invalid        |
/// | committed       | invalid       | aborts        | done           | invalid        |
fn judge_version_2(
    transaction: &Transaction,
    known: &TransactionMetadata,
    end: &EndTransaction,
    now_ms: i64,
) -> Result<Judged, TransactionError> {
    let epoch = end.producer.epoch;
    let was_rotated =
        known.previous_producer == end.producer.id && epoch == EPOCH_MAX - 1 && known.epoch == 0;
    let was_raised = i32::from(known.epoch) == i32::from(epoch) + 1;
    if known.producer != end.producer.id && !was_rotated {
        return Err(TransactionError::InvalidProducerIdMapping);
    }
    let is_newest = known.epoch == epoch;
    let is_repeat = was_raised || was_rotated;
    let is_known = match known.state {
        State::Prepare(_) => was_raised,
        State::Complete(_) => is_repeat || is_newest,
        _ => is_newest,
    };
    if !is_known {
        return Err(TransactionError::ProducerFenced);
    }
    if transaction.next.is_some() {
        return Err(TransactionError::ConcurrentTransactions);
    }
    match (known.state, end.ending) {
        (State::Ongoing, _) => prepare(known, end, now_ms),
        (State::Prepare(ending), wanted) if ending == wanted => Err(TransactionError::ConcurrentTransactions),
        (State::Complete(ending), wanted) if is_repeat && ending == wanted => Ok(Judged::Repeat),
        (State::Complete(_), Ending::Abort) if !is_repeat => prepare(known, end, now_ms),
        (State::Empty, Ending::Abort) => prepare(known, end, now_ms),
        _ => Err(TransactionError::InvalidTxnState),
    }
}

fn prepare(
    known: &TransactionMetadata,
    end: &EndTransaction,
    now_ms: i64,
) -> Result<Judged, TransactionError> {
    if known.is_exhausted() && end.fresh.is_none() {
        return Ok(Judged::NeedsProducerId);
    }
    let fresh = end.fresh.filter(|_| known.is_exhausted());
    Ok(Judged::Prepares(known.prepared(end.ending, TransactionVersion::Two, fresh, now_ms)))
}

/// A transaction that is open for too long is aborted, and its producer fenced.
pub fn time_out(ids: &mut Ids, id: &Arc<str>, turn: &mut Turn<'_>) {
    let Some(transaction) = ids.get(id) else { return };
    let Some(known) = transaction.known.as_ref().filter(|known| known.state == State::Ongoing) else {
        return;
    };
    if transaction.deadline_ns.is_none_or(|deadline_ns| deadline_ns > turn.now.mono_ns) {
        return;
    }
    if transaction.next.is_some() {
        // Its outcome first.
        return time_out_later(id, turn);
    }
    let next = Next::Known(known.fenced(turn.now.wall_ms));
    room::write(ids, id, next, Pending::Prepare { id: Arc::clone(id), request: None }, turn);
}

pub fn time_out_later(id: &Arc<str>, turn: &mut Turn<'_>) {
    let again_ns = turn.after_ms(RETRY_MS);
    turn.timers.set(again_ns, TransactionTimer::Timeout { id: Arc::clone(id) });
}

/// Begins the time of a transaction that was begun; what of it is over by the wall clock counts
/// after a failover, within its bounds.
pub fn watch(ids: &mut Ids, id: &Arc<str>, turn: &mut Turn<'_>) {
    let transaction = ids.get(id).expect("it is watched when it is there");
    let Some(known) = transaction.known.as_ref().filter(|known| known.state == State::Ongoing) else {
        return ids.change(id, |transaction| transaction.deadline_ns = None);
    };
    if transaction.deadline_ns.is_some() {
        return;
    }
    let left_ms = known.started_ms.saturating_add(known.timeout_ms.into()).saturating_sub(turn.now.wall_ms);
    let left_ms = left_ms.clamp(0, known.timeout_ms.into()).unsigned_abs();
    let deadline_ns = turn.after_ms(left_ms);
    turn.timers.set(deadline_ns, TransactionTimer::Timeout { id: Arc::clone(id) });
    ids.change(id, |transaction| transaction.deadline_ns = Some(deadline_ns));
}

/// The end is decided: markers go to all partitions.
pub fn send_markers(ids: &mut Ids, id: &Arc<str>, turn: &mut Turn<'_>) {
    let transaction = ids.get(id).expect("its end was decided");
    let known = transaction.known.as_ref().expect("its end was decided");
    let State::Prepare(ending) = known.state else { panic!("{id}: no markers in {:?}", known.state) };
    if known.partitions.is_empty() {
        return complete(ids, id, turn);
    }
    turn.effect(SendMarkers {
        transactional_id: Arc::clone(id),
        producer: super::request::ProducerEpoch { id: known.producer, epoch: known.epoch },
        version: known.version(),
        ending,
        partitions: known.partitions.iter().cloned().collect(),
    });
}

/// All partitions have their marker.
pub fn marked(ids: &mut Ids, news: &TransactionNews, turn: &mut Turn<'_>) {
    let TransactionNews::Marked { transactional_id: id, producer } = news;
    let Some(transaction) = ids.get(id) else { return };
    let Some(known) = &transaction.known else { return };
    let is_it = known.producer == producer.id && known.epoch == producer.epoch;
    if is_it && matches!(known.state, State::Prepare(_)) && transaction.next.is_none() {
        complete(ids, id, turn);
    }
}

fn complete(ids: &mut Ids, id: &Arc<str>, turn: &mut Turn<'_>) {
    let known = ids.get(id).and_then(|transaction| transaction.known.as_ref()).expect("its end was decided");
    let next = Next::Known(known.completed(turn.now.wall_ms));
    ids.change(id, |transaction| transaction.is_marked = true);
    room::write(ids, id, next, Pending::Complete { id: Arc::clone(id) }, turn);
}

/// COMPLETE could not be written.
pub fn complete_later(id: &Arc<str>, turn: &mut Turn<'_>) {
    let again_ns = turn.after_ms(RETRY_MS);
    turn.timers.set(again_ns, TransactionTimer::Complete { id: Arc::clone(id) });
}

pub fn complete_again(ids: &mut Ids, id: &Arc<str>, turn: &mut Turn<'_>) {
    let Some(transaction) = ids.get(id) else { return };
    let is_prepared =
        transaction.known.as_ref().is_some_and(|known| matches!(known.state, State::Prepare(_)));
    if is_prepared && transaction.is_marked && transaction.next.is_none() {
        complete(ids, id, turn);
        add::go_on(ids, id, turn);
    }
}
