//! What a replica has to do with the runs of others: it fetches those that it lacks, lends those that it has, and tells
//! its leader what it has; a leader keeps what it is told.

use super::run_fetch::RunFetch;
use super::run_holders::RunHolders;
use super::run_lending::RunLending;
use crate::clock::Now;
use crate::ids::{Index, Term};
use crate::peer::run::{RunName, RunsHeld};
use core::time::Duration;

/// What did not change is told again after this, while somebody may wait for it: links lose what is under way.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// A replica's part in the exchange of runs.
#[derive(Debug)]
pub struct RunExchange {
    pub(in crate::journal) fetch: RunFetch,
    pub(in crate::journal) lending: RunLending,
    pub(in crate::journal) holders: RunHolders,
    /// Where the log began when the journal was opened: what was before that was never seen by this process.
    pub(in crate::journal) first_at_start: Index,
    /// The runs that the journal names, and an entry by which all of them were told.
    named: (Vec<RunName>, Index),
    /// Told last: to whom, in which term, what and when.
    told: Option<(RunsHeld, Term, u64)>,
    /// Leftovers of runs that nobody wants were removed since the last one was wanted.
    pub(in crate::journal) swept: bool,
    pub(in crate::journal) sweeping: bool,
    /// It was told that a leader hands over for want of runs.
    pub(in crate::journal) hand_over_ns: u64,
}

impl RunExchange {
    pub fn new(first_at_start: Index) -> Self {
        Self {
            fetch: RunFetch::default(),
            lending: RunLending::default(),
            holders: RunHolders::default(),
            first_at_start,
            named: (Vec::new(), Index::NONE),
            told: None,
            swept: false,
            sweeping: false,
            hand_over_ns: 0,
        }
    }

    /// These are the runs that the journal names, as far as it was applied; gives an entry by which all of them were told:
    /// who has applied the journal so far knows of them.
    pub fn name(&mut self, names: Vec<RunName>, applied: Index) -> Index {
        assert!(self.named.1 <= applied, "the journal goes back from {} to {applied}", self.named.1);
        if self.named.0 != names {
            self.named = (names, applied);
        }
        self.named.1
    }

    /// An entry by which all runs were told that the journal names now.
    pub fn named_by(&self) -> Index {
        self.named.1
    }

    /// Whether this is to be told now: when it is something else than before, or may have been lost. Time and again only
    /// `while_waited_for`.
    pub fn is_to_tell(&mut self, held: &RunsHeld, term: Term, while_waited_for: bool, now: Now) -> bool {
        let is_known = self.told.as_ref().is_some_and(|(told, told_in, at_ns)| {
            let is_same = *told_in == term && RunsHeld { applied: held.applied, ..told.clone() } == *held;
            let is_late = now.mono_ns >= at_ns + TELL_AGAIN.as_nanos() as u64;
            is_same && !(is_late && while_waited_for)
        });
        if !is_known {
            self.told = Some((held.clone(), term, now.mono_ns));
        }
        !is_known
    }

    /// Files are read or written.
    pub fn is_under_way(&self) -> bool {
        self.fetch.is_under_way() || self.lending.is_under_way() || self.sweeping
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{RaftId, RunId};

    fn at(ms: u64) -> Now {
        Now { mono_ns: ms * 1_000_000, wall_ms: 0 }
    }

    fn name(run: u64) -> RunName {
        RunName { run: RunId(run), sum: run }
    }

    #[test]
    fn what_is_named_is_known_to_whoever_applied_what_told_of_it() {
        let mut exchange = RunExchange::new(Index(1));
        assert_eq!(exchange.name(vec![], Index(5)), Index(0));
        assert_eq!(exchange.name(vec![name(1)], Index(7)), Index(7));
        assert_eq!(exchange.name(vec![name(1)], Index(9)), Index(7));
        assert_eq!(exchange.name(vec![name(2)], Index(12)), Index(12));
    }

    #[test]
    fn it_tells_what_changed_at_once_and_the_rest_while_somebody_waits() {
        let mut exchange = RunExchange::new(Index(1));
        let held = |applied, here: &[u64]| RunsHeld {
            from: RaftId(1),
            to: RaftId(2),
            applied: Index(applied),
            here: here.iter().copied().map(name).collect(),
            lacking: 0,
        };
        assert!(exchange.is_to_tell(&held(5, &[]), Term(3), false, at(0)));
        assert!(
            !exchange.is_to_tell(&held(6, &[]), Term(3), false, at(5_000)),
            "how far it is says nothing new"
        );
        assert!(exchange.is_to_tell(&held(6, &[]), Term(3), true, at(5_000)));
        assert!(!exchange.is_to_tell(&held(6, &[]), Term(3), true, at(5_900)));
        assert!(exchange.is_to_tell(&held(6, &[4]), Term(3), false, at(5_901)), "a run came");
        assert!(exchange.is_to_tell(&held(6, &[4]), Term(4), false, at(5_902)), "another term");
        let other = RunsHeld { to: RaftId(3), ..held(6, &[4]) };
        assert!(exchange.is_to_tell(&other, Term(4), false, at(5_903)), "another leader");
    }
}
