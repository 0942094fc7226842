//! The coordinator of transactions of one shard, and what other shards ask of this one about transactions: ends to be
//! written, partitions that join.

use super::errands::Answering;
use super::hosting::Hosting;
use super::marking;
use super::shard_loop::ShardLoop;
use engine::port::{
    Errand, ErrandAnswer, JoinRefusal, JoinTransaction, MarkerAnswer, Markers, TransactionVersion,
};
use engine::transactions::request::AddPartitions;
use engine::transactions::{
    Answer, ProducerEpoch, Request, TransactionConfig, TransactionError, TransactionalIds,
};
use std::rc::Rc;

/// What is told of markers that are committed: in which partitions.
pub type Marked = Rc<dyn Fn(&Markers, &[MarkerAnswer])>;

/// Starts the coordinator, and does what other shards ask of this one.
pub fn start(
    shard: &Rc<ShardLoop>,
    config: TransactionConfig,
    marked: Marked,
) -> Rc<Hosting<TransactionalIds>> {
    let sender = Rc::clone(shard);
    let hosting = Hosting::start(Rc::clone(shard), config, move |hosting, tenure, effect| {
        marking::start(&sender, hosting, tenure, effect);
    });
    let (here, coordinator) = (Rc::clone(shard), Rc::clone(&hosting));
    shard.does_errands(Rc::new(move |errand, answering| match errand {
        Errand::Mark(markers) => mark(&here, &marked, markers, answering),
        Errand::Join(join) => join_here(&coordinator, join, answering),
    }));
    hosting
}

fn mark(shard: &Rc<ShardLoop>, marked: &Marked, markers: Markers, answering: Answering) {
    let ticket = shard.mark(markers.partitions.len(), |request| Markers { request, ..markers.clone() });
    let marked = Rc::clone(marked);
    glommio::spawn_local(async move {
        let answers = ticket.slots.wait().await;
        // Whoever waits for the offsets of a transaction hears of its end before its coordinator does.
        marked(&markers, &answers);
        answering.answer(ErrandAnswer::Marked(answers));
    })
    .detach();
}

fn join_here(hosting: &Rc<Hosting<TransactionalIds>>, join: JoinTransaction, answering: Answering) {
    let partitions = join.partitions.len();
    let ticket = hosting.begin(Request::Add(AddPartitions {
        transactional_id: join.transactional_id,
        producer: ProducerEpoch { id: join.producer.0, epoch: join.epoch },
        partitions: join.partitions,
        verify_only: !join.adds,
        version: if join.adds { TransactionVersion::Two } else { TransactionVersion::One },
    }));
    glommio::spawn_local(async move {
        let results = match ticket.answer().await {
            Answer::Added(Ok(results)) => results.into_iter().map(|one| one.map_err(join_refusal)).collect(),
            Answer::Added(Err(error)) => vec![Err(join_refusal(error)); partitions],
            other => panic!("partitions were answered with {other:?}"),
        };
        answering.answer(ErrandAnswer::Joined(results));
    })
    .detach();
}

fn join_refusal(error: TransactionError) -> JoinRefusal {
    match error {
        TransactionError::ConcurrentTransactions => JoinRefusal::Concurrent,
        TransactionError::ProducerFenced => JoinRefusal::OldEpoch,
        TransactionError::InvalidProducerIdMapping => JoinRefusal::OtherProducer,
        TransactionError::TransactionAbortable
        | TransactionError::InvalidTxnState
        | TransactionError::InvalidRequest
        | TransactionError::InvalidTransactionTimeout
        | TransactionError::TransactionalIdNotFound
        | TransactionError::TooMany => JoinRefusal::NotInTransaction,
        TransactionError::CoordinatorLoadInProgress
        | TransactionError::CoordinatorNotAvailable
        | TransactionError::NotCoordinator => JoinRefusal::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_is_told_whether_asking_again_helps() {
        assert_eq!(join_refusal(TransactionError::NotCoordinator), JoinRefusal::Unavailable);
        assert_eq!(join_refusal(TransactionError::ConcurrentTransactions), JoinRefusal::Concurrent);
        assert_eq!(join_refusal(TransactionError::TransactionAbortable), JoinRefusal::NotInTransaction);
        assert_eq!(join_refusal(TransactionError::ProducerFenced), JoinRefusal::OldEpoch);
    }
}
