//! What committed entries add up to, and who waits for them.

pub mod asker;
pub mod heads;
pub mod state;
pub mod waiters;
