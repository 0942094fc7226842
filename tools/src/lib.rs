//! The dump tool and the tidy check.

pub mod tidy;
