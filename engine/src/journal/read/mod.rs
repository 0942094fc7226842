//! Reading: where each batch is, what of it is in memory, and how the rest comes from the disk.

pub mod block_cache;
pub mod by_time;
pub mod cache;
pub mod cold;
pub mod container;
pub mod index;
pub mod place;
pub mod scrub;
pub mod sealed_index;
pub mod thin;
pub mod want;
