//! From what a replica goes on.

use super::membership::Membership;
use super::meta::EntryMeta;
use crate::ids::{Index, LogEnd, RaftId, Term};

/// What recovery found, from which a replica goes on.
#[derive(Clone, Debug)]
pub struct ReplicaStart {
    pub id: RaftId,
    /// The members as of `commit`; this one may not be among them yet.
    pub members: Membership,
    pub term: Term,
    pub vote: Option<RaftId>,
    /// Committed and folded.
    pub commit: Index,
    /// The first entry on disk, and the last; last = first − 1 when there are none.
    pub first: Index,
    pub last: Index,
    /// Where each term begins, from the entry before `first` on.
    pub terms: Vec<(Index, Term)>,
    /// The newest entries: at least those above `commit`.
    pub window: Vec<EntryMeta>,
    /// How many of them stay once they are applied.
    pub window_entries: usize,
    /// It counts as one whose log ends here, though it can show no more than up to `last`.
    pub floor: Option<LogEnd>,
    pub seed: u64,
}
