//! How far a group is.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Without members: offsets alone, or about to be forgotten.
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
    /// Its end is being written.
    Dead,
}

impl State {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
            State::Dead => "Dead",
        }
    }
}
