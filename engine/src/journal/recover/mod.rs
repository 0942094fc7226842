//! From what a crash left in a journal's folder to a journal that goes on.

pub mod alone;
pub mod bad_tail;
pub mod bound_entry;
pub mod cutting;
pub mod listing;
pub mod rebuild;
pub mod recovery;
pub mod recovery_error;
pub mod refold;
pub mod reinstall;
pub mod scan;
pub mod survey;
pub mod walk;

#[cfg(test)]
mod recovery_tests;
#[cfg(test)]
mod scan_tests;
#[cfg(test)]
mod walk_tests;
