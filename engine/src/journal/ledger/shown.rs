//! What may be shown to a reader: asked of what is committed here, and never of the role.
//!
//! Whatever is folded is committed. But others may have committed more, and shown it: so the ledger also knows
//! whether it has all that any reader was shown before. A leader has, once an entry of its own term is folded; a
//! replica that is alone has, always.

use crate::ids::{Index, Offset, PartitionId};
use crate::partition::{Fold, Partition, Tail};
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
/// `log_start ≤ watermark ≤ log_end`
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    pub partition: &'a Partition,
    pub log_start: Offset,
    /// Records below it are shown.
    pub watermark: Offset,
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
        Some(Self { partition, log_start, watermark, log_end, committed: fold.applied })
    }
}
