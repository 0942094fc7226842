//! Why a command did not do what was asked, and the exit code that says so.

/// Every failure ends the process with the code of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Options, a workload file, or a file to write to.
    #[error("{0}")]
    Usage(String),
    /// The brokers cannot be reached, or refuse the topics.
    #[error("{0}")]
    Cluster(String),
    /// The run ended early, or records failed for good.
    #[error("{0}")]
    Run(String),
    /// `verify` found something.
    #[error("{0}")]
    Findings(String),
    /// `verify` could not read everything back, so that nobody knows.
    #[error("{0}")]
    Unread(String),
    /// `search` found no rate under the bound.
    #[error("{0}")]
    NoRate(String),
}

pub type Outcome<T> = Result<T, Trouble>;

impl Trouble {
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 1,
            Self::Cluster(_) => 2,
            Self::Run(_) => 3,
            Self::Findings(_) => 4,
            Self::Unread(_) => 5,
            Self::NoRate(_) => 6,
        }
    }
}

pub const EXIT_CODES: &str = "\
Exit codes: 0 done (verify: nothing lost, duplicated, reordered or corrupt); 1 usage, workload file \
or output file; 2 the brokers cannot be reached or refuse the topics; 3 the run ended early or \
records failed for good; 4 verify found something; 5 verify could not read everything back; 6 \
search: no rate keeps the bound. The first SIGINT ends a run early and reports it (verify then reads back), \
the second ends the process; SIGTERM does both within 2 s (128 + signal).";
