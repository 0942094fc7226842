//! How far a transaction is.

use crate::batch::Ending;

/// Kafka's states, numbers and names.
///
/// ```text
///   Empty ──add──→ Ongoing ──end──→ PrepareCommit ──markers──→ CompleteCommit ─┐
///     ↑              │  ↑  └──────→ PrepareAbort  ──markers──→ CompleteAbort  ─┤
///     └── init ──────┼──┴────────────────────── add ───────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// No transaction since the producer was initialised.
    Empty,
    Ongoing,
    /// The end is decided; markers are on their way.
    Prepare(Ending),
    /// All markers are written.
    Complete(Ending),
    /// The transactional id is being forgotten. Never written, as in Kafka: a tombstone is.
    Dead,
    /// An older producer is being fenced. Never written either.
    PrepareEpochFence,
}

impl State {
    pub const ALL: [Self; 8] = [
        Self::Empty,
        Self::Ongoing,
        Self::Prepare(Ending::Commit),
        Self::Prepare(Ending::Abort),
        Self::Complete(Ending::Commit),
        Self::Complete(Ending::Abort),
        Self::Dead,
        Self::PrepareEpochFence,
    ];

    /// What stands in a record.
    pub fn number(self) -> i8 {
        let at = Self::ALL.iter().position(|state| *state == self).expect("all are listed");
        i8::try_from(at).expect("eight")
    }

    pub fn of_number(number: i8) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::Prepare(Ending::Commit) => "PrepareCommit",
            Self::Prepare(Ending::Abort) => "PrepareAbort",
            Self::Complete(Ending::Commit) => "CompleteCommit",
            Self::Complete(Ending::Abort) => "CompleteAbort",
            Self::Dead => "Dead",
            Self::PrepareEpochFence => "PrepareEpochFence",
        }
    }

    /// Nothing is open: the id may be forgotten, and a new transaction may begin.
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Empty | Self::Complete(_))
    }

    /// Records of it are undecided somewhere, or may be.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Ongoing | Self::Prepare(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_kafkas() {
        let names = [
            "Empty",
            "Ongoing",
            "PrepareCommit",
            "PrepareAbort",
            "CompleteCommit",
            "CompleteAbort",
            "Dead",
            "PrepareEpochFence",
        ];
        for (number, name) in (0..).zip(names) {
            let state = State::of_number(number).expect("eight");
            assert_eq!((state.number(), state.name()), (number, name));
        }
        assert_eq!((State::of_number(8), State::of_number(-1)), (None, None));
    }
}
