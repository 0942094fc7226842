//! What is counted, by whom, and how it becomes a result.

pub mod counts;
pub mod interval;
pub mod result;
pub mod spread;
