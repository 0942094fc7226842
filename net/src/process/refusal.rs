//! Why the process did not start: a clear text, a remedy and an exit code.

use std::fmt;

/// Usage and configuration.
pub const EXIT_USAGE: u8 = 1;
/// The machine, its limits, ports and file systems.
pub const EXIT_ENVIRONMENT: u8 = 2;
/// The data folder's contents.
pub const EXIT_DATA: u8 = 3;
/// A running broker said no to a command (4 is `node`'s: a write or a sync failed).
pub const EXIT_REFUSED: u8 = 5;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub exit_code: u8,
    pub what: String,
    /// What the operator can do about it.
    pub remedy: String,
}

impl Refusal {
    pub fn usage(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { exit_code: EXIT_USAGE, what: what.into(), remedy: remedy.into() }
    }

    pub fn environment(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { exit_code: EXIT_ENVIRONMENT, what: what.into(), remedy: remedy.into() }
    }

    pub fn refused(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { exit_code: EXIT_REFUSED, what: what.into(), remedy: remedy.into() }
    }

    pub fn data(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { exit_code: EXIT_DATA, what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names that others chose are in it.
        let what = self.what.replace(|char: char| char.is_control() && char != '\n', "\u{fffd}");
        write!(f, "duramen: {what}\n  remedy: {}", self.remedy)
    }
}

impl std::error::Error for Refusal {}
