//! What committed entries add up to, and who waits for them.

pub mod asker;
pub mod heads;
pub mod state;
pub mod waiters;

use crate::entry::builder::{Hint, OpenEntry};
use crate::entry::item::Item;
use crate::ids::Index;
use crate::partition::Tail;
use crate::partition::refused::RefusedBatches;
use asker::Asker;
use heads::Head;
use state::State;
use std::collections::VecDeque;
use waiters::{Waiter, Waiters};

/// What the entries of a journal add up to: those that are committed, those that the leader speculates on, and the
/// one that is still open.
///
/// Invariants:
/// - `state` is the sum of all entries up to `state.fold.applied`, which are committed; `heads` are those behind.
/// - `tail` is empty unless this replica leads.
pub struct Ledger {
    pub(in crate::journal) state: State,
    pub(in crate::journal) tail: Tail,
    /// Entries that are not folded yet, ascending.
    pub(in crate::journal) heads: VecDeque<Head>,
    /// The first of them that this program does not understand: it does not lead.
    pub(in crate::journal) not_understood: Option<Index>,
    pub(in crate::journal) waiters: Waiters,
    pub(in crate::journal) queued_items: VecDeque<(Vec<Item>, Vec<Waiter>)>,
    pub(in crate::journal) queued_commands: VecDeque<(Asker, Vec<u8>)>,
    /// The first entry of the own term: once it is folded, all earlier ones are committed.
    pub(in crate::journal) term_start: Option<Index>,
    pub(in crate::journal) refused: RefusedBatches,
    /// The entry that batches are gathered in.
    pub(in crate::journal) open: Option<OpenEntry>,
    /// When the open entry got its first batch.
    pub(in crate::journal) opened_ns: u64,
    pub(in crate::journal) hint: Hint,
}
