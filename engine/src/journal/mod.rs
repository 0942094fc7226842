//! A journal: segments of entries on disk, their index and cache, and their recovery.

pub mod hard_state;
pub mod meta_record;
pub mod report;
