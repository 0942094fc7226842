//! The tidy check: what the house rules say of the source that rustc and clippy do not hold.
//! Reads text, knows rustfmt's shape of it, and parses nothing.

pub mod arrows;
pub mod cycles;
pub mod ratchet;
pub mod readers;
pub mod sizes;
pub mod source;

pub use ratchet::Ratchet;
pub use source::{Source, SourceFile};

/// Files that do not say in their first line what they own.
pub fn without_headline(source: &Source) -> Vec<String> {
    let silent = |file: &&SourceFile| !file.text.starts_with("//!");
    source
        .files
        .iter()
        .filter(silent)
        .map(|file| format!("{}: no `//!` in its first line", file.path))
        .collect()
}
