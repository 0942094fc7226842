//! Reading: where each batch is, what of it is in memory, and how the rest comes from the disk.

pub mod aborted;
pub mod block_cache;
pub mod by_time;
pub mod cache;
pub mod catalog;
pub mod cold;
pub mod container;
pub mod fence;
pub mod index;
pub mod place;
pub mod run;
#[cfg(test)]
pub mod samples;
pub mod scrub;
pub mod sealed_index;
pub mod thin;
pub mod want;
