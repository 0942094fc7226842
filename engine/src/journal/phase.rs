//! Where a journal is between its recovery and its end.

/// How far a journal's start is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Recovered; the segment that the term start needs is being prepared.
    Starting,
    Running,
    /// Alone: descriptors of committed entries are lost and the operator has not accepted that. It serves what
    /// is not lost, and takes nothing new.
    Refusing,
    /// With peers: what it may have acknowledged is lost. It neither votes nor acknowledges until it is whole.
    Quarantined,
    /// What another replica gave takes the place of all that is here: it takes part in nothing.
    Installing,
    Stopping,
}

impl Phase {
    /// Something is lost, and the replica waits for it or for the operator.
    pub fn lacks_entries(self) -> bool {
        matches!(self, Self::Refusing | Self::Quarantined)
    }
}
