//! The command line of `duramen-dump`.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ops::Range;
use std::path::PathBuf;

/// Looks into Duramen's data: a data folder, one journal's folder or one segment file, on a live
/// broker or at rest. Strictly read-only. All positions are bytes in the file, so that `xxd -s`
/// shows the same bytes.
#[derive(Debug, Parser)]
#[command(name = "duramen-dump", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub common: Common,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  clean, identical (diff)
  1  the command line is wrong
  2  a torn tail, nothing else
  3  damage: something was changed, cut or is missing; diff: the two part
  4  something cannot be read, or was written by a newer version
Rows from a damaged entry are marked: `!` in tables, \"damaged\":true in JSON.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// One row per segment file: what it holds and its state
    Segments(Path),
    /// One row per entry
    Entries(Path),
    /// One row per record batch
    Batches(Path),
    /// One row per record, decompressed; those of committed offsets and groups in fields
    Records(RecordsArgs),
    /// The index files of sealed segments
    Index(IndexArgs),
    /// Runs: files of rewritten batches, their partitions, and the chunks of those
    Runs(RunsArgs),
    /// What runs kept of each partition, record by record, and why
    Keys(RecordsArgs),
    /// Term, vote, commit and synced bound of each journal, copy by copy
    HardState(Path),
    /// Nodes, topics, partitions, spans and configurations, from the meta journal
    Meta(Path),
    /// Checkpoints and what they hold
    Checkpoint(Path),
    /// Sizes of batches and entries, padding waste, compression
    Stats(Path),
    /// First index and byte at which two replicas' journals part
    Diff(DiffArgs),
    /// Checks everything; the exit code tells
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub struct Path {
    /// A data folder, a journal's folder or a segment file
    pub path: PathBuf,
}

#[derive(Debug, Args)]
pub struct RecordsArgs {
    #[command(flatten)]
    pub path: Path,
    /// How keys and values are shown
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// As text; bytes that are none as \xNN. Committed offsets and groups by their fields
    Text,
    Hex,
}

#[derive(Debug, Args)]
pub struct IndexArgs {
    #[command(flatten)]
    pub path: Path,
    /// Which of its tables
    #[arg(long, value_enum, default_value = "partitions")]
    pub table: IndexTable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IndexTable {
    Header,
    Partitions,
    Items,
    Epochs,
    Entries,
}

#[derive(Debug, Args)]
pub struct RunsArgs {
    #[command(flatten)]
    pub path: Path,
    /// Which of their tables
    #[arg(long, value_enum, default_value = "runs")]
    pub table: RunTable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RunTable {
    Runs,
    Partitions,
    Chunks,
}

#[derive(Debug, Args)]
pub struct DiffArgs {
    pub a: PathBuf,
    pub b: PathBuf,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub path: Path,
    /// Also open every batch and compare its records with its header and descriptor
    #[arg(long)]
    pub strict: bool,
    /// Threads (default: one per core)
    #[arg(long)]
    pub threads: Option<usize>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Options of all commands")]
pub struct Common {
    /// One JSON object per line instead of a table; times are milliseconds since 1970
    #[arg(long, global = true)]
    pub json: bool,
    /// Times in UTC instead of this machine's time zone
    #[arg(long, global = true)]
    pub utc: bool,
    /// Hide keys, values and headers of records; only their lengths are shown
    #[arg(long, global = true)]
    pub redact: bool,
    /// Only this journal
    #[arg(long, global = true, value_name = "ID")]
    pub journal: Option<u64>,
    /// Only this topic's batches (needs the data folder, for the name)
    #[arg(long, global = true, value_name = "NAME")]
    pub topic: Option<String>,
    /// Only this partition: its number with --topic, its id in journals without
    #[arg(long, global = true, value_name = "N")]
    pub partition: Option<u64>,
    /// Only batches with offsets in this range; either side may be left out
    #[arg(long, global = true, value_name = "FROM..TO", value_parser = range)]
    pub offsets: Option<Range<i64>>,
    /// Only batches with timestamps in this range, milliseconds since 1970
    #[arg(long, global = true, value_name = "FROM..TO", value_parser = range)]
    pub times: Option<Range<i64>>,
    /// Only batches of this producer
    #[arg(long, global = true, value_name = "ID", allow_negative_numbers = true)]
    pub producer_id: Option<i64>,
    /// Stop after this many rows
    #[arg(long, global = true, value_name = "N")]
    pub limit: Option<u64>,
    /// The journal's secret in hexadecimal, for a segment file without its journal.meta
    #[arg(long, global = true, value_name = "HEX", value_parser = hex)]
    pub secret: Option<u64>,
}

fn range(text: &str) -> Result<Range<i64>, String> {
    let wrong = || format!("'{text}' is no range: use FROM..TO, FROM.. or ..TO (TO is not included)");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let side = |side: &str, open: i64| if side.is_empty() { Ok(open) } else { side.parse() };
    let from = side(from, i64::MIN).map_err(|_| wrong())?;
    let to = side(to, i64::MAX).map_err(|_| wrong())?;
    if from < to { Ok(from..to) } else { Err(wrong()) }
}

fn hex(text: &str) -> Result<u64, String> {
    let digits = text.trim_start_matches("0x");
    u64::from_str_radix(digits, 16)
        .map_err(|_| format!("'{text}' is not a number of up to 16 hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        assert_eq!(range("5.."), Ok(5..i64::MAX));
        assert_eq!(range("..7"), Ok(i64::MIN..7));
        assert!(range("7..5").is_err() && range("x").is_err());
        assert_eq!(hex("0xff"), Ok(255));
    }
}
