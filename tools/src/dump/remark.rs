//! What is said of something that is not as it should be.

use super::trouble::{complain, exit};
use engine::ids::Index;

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Torn,
    Damage,
    Unreadable,
}

impl What {
    pub fn name(self) -> &'static str {
        match self {
            Self::Torn => "torn",
            Self::Damage => "damage",
            Self::Unreadable => "unreadable",
        }
    }

    pub fn exit_code(self) -> u8 {
        match self {
            Self::Torn => exit::TORN,
            Self::Damage => exit::DAMAGE,
            Self::Unreadable => exit::UNREADABLE,
        }
    }
}

/// One row of the report.
#[derive(Clone, Debug)]
pub struct Remark {
    pub what: What,
    pub journal: Option<u64>,
    pub file: String,
    /// Byte in the file.
    pub position: u64,
    pub index: Option<Index>,
    pub text: String,
}

impl Remark {
    /// About a whole file, or one that is not there.
    pub fn of_file(what: What, journal: Option<u64>, file: String, text: impl Into<String>) -> Self {
        Self { what, journal, file, position: 0, index: None, text: text.into() }
    }

    pub fn is_same(&self, other: &Self) -> bool {
        (self.what, &self.file, self.position) == (other.what, &other.file, other.position)
    }

    /// A line on stderr, for commands whose rows say something else.
    pub fn complain(&self) {
        complain(format_args!("{}: {}", self.file, self.text));
    }
}
