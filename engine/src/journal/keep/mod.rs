//! What is kept, and what may go.

pub mod retention;
pub mod sweep;
pub mod upkeep;
