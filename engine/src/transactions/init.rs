//! InitProducerId: a producer begins under a transactional id, or goes on after an error.

use super::config::ID_BYTES_MAX;
use super::error::TransactionError;
use super::ids::Ids;
use super::metadata::{TransactionMetadata, is_exhausted};
use super::request::{Answer, InitProducer, ProducerEpoch};
use super::room;
use super::state::State;
use super::transaction::Next;
use super::words::{Asker, Pending, Turn};
use crate::port::RequestId;

/// What is written for a request.
enum Step {
    /// Its first epoch, or the next one.
    Begin(TransactionMetadata),
    /// What the producer before left open is aborted first.
    Fence(TransactionMetadata),
    NeedsProducerId,
}

/// Answered when the step is committed.
pub fn init(ids: &mut Ids, request: RequestId, init: &InitProducer, turn: &mut Turn<'_>) {
    let id = &init.transactional_id;
    let (next, pending) = match judge(ids, init, turn) {
        Err(error) => return turn.answer(request, Answer::Initialised(Err(error))),
        Ok(Step::NeedsProducerId) => return turn.answer(request, Answer::NeedsProducerId),
        Ok(Step::Begin(next)) => (next, Pending::Init { id: id.clone(), request }),
        Ok(Step::Fence(next)) => {
            let request = Some((request, Asker::InitProducerId));
            (next, Pending::Prepare { id: id.clone(), request })
        }
    };
    room::write(ids, id, Next::Known(next), pending, turn);
}

fn judge(ids: &mut Ids, init: &InitProducer, turn: &mut Turn<'_>) -> Result<Step, TransactionError> {
    let id = &init.transactional_id;
    if id.is_empty() || id.len() > ID_BYTES_MAX {
        return Err(TransactionError::InvalidRequest);
    }
    if !(1..=turn.config.timeout_max_ms).contains(&init.timeout_ms) {
        return Err(TransactionError::InvalidTransactionTimeout);
    }
    let Some(transaction) = ids.get(id) else {
        let Some(fresh) = init.fresh else { return Ok(Step::NeedsProducerId) };
        room::make(ids, id, 1, 2 * id.len(), turn)?;
        let new = TransactionMetadata::new(fresh, init.timeout_ms, turn.now.wall_ms);
        let expected = init.expected.map(|expected| expected.epoch);
        return Ok(Step::Begin(new.bumped(init.timeout_ms, expected, turn.now.wall_ms)?));
    };
    let Some(known) = transaction.known.as_ref().filter(|_| transaction.next.is_none()) else {
        return Err(TransactionError::ConcurrentTransactions);
    };
    if init.expected.is_some_and(|expected| !is_ours(known, expected)) {
        return Err(TransactionError::ProducerFenced);
    }
    match known.state {
        State::Prepare(_) => Err(TransactionError::ConcurrentTransactions),
        // The epoch between is never told; the client asks again and gets the one after.
        State::Ongoing => Ok(Step::Fence(known.fenced(turn.now.wall_ms))),
        State::Empty | State::Complete(_) => begin(known, init, turn),
        State::Dead | State::PrepareEpochFence => panic!("{id}: {:?} is never written", known.state),
    }
}

/// A producer that names itself has the id's producer id, or that of before, whose epochs ended
/// without that it heard so.
fn is_ours(known: &TransactionMetadata, expected: ProducerEpoch) -> bool {
    expected.id == known.producer || (expected.id == known.previous_producer && is_exhausted(expected.epoch))
}

fn begin(
    known: &TransactionMetadata,
    init: &InitProducer,
    turn: &Turn<'_>,
) -> Result<Step, TransactionError> {
    let now_ms = turn.now.wall_ms;
    let is_newest = init.expected.is_none_or(|expected| expected.epoch == known.epoch);
    if known.is_exhausted() && is_newest {
        let Some(fresh) = init.fresh else { return Ok(Step::NeedsProducerId) };
        return Ok(Step::Begin(known.rotated(fresh, init.timeout_ms, init.expected.is_some(), now_ms)));
    }
    let expected = init.expected.map(|expected| expected.epoch);
    Ok(Step::Begin(known.bumped(init.timeout_ms, expected, now_ms)?))
}
