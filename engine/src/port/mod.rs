//! The port of the engine: every word in which a shard is told something and says something. A closed list, below
//! everything that handles it.

mod errand;
mod input;
mod output;
mod report;
mod request;
mod rewriting;
mod transaction;
mod writer;

pub use errand::{Errand, ErrandAnswer};
pub use input::{INPUT_NAMES, Input};
pub use output::{
    AbortedTransaction, Answer, Entry, Event, Fatal, FetchedPartition, Output, PartitionStatus, Produced,
    ProducerStatus, Refusal,
};
pub use report::{Cutting, Damage, DamageKind, RecoveryReport, Rewrote, Settled, Torn};
pub use request::{Acks, Fetch, FetchPartition, Isolation, Produce, Query, QueryKind, RequestId};
pub use rewriting::{NotRewritten, RewriteStatus};
pub use transaction::{JoinRefusal, JoinTransaction, MarkerAnswer, Markers, TransactionVersion};
pub use writer::{BatchWriter, Guard};
