//! The dump tool and the tidy check.
