//! What may be shown to a reader: asked of what is committed here, and never of the role.
//!
//! Whatever is folded is committed. But others may have committed more, and shown it: so the ledger also knows
//! whether it has all that any reader was shown before. A leader has, once an entry of its own term is folded; a
//! replica that is alone has, always.

use crate::ids::{Index, Offset, PartitionId};
use crate::partition::{Fold, Partition, Tail};
use crate::planted::{Bug, is_planted};
use crate::port::Refusal;

/// Whether the fold has all that readers were shown before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// Others may have shown more.
    None,
    /// Once this entry is folded, the first of the own term, all earlier ones are.
    TermStart(Index),
    /// There is no other replica that counts.
    Alone,
}

/// Why nothing is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotShown {
    /// Others may have shown more.
    NoAuthority,
    /// It leads, and its first entry is not folded yet.
    NotSettled,
    /// No committed entry opened the partition.
    NotOpened,
}

impl From<NotShown> for Refusal {
    fn from(not_shown: NotShown) -> Self {
        match not_shown {
            NotShown::NoAuthority | NotShown::NotSettled => Self::NotLeader,
            NotShown::NotOpened => Self::NotReady,
        }
    }
}

/// A partition as a reader may see it.
///
/// `log_start ≤ stable ≤ watermark ≤ log_end`
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    pub partition: &'a Partition,
    pub log_start: Offset,
    /// Records below it are shown.
    pub watermark: Offset,
    /// Records below it are shown to those who read only what is committed: the first that no marker decided is not below.
    pub stable: Offset,
    /// Behind what the leader appended; a position above it is nobody's.
    pub log_end: Offset,
    /// The last entry of which anything is shown.
    pub committed: Index,
}

impl Authority {
    /// Whether anything may be shown of what is folded up to `applied`.
    pub fn check(self, applied: Index) -> Result<(), NotShown> {
        match self {
            Self::None => Err(NotShown::NoAuthority),
            Self::TermStart(start) if applied < start => Err(NotShown::NotSettled),
            Self::TermStart(_) | Self::Alone => Ok(()),
        }
    }
}

impl<'a> Shown<'a> {
    /// A partition as of what is folded; `tail` is what its leader appended.
    pub fn of(fold: &'a Fold, tail: &Tail, id: PartitionId) -> Option<Self> {
        let partition = fold.partition(id)?;
        let (log_start, watermark) = (partition.log_start, partition.next_offset);
        let log_end = tail.head(fold, id).map_or(watermark, |head| head.next_offset);
        assert!(log_start <= watermark, "{id:?} begins at {log_start:?}, behind its watermark {watermark:?}");
        assert!(watermark <= log_end, "{id:?} is committed to {watermark:?} and ends at {log_end:?}");
        let is_planted = is_planted(Bug::StableAboveOpen);
        let unstable = partition.first_unstable().filter(|_| !is_planted);
        let stable = unstable.map_or(watermark, |unstable| unstable.min(watermark));
        assert!(log_start <= stable, "{id:?} begins at {log_start:?}, and is stable to {stable:?}");
        Some(Self { partition, log_start, watermark, stable, log_end, committed: fold.applied })
    }
}
