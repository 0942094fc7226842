//! How the tool ends.

use std::io::{self, Write};

/// Exit codes, as `--help` lists them.
pub mod exit {
    pub const CLEAN: u8 = 0;
    pub const USAGE: u8 = 1;
    /// `verify`: a torn tail, nothing else.
    pub const TORN: u8 = 2;
    /// `verify`: damage inside; `diff`: the two part.
    pub const DAMAGE: u8 = 3;
    pub const UNREADABLE: u8 = 4;
}

/// A line on stderr. That nobody reads it is no reason to end, which `eprintln` would do.
pub fn complain(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "duramen-dump: {text}");
}

/// Why a command could not go on.
#[derive(Debug)]
pub enum Trouble {
    /// The command line asks for what cannot be done.
    Usage(String),
    /// What it names cannot be read, or a newer version wrote it.
    Unreadable(String),
    /// Nobody reads our output any more: no error.
    Closed,
    /// Our output cannot be written.
    Output(io::Error),
}

impl Trouble {
    pub fn unreadable(what: &std::path::Path, error: impl std::fmt::Display) -> Self {
        Self::Unreadable(format!("{}: {error}", what.display()))
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Closed => exit::CLEAN,
            Self::Usage(_) => exit::USAGE,
            Self::Unreadable(_) | Self::Output(_) => exit::UNREADABLE,
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Usage(text) | Self::Unreadable(text) => f.write_str(text),
            Self::Closed => f.write_str("the output was closed"),
            Self::Output(error) => write!(f, "cannot write the output: {error}"),
        }
    }
}

/// Errors of writing our output; those of reading name the file and are made where it is known.
impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Closed } else { Self::Output(error) }
    }
}
