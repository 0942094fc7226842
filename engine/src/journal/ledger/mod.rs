//! What committed entries add up to, and who waits for them.

pub mod asker;
pub mod heads;
pub mod marking;
pub mod shown;
pub mod state;
pub mod waiters;

use crate::entry::EntryBytes;
use crate::entry::builder::{Hint, OpenEntry};
use crate::entry::item::Item;
use crate::ids::{Index, PartitionId};
use crate::partition::Tail;
use crate::partition::fold_bytes::Taking;
use crate::partition::refused::RefusedBatches;
use asker::Asker;
use heads::{Head, Heads};
use marking::QueuedMarkers;
use shown::{Authority, NotShown, Shown};
use state::{Applied, State, is_understood};
use std::collections::VecDeque;
use waiters::{Waiter, Waiters};

/// What the entries of a journal add up to: those that are committed, those that the leader speculates on, and the
/// one that is still open.
///
/// Invariants:
/// - `state` is the sum of all entries up to `state.fold.applied`, which are committed; `heads` are those behind.
/// - `heads` follow `state.fold.applied` without a gap.
/// - `tail` and `open` are empty unless this replica leads.
/// - What a newer version wrote is not folded: `state.fold.applied` < `not_understood`.
pub struct Ledger {
    pub(in crate::journal) state: State,
    /// The checkpoint that is being taken at `state.fold.applied`; until it is, nothing is folded.
    pub(in crate::journal) taking: Option<Taking>,
    /// Others have their turn between two of its steps.
    pub(in crate::journal) taking_rests: bool,
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

/// The next committed entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextToFold {
    /// There is none here.
    None,
    /// Only a newer version of the program understands it.
    NotUnderstood,
    Entry(Index),
}

/// An entry that was folded, and what it brought; of a lost one that is nothing.
#[derive(Debug)]
pub struct Folded {
    pub head: Head,
    pub applied: Applied,
}

/// Who waited for this replica as the leader, and gets no answer from it any more.
#[derive(Debug, Default)]
pub struct Unanswered {
    pub waiters: Vec<Waiter>,
    pub commands: Vec<Asker>,
    pub markers: Vec<QueuedMarkers>,
}

impl Ledger {
    /// What recovery found: the sum of what is committed, and the heads behind it.
    pub fn new(state: State, heads: VecDeque<Head>, authority: Authority) -> Self {
        let ledger = Self {
            not_understood: first_not_understood(&heads),
            state,
            taking: None,
            taking_rests: false,
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
        };
        ledger.check();
        ledger
    }

    /// An entry was appended to the log.
    pub fn appended(&mut self, entry: EntryBytes) {
        let next = self.next();
        let header = entry.header();
        assert_eq!(header.index(), next, "heads follow one another");
        if self.not_understood.is_none() && !is_understood(header, entry.head()) {
            self.not_understood = Some(next);
        }
        self.heads.push_back(Head::Entry(entry));
    }

    /// The entry behind the last head.
    fn next(&self) -> Index {
        Index(self.state.fold.applied.0 + self.heads.len() as u64 + 1)
    }

    /// An entry that is not folded yet.
    pub fn head(&self, index: Index) -> Option<&Head> {
        let at = index.0.checked_sub(self.state.fold.applied.0 + 1)?;
        self.heads.get(usize::try_from(at).ok()?)
    }

    /// Whether all of it is understood here: else what follows is not known.
    pub fn is_understood(&self) -> bool {
        self.not_understood.is_none()
    }

    /// The log ends before `from`; gives the checksum of the entry that it ends with.
    pub fn cut(&mut self, from: Index) -> u32 {
        let applied = self.state.fold.applied;
        assert!(from > applied, "entry {from} is cut, and {applied} is committed");
        assert!(self.open.is_none() && self.tail.is_empty(), "a leader's log is never cut");
        let head = self.head(from).and_then(Head::known);
        let (header, _) = head.expect("a replica that lost a head takes no messages");
        let checksum = header.previous_checksum.get();
        self.heads.truncate((from.0 - applied.0 - 1) as usize);
        self.not_understood = self.not_understood.filter(|index| *index < from);
        self.check();
        checksum
    }

    /// This replica leads from entry `start` on: what is not committed is folded on top, once.
    pub fn speculate(&mut self, start: Index) {
        assert!(self.tail.is_empty() && self.open.is_none(), "speculation outlived a leadership");
        for (header, bytes) in self.heads.iter().filter_map(Head::known) {
            let applied = self.tail.apply_entry(&self.state.fold, header, bytes);
            applied.expect("a replica that does not understand an entry does not stand for election");
        }
        self.authority = Authority::TermStart(start);
    }

    /// It leads no more: everything speculative goes, and whoever waited for it is to be told.
    pub fn forget_speculation(&mut self, is_alone: bool) -> Unanswered {
        self.authority = self.authority_without_lead(is_alone);
        self.open = None;
        self.tail.clear();
        let waiters = self.queued_items.drain(..).flat_map(|(_, waiters)| waiters).collect();
        let commands = self.queued_commands.drain(..).map(|(asker, _)| asker).collect();
        let markers = self.queued_markers.drain(..).collect();
        self.check();
        Unanswered { waiters, commands, markers }
    }

    /// What is to be folded next, of what is committed.
    pub fn next_to_fold(&self, commit: Index) -> NextToFold {
        let next = self.state.fold.applied.next();
        if next > commit {
            return NextToFold::None;
        }
        match self.not_understood {
            Some(index) if index == next => NextToFold::NotUnderstood,
            _ if self.heads.is_empty() => NextToFold::None,
            _ => NextToFold::Entry(next),
        }
    }

    /// Folds the next entry, which is committed. Fails where it says what it must not.
    pub fn fold_next(&mut self) -> Result<Folded, String> {
        assert!(self.taking.is_none(), "nothing is folded while a checkpoint is taken");
        let head = self.heads.pop_front().expect("there is a head");
        let before = self.state.fold.applied;
        let mut applied = Applied::default();
        match head.known() {
            Some((header, bytes)) => {
                applied = self.state.apply(header, bytes)?;
                self.tail.committed(header, bytes, &applied.items);
            }
            None => {
                let Head::Lost { index, term } = head else { unreachable!("known heads are above") };
                self.state.skip_lost(index, term);
            }
        }
        assert_eq!(self.state.fold.applied, before.next(), "entries are folded one by one");
        self.check();
        Ok(Folded { head, applied })
    }

    fn check(&self) {
        let applied = self.state.fold.applied;
        assert!(
            self.heads.front().is_none_or(|head| head.index() == applied.next()),
            "a gap behind {applied}"
        );
        assert!(self.not_understood.is_none_or(|index| index > applied), "{applied} is not understood");
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

    fn ledger(heads: Vec<Head>) -> Ledger {
        Ledger::new(State::new(&record(&[1, 2, 3])), heads.into(), Authority::None)
    }

    #[test]
    fn committed_entries_are_folded_one_by_one_and_lost_ones_passed_over() {
        let lost = Head::Lost { index: Index(2), term: Some(Term(1)) };
        let mut ledger = ledger(vec![opening(Index(1), Term(1)), lost, batches(Index(3), Term(1), 5, 1)]);
        assert_eq!(ledger.next_to_fold(Index(0)), NextToFold::None);
        assert_eq!(ledger.next_to_fold(Index(2)), NextToFold::Entry(Index(1)));
        let folded = ledger.fold_next().expect("it is understood");
        assert_eq!((folded.head.index(), folded.applied.items.len()), (Index(1), 1));
        assert!(ledger.fold_next().expect("nothing is known of it").applied.items.is_empty());
        assert_eq!(ledger.next_to_fold(Index(2)), NextToFold::None, "the third is not committed");
        ledger.fold_next().expect("it is understood");
        assert_eq!(ledger.next_to_fold(Index(9)), NextToFold::None, "more is not here");
        assert_eq!(ledger.committed(PARTITION).map(|shown| shown.watermark), Some(Offset(6)));
    }

    #[test]
    fn what_a_newer_version_wrote_stops_the_fold_until_it_is_cut() {
        let newer = crate::journal::samples::head(2, 1, crate::entry::EntryKind::Membership, 1, b"\x09\0");
        let mut ledger = ledger(vec![opening(Index(1), Term(1)), newer]);
        assert!(!ledger.is_understood());
        ledger.fold_next().expect("the first is");
        assert_eq!(ledger.next_to_fold(Index(2)), NextToFold::NotUnderstood);
        ledger.cut(Index(2));
        assert!(ledger.is_understood());
        assert_eq!(ledger.next_to_fold(Index(2)), NextToFold::None);
    }

    #[test]
    fn a_leader_speculates_and_forgets_it() {
        let mut ledger = opened(Authority::None);
        ledger.heads.push_back(batches(Index(3), Term(1), 10, 5));
        ledger.speculate(Index(4));
        let end = |ledger: &Ledger| ledger.committed(PARTITION).map(|shown| shown.log_end);
        assert_eq!(end(&ledger), Some(Offset(15)));
        ledger.queued_commands.push_back((Asker::Shard, Vec::new()));
        let unanswered = ledger.forget_speculation(false);
        assert_eq!((unanswered.waiters.len(), unanswered.commands), (0, vec![Asker::Shard]));
        assert_eq!(end(&ledger), Some(Offset(10)));
        assert_eq!(ledger.head(Index(3)).map(Head::index), Some(Index(3)), "it may yet be committed");
        assert!(ledger.head(Index(2)).is_none() && ledger.head(Index(4)).is_none());
    }

    #[test]
    #[should_panic(expected = "is committed")]
    fn what_is_folded_is_never_cut() {
        opened(Authority::None).cut(Index(2));
    }

    #[test]
    #[should_panic(expected = "a gap behind")]
    fn heads_follow_the_fold() {
        ledger(vec![batches(Index(2), Term(1), 0, 1)]);
    }
}
