//! The replicas of a journal: who leads, what followers have, and what goes to them.

pub mod health;
pub mod holding;
pub mod lead;
pub mod members;
pub mod pace;
pub mod supply;
