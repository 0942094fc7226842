//! ElectLeaders: a journal goes to its preferred node now, not when leaders drift back.

/// Who asks. What a peer sent goes no further: leaders may have changed meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Asking {
    Operator,
    Peer,
}
