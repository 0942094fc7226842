//! Why a request about a transaction gets no for an answer. Each is one of Kafka's errors.

use crate::coordinator::AppendError;

/// Named as Kafka names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TransactionError {
    #[error("the coordinator reads its transactions back")]
    CoordinatorLoadInProgress,
    #[error("the coordinator cannot write now")]
    CoordinatorNotAvailable,
    #[error("another broker coordinates this transactional id")]
    NotCoordinator,
    #[error("the request names no transactional id, or no use of it")]
    InvalidRequest,
    #[error("the timeout is not between 1 and transaction.max.timeout.ms")]
    InvalidTransactionTimeout,
    #[error("the transaction before is still being ended, or something about it is being written")]
    ConcurrentTransactions,
    #[error("the producer id is not this transactional id's")]
    InvalidProducerIdMapping,
    #[error("another producer has taken over this transactional id")]
    ProducerFenced,
    #[error("the transaction is not in a state where this is possible")]
    InvalidTxnState,
    #[error("the partition does not belong to the transaction, which can be aborted")]
    TransactionAbortable,
    #[error("no such transactional id")]
    TransactionalIdNotFound,
    #[error("as many transactional ids (or partitions in a transaction) as may be, and none is finished")]
    TooMany,
}

impl From<AppendError> for TransactionError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::NotLeader => Self::NotCoordinator,
            AppendError::TooLarge => Self::TooMany,
            // Its records are part of no transaction.
            AppendError::Unavailable | AppendError::Fenced => Self::CoordinatorNotAvailable,
        }
    }
}
