//! The dump tool and the tidy check.

pub mod dump;
pub mod tidy;
