//! The runtime of coordinators: whoever leads a partition of an internal topic answers for what
//! its records add up to. Consumer groups are one such [`StateMachine`].
//!
//! The runtime follows leadership, reads a partition back when it begins to lead it, appends in
//! order and says when it is committed, sets timers, and bounds the history: all that lives is
//! written again at the tail, and the log begins there. The machine decides, and knows neither
//! journals nor metadata.
//!
//! ```text
//! request → host → leading → led → machine ─┬→ answer
//!                                  log ← records
//!                                   └→ append → (committed) → machine → answer
//! ```

pub mod append;
pub mod fields;
pub mod history;
pub mod host;
pub mod leading;
pub mod led;
pub mod log;
pub mod machine;
pub mod output;
pub mod timers;
pub mod turn;
pub mod vocabulary;

pub use append::{AppendError, AppendId, InTransaction, Tenure};
pub use host::Host;
pub use leading::{Coordinator, Input};
pub use machine::{StateMachine, Unready};
pub use output::{Figures, LoadReport, Output};
pub use timers::Timers;
pub use turn::Turn;
pub use vocabulary::{KeyValue, Vocabulary};

/// Which partition of an internal topic a name belongs to: Kafka's rule, Java's hash of the
/// UTF-16 text, so that tools that work it out themselves find the same one.
pub fn partition_of(name: &str, partitions: i32) -> i32 {
    assert!(partitions > 0, "an internal topic has partitions");
    let hash = name.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
    // Java's Math.abs of the least number is itself; Kafka takes that as 0.
    hash.checked_abs().unwrap_or(0) % partitions
}
