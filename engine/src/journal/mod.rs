//! A journal: segments of entries on disk, their index and cache, and their recovery.

pub mod block_cache;
pub mod checkpoint_file;
pub mod hard_state;
pub mod index;
pub mod index_file;
pub mod meta_record;
pub mod report;
pub mod sealed_index;
