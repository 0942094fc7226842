//! What there is to say of a shard's groups.

/// For the metrics page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupFigures {
    pub groups: u64,
    pub members: u64,
}
