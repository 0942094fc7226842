//! The replicas of a journal: who leads, what followers have, and what goes to them.

pub mod health;
pub mod holding;
pub mod lead;
pub mod members;
pub mod pace;
pub mod supply;

use crate::ids::{Index, RaftId, Term};
use crate::raft::{Outgoing, Replica};
use health::Refusals;
use lead::Lead;
use members::Members;
use std::collections::VecDeque;
use supply::Supply;

/// A Ready that waits for its entries or its vote to be durable.
#[derive(Debug)]
pub(in crate::journal) struct HeldWork {
    pub number: u64,
    pub last: Option<Index>,
    /// Which of the votes, counted.
    pub vote: Option<u64>,
    /// What peers are told once it is.
    pub hold: Vec<Outgoing>,
}

/// This replica among the others of its journal.
///
/// Invariants:
/// - `lead` is there exactly as long as this replica leads.
/// - `works` are told to raft in their order, each once all of it is durable.
pub struct Quorum {
    pub(in crate::journal) replica: Replica,
    pub(in crate::journal) members: Members,
    /// While it leads.
    pub(in crate::journal) lead: Option<Lead>,
    /// The term and leader that were last told.
    pub(in crate::journal) leader_seen: (Term, Option<RaftId>),
    pub(in crate::journal) works: VecDeque<HeldWork>,
    /// Entries for followers that raft does not have at hand.
    pub(in crate::journal) supply: Supply,
    /// Followers whose message could not be sent.
    pub(in crate::journal) unsent: Vec<RaftId>,
    /// What a leader said that all voters hold.
    pub(in crate::journal) held_by_all: Index,
    /// Messages that were not believed.
    pub(in crate::journal) refusals: Refusals,
}
