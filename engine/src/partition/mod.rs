//! Partitions: what a journal's entries add up to.
//!
//! [`fold::Fold`] is the committed state, the same on every replica. [`tail::Tail`] is what a
//! leader adds for entries not yet committed; it is thrown away when the leader steps down.

pub mod fold;
pub mod fold_bytes;
pub mod producers;
pub mod refused;
pub mod runs;
pub mod silent;
pub mod tail;
pub mod transactions;

pub use fold::{Fold, Partition};
pub use tail::Tail;
