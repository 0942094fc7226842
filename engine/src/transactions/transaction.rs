//! One transactional id: what is committed of it, what is being written, who waits.

use super::metadata::TransactionMetadata;
use super::request::AddPartitions;
use crate::port::RequestId;
use std::sync::Arc;

/// See the head of this file.
///
/// Invariants: at most one record is on its way; what is `known` is committed.
#[derive(Debug)]
pub struct Transaction {
    pub id: Arc<str>,
    /// None until its first record is committed.
    pub known: Option<TransactionMetadata>,
    /// What is being written.
    pub next: Option<Next>,
    /// Partitions to be added once what is on its way is decided.
    pub waiting: Vec<Waiting>,
    /// An open transaction is aborted then, monotonic nanoseconds.
    pub deadline_ns: Option<u64>,
    /// All markers are written, and the record that says so is not.
    pub is_marked: bool,
}

#[derive(Debug)]
pub enum Next {
    Known(TransactionMetadata),
    Forgotten,
}

#[derive(Debug)]
pub struct Waiting {
    pub request: RequestId,
    pub add: AddPartitions,
    pub until_ns: u64,
}

impl Transaction {
    pub fn new(id: Arc<str>) -> Self {
        Self { id, known: None, next: None, waiting: Vec::new(), deadline_ns: None, is_marked: false }
    }

    /// About what it takes in memory.
    pub fn bytes(&self) -> usize {
        2 * self.id.len() + self.known.as_ref().map_or(0, TransactionMetadata::bytes)
    }

    /// Whether it may be forgotten: nothing is open, nothing on its way.
    pub fn is_idle(&self) -> bool {
        self.next.is_none() && self.known.as_ref().is_some_and(|known| known.state.is_finished())
    }
}
