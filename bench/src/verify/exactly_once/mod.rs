//! `verify --transactions`: clients that send, read and commit in transactions, that crash and are replaced, while
//! others read; what all of them were told is a history, which Jepsen's rules judge chapter by chapter.

pub mod book;
pub mod chapter;
pub mod command;
pub mod copier;
pub mod told;
pub mod value;
pub mod watcher;
pub mod writer;
