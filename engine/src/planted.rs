//! Bugs that a test plants, one at a time, to show that the simulator catches them. Without the
//! feature `planted-bugs`, which no broker is built with, there are none.

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A write that completed is taken for durable.
    AckBeforeSync,
    /// Raft is told of a later write while an earlier one is under way.
    LaterWriteReleasedEarly,
    /// A vote is sent before it is durable.
    VoteBeforeItIsDurable,
    /// Term, vote, commit and synced bound do not survive a restart.
    HardStateForgotten,
    /// Committed entries that are damaged are cut like a torn tail.
    DamageCut,
    /// An entry of a former tail is taken for the next one, whatever the chain says.
    StaleTailTaken,
    /// A new leader does not know what idempotent producers sent before.
    ProducersLost,
    /// What the leader has on its own disk is shown and acknowledged.
    WatermarkFromLeaderAlone,
    /// A coordinator answers commits and assignments that only its own disk has.
    OffsetsAckedByLeaderAlone,
    /// A coordinator that reads its groups back begins to count their generations anew.
    GenerationsForgotten,
    /// The fold depends on who leads: replicas make different checkpoints of the same entries.
    FoldNotClosed,
    /// One that lost what it may have acknowledged votes for longer logs of older terms.
    VoteByIndexAlone,
    /// A bad tail is cut, and a crash makes its replica forget that it was there.
    BadTailForgotten,
    /// A leader goes on to believe what a follower had acknowledged before it lost it.
    MatchedKeptOverStart,
    /// Who lost its votes goes on as if it had given none: it votes, is asked what it has, and is believed.
    AmnesiacBelieved,
    /// A process of an earlier start is met like any other.
    OldCopyBelieved,
    /// A replica that founded its journal alone goes on as if it were, whoever joined since.
    AloneByFounders,
    /// Who reads only what is committed is shown what nobody decided.
    StableAboveOpen,
    /// A sealed segment's index does not know which transactions were aborted.
    AbortedForgotten,
    /// A batch of an epoch that a marker ended is taken.
    LateBatchTaken,
    /// A silent producer is forgotten although its transaction is open.
    OpenProducerForgotten,
    /// A coordinator that begins to lead sends no markers for what is prepared.
    PreparedForgotten,
    /// Offsets of a transaction count before it is committed.
    PendingOffsetShown,
    /// History that an undecided offset needs is freed.
    PendingTrimmed,
    /// A pass takes the newest record of a key for an older one.
    NewestOfKeyDropped,
    /// A tombstone goes while an older record of its key stays.
    TombstoneOutlived,
    /// A run takes the place of its inputs before a majority has it.
    InputsDroppedEarly,
    /// The batch at a partition's end goes with its last record.
    EndNotKept,
}

/// Every one of them.
pub const ALL: [Bug; 28] = [
    Bug::AckBeforeSync,
    Bug::LaterWriteReleasedEarly,
    Bug::VoteBeforeItIsDurable,
    Bug::HardStateForgotten,
    Bug::DamageCut,
    Bug::StaleTailTaken,
    Bug::ProducersLost,
    Bug::WatermarkFromLeaderAlone,
    Bug::OffsetsAckedByLeaderAlone,
    Bug::GenerationsForgotten,
    Bug::FoldNotClosed,
    Bug::VoteByIndexAlone,
    Bug::BadTailForgotten,
    Bug::MatchedKeptOverStart,
    Bug::AmnesiacBelieved,
    Bug::OldCopyBelieved,
    Bug::AloneByFounders,
    Bug::StableAboveOpen,
    Bug::AbortedForgotten,
    Bug::LateBatchTaken,
    Bug::OpenProducerForgotten,
    Bug::PreparedForgotten,
    Bug::PendingOffsetShown,
    Bug::PendingTrimmed,
    Bug::NewestOfKeyDropped,
    Bug::TombstoneOutlived,
    Bug::InputsDroppedEarly,
    Bug::EndNotKept,
];

#[cfg(feature = "planted-bugs")]
mod planting {
    use super::Bug;
    use core::cell::Cell;

    std::thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// From now on this thread's shards have this bug, or none.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    pub(crate) fn is_planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "planted-bugs")]
pub(crate) use planting::is_planted;
#[cfg(feature = "planted-bugs")]
pub use planting::plant;

#[cfg(not(feature = "planted-bugs"))]
pub(crate) const fn is_planted(_: Bug) -> bool {
    false
}
