//! What is wrong with a replica, and how it becomes good again: from its peers, or not at all.

pub mod asking;
pub mod checkpoint_fetch;
pub mod digest;
pub mod done;
pub mod doubt;
pub mod incoming;
pub mod install;
pub mod lending;
pub mod mending;
pub mod proven_loss;
pub mod repair;
pub mod run_disk;
pub mod run_exchange;
pub mod run_fetch;
pub mod run_holders;
pub mod run_lending;

use crate::ids::Index;
use crate::journal::format::doubt_record::Doubt;
use crate::port::Damage;
use asking::Asking;
use digest::Digests;
use install::Installing;
use lending::Lending;
use proven_loss::ProvenLoss;
use repair::Repair;
use run_exchange::RunExchange;

/// What is wrong with this replica, and what becomes of it.
///
/// Invariants:
/// - Damage that peers may have is a job of `repair`, too.
/// - What a doubt says is durable before anything that it speaks of is cut.
pub struct Healer {
    pub(in crate::journal) damage: Vec<Damage>,
    pub(in crate::journal) repair: Repair,
    pub(in crate::journal) digests: Digests,
    pub(in crate::journal) lending: Lending,
    pub(in crate::journal) installing: Installing,
    /// What it may have acknowledged and cannot show, as it is to become durable.
    pub(in crate::journal) doubt: Option<Doubt>,
    pub(in crate::journal) asking: Asking,
    /// Entries whose descriptors are lost.
    pub(in crate::journal) lost: Option<(Index, Index)>,
    /// The same until the entry that accepts it is folded.
    pub(in crate::journal) unaccepted: Option<(Index, Index)>,
    /// A peer said that more was lost than recovery knew of.
    pub(in crate::journal) proven_loss: Option<ProvenLoss>,
    pub(in crate::journal) runs: RunExchange,
    /// Copies of small files that were bad when it was opened.
    pub(in crate::journal) bad_copies: u32,
}
