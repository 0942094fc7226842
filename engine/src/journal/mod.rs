//! A journal: segments of entries on disk, their index and cache, and their recovery.
//!
//! [`Journal`] is the state machine; the other files are its parts. Long disk work (recovery,
//! preparing, sealing, cold reads, retention) is in procedures that `step` resumes.

pub mod appender;
pub mod block_cache;
pub mod by_time;
pub mod cache;
pub mod checkpoint_file;
pub mod covering;
pub mod cursor;
mod cut;
pub mod deleting;
pub mod digest;
pub mod doubt;
pub mod effects;
pub mod ending;
mod follow;
pub mod hard_state;
pub mod heads;
pub mod health;
mod holding;
pub mod index;
pub mod index_file;
pub mod install;
pub mod install_file;
pub mod lead;
pub mod lending;
mod members;
pub mod mending;
pub mod meta_record;
pub mod pace;
pub mod procedures;
pub mod produce;
mod proven_loss;
pub mod read;
mod read_thin;
mod rebuild;
pub mod recovery;
mod refold;
mod reinstall;
pub mod repair;
pub mod report;
pub mod retention;
pub mod running;
pub mod scan;
pub mod scrub;
pub mod sealed_index;
pub mod segment;
pub mod serve;
pub mod space;
pub mod stages;
pub mod state;
mod supply;
pub mod survey;
pub mod upkeep;
pub mod waiters;
pub mod walk;
mod work;
pub mod zeroing;

pub use running::{Journal, Options};
