//! What committed entries add up to, and who waits for them.

pub mod asker;
pub mod heads;
pub mod marking;
pub mod shown;
pub mod state;
pub mod waiters;

use crate::entry::builder::{Hint, OpenEntry};
use crate::entry::item::Item;
use crate::ids::{Index, PartitionId};
use crate::partition::Tail;
use crate::partition::refused::RefusedBatches;
use asker::Asker;
use heads::{Head, Heads};
use marking::QueuedMarkers;
use shown::{Authority, NotShown, Shown};
use state::{State, is_understood};
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
    pub(in crate::journal) heads: Heads,
    /// The first of them that this program does not understand: it does not lead.
    pub(in crate::journal) not_understood: Option<Index>,
    pub(in crate::journal) waiters: Waiters,
    pub(in crate::journal) queued_items: VecDeque<(Vec<Item>, Vec<Waiter>)>,
    pub(in crate::journal) queued_commands: VecDeque<(Asker, Vec<u8>)>,
    /// Markers that wait for room, by what goes into one entry.
    pub(in crate::journal) queued_markers: VecDeque<QueuedMarkers>,
    /// Whether readers may be shown what is folded.
    pub(in crate::journal) authority: Authority,
    pub(in crate::journal) refused: RefusedBatches,
    /// The entry that batches are gathered in.
    pub(in crate::journal) open: Option<OpenEntry>,
    /// When the open entry got its first batch.
    pub(in crate::journal) opened_ns: u64,
    pub(in crate::journal) hint: Hint,
}

impl Ledger {
    /// What recovery found: the sum of what is committed, and the heads behind it.
    pub fn new(state: State, heads: VecDeque<Head>, authority: Authority) -> Self {
        let next = state.fold.applied.next();
        assert!(heads.front().is_none_or(|head| head.index() == next), "the heads begin behind the fold");
        Self {
            not_understood: first_not_understood(&heads),
            state,
            tail: Tail::default(),
            heads: Heads::new(heads),
            waiters: Waiters::default(),
            queued_items: VecDeque::new(),
            queued_commands: VecDeque::new(),
            queued_markers: VecDeque::new(),
            authority,
            refused: RefusedBatches::default(),
            open: None,
            opened_ns: 0,
            hint: Hint::default(),
        }
    }

    /// What a reader may be shown of a partition, if it may be shown anything.
    pub fn shown(&self, id: PartitionId) -> Result<Shown<'_>, NotShown> {
        self.authority.check(self.state.fold.applied)?;
        self.committed(id).ok_or(NotShown::NotOpened)
    }

    /// The same for a reader that was shown it already: what it was told only grew since.
    pub fn committed(&self, id: PartitionId) -> Option<Shown<'_>> {
        Shown::of(&self.state.fold, &self.tail, id)
    }

    /// What is left of its authority when it leads no more: alone, what it had.
    pub fn authority_without_lead(&self, is_alone: bool) -> Authority {
        let has_all = self.authority.check(self.state.fold.applied).is_ok();
        if is_alone && has_all { Authority::Alone } else { Authority::None }
    }

    /// Whether it leads, and everything that earlier leaders wrote is folded.
    pub fn is_settled(&self) -> bool {
        matches!(self.authority, Authority::TermStart(start) if self.state.fold.applied >= start)
    }
}

/// The first entry that a newer version wrote: a replica that has one does not lead.
fn first_not_understood(heads: &VecDeque<Head>) -> Option<Index> {
    let is_not = |head: &&Head| head.known().is_some_and(|(header, bytes)| !is_understood(header, bytes));
    heads.iter().find(is_not).map(Head::index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Offset, Term};
    use crate::journal::samples::{PARTITION, batches, opening, record};

    fn fold(ledger: &mut Ledger, head: &Head) {
        let (header, bytes) = head.known().expect("it is not lost");
        ledger.state.apply(header, bytes).expect("it is understood");
    }

    fn opened(authority: Authority) -> Ledger {
        let mut ledger = Ledger::new(State::new(&record(&[1, 2, 3])), [].into(), authority);
        fold(&mut ledger, &opening(Index(1), Term(1)));
        fold(&mut ledger, &batches(Index(2), Term(1), 0, 10));
        ledger
    }

    #[test]
    fn who_may_have_missed_something_shows_nothing() {
        let ledger = opened(Authority::None);
        assert_eq!(ledger.shown(PARTITION).map(|_| ()), Err(NotShown::NoAuthority));
        let before = ledger.committed(PARTITION).expect("it was opened");
        assert_eq!(before.watermark, Offset(10), "a reader that was shown it goes on");
        let alone = opened(Authority::Alone);
        let shown = alone.shown(PARTITION).expect("alone");
        assert_eq!((shown.log_start, shown.watermark, shown.committed), (Offset(0), Offset(10), Index(2)));
        assert_eq!(alone.shown(PartitionId(8)).map(|_| ()), Err(NotShown::NotOpened));
    }

    #[test]
    fn a_leader_shows_once_its_first_entry_is_folded_and_not_what_is_only_appended() {
        let mut ledger = opened(Authority::TermStart(Index(3)));
        assert_eq!(ledger.shown(PARTITION).map(|_| ()), Err(NotShown::NotSettled));
        assert!(!ledger.is_settled());
        fold(&mut ledger, &batches(Index(3), Term(2), 10, 1));
        let appended = batches(Index(4), Term(2), 11, 5);
        let (header, bytes) = appended.known().expect("it is not lost");
        ledger.tail.apply_entry(&ledger.state.fold, header, bytes).expect("it is understood");
        let shown = ledger.shown(PARTITION).expect("settled");
        assert_eq!((shown.watermark, shown.log_end, shown.committed), (Offset(11), Offset(16), Index(3)));
        assert!(ledger.is_settled());
        let kept = [true, false].map(|is_alone| ledger.authority_without_lead(is_alone));
        assert_eq!(kept, [Authority::Alone, Authority::None]);
        ledger.authority = Authority::TermStart(Index(9));
        assert_eq!(ledger.authority_without_lead(true), Authority::None, "it never had all");
    }
}
