//! A journal: segments of entries on disk, their index and cache, and their recovery.

pub mod report;
