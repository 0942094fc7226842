//! Where a journal is between its recovery and its end.

/// How far a journal's start is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Recovered; the segment that the term start needs is being prepared.
    Starting,
    Running,
    /// Descriptors of committed entries are lost and the operator has not accepted that: reads
    /// only.
    Refusing,
    /// What another replica gave takes the place of all that is here: it takes part in nothing.
    Installing,
    Stopping,
}
