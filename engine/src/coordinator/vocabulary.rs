//! The words between the runtime and a kind of machine.

use core::fmt::Debug;

/// A record's key and value; no value is a tombstone.
pub type KeyValue = (Vec<u8>, Option<Vec<u8>>);

/// See the head of this file. It stands apart from the machine so that the machine's parts can
/// speak of what they append and answer without knowing the whole.
pub trait Vocabulary {
    type Config;
    type Request: Debug;
    type Answer: Debug;
    /// What follows when an append is committed, or is not.
    type Pending: Debug;
    /// What to look at when its time has come.
    type Timer: Debug + Ord;
    /// What a machine is told that nobody waits for an answer to.
    type News: Debug;
    /// What it wants done outside.
    type Effect: Debug;
    /// What there is, for the metrics page.
    type Figures: Default;

    /// From which size on a history that is more than twice what lives is written again.
    fn history_bytes_min(config: &Self::Config) -> u64;
}
