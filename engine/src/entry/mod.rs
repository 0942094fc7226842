//! Entries: one raft entry = one 4 KiB-aligned piece of a segment = one write = one send.
//!
//! The bytes are described in `FORMAT.md`; [`layout`] is their only definition in code.

pub mod builder;
pub mod bytes;
pub mod item;
pub mod layout;
pub mod marker;
pub mod reader;
pub mod run_made;
#[cfg(test)]
pub mod samples;
pub mod torn;

pub use bytes::{EntryBytes, Slice};
pub use layout::{BatchDescriptor, EntryHeader, EntryKind};
pub use marker::MarkerFields;
