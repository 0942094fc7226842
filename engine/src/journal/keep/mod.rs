//! What is kept, and what may go.

pub mod retention;
pub mod upkeep;
