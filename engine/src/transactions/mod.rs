//! Transactions (KIP-98, KIP-360, KIP-890): the coordinator of all transactional ids whose partition
//! of `__transaction_state` a shard leads, as a machine of `crate::coordinator`.
//!
//! A transaction's end is decided by the record PREPARE, which is committed before any marker is
//! sent; COMPLETE is written when all partitions have theirs. Whoever leads the partition next
//! goes on where that record stands.
//!
//! ```text
//! InitProducerId ─→ init ─┐
//! AddPartitionsToTxn → add ├─→ metadata (the next step) → record → (committed) → answer
//! EndTxn ─────────→ end ──┘                                  └→ send markers → COMPLETE
//! ```

pub mod add;
pub mod config;
pub mod describe;
pub mod end;
pub mod error;
pub mod ids;
pub mod init;
pub mod machine;
pub mod metadata;
pub mod record;
pub mod request;
pub mod room;
pub mod rounds;
pub mod state;
pub mod transaction;
pub mod words;

#[cfg(test)]
mod tests;

pub use config::TransactionConfig;
pub use error::TransactionError;
pub use machine::TransactionalIds;
pub use request::{Answer, ProducerEpoch, Request};
pub use words::{SendMarkers, TransactionFigures, TransactionNews, TransactionWords};

/// The topic that holds transactions.
pub const TRANSACTIONS_TOPIC: &str = "__transaction_state";
