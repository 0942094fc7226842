//! `duramen-dump`: looks into a data folder, strictly read-only.

pub mod bytes;
pub mod cli;
mod diff;
mod filter;
mod index;
mod judge;
mod list;
mod meta;
mod names;
mod out;
mod progress;
mod records;
mod scan;
mod segment_check;
mod source;
mod state;
mod stats;
pub mod trouble;
mod verify;
mod walk;

use clap::Parser;
use cli::{Cli, Command, Common};
use filter::Filter;
use names::Names;
use out::Out;
use source::Source;
use std::ffi::OsString;
use std::io::{BufWriter, Write};
use trouble::{Trouble, complain, exit};

/// Runs the command line; rows go to `to`, everything else to stderr. Gives the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>, to: impl Write) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` are no errors; the rest is, and 2 has another meaning here.
            let _ = error.print();
            return if error.use_stderr() { exit::USAGE } else { exit::CLEAN };
        }
    };
    let mut out = Out::new(BufWriter::new(to), cli.common.json);
    let ended = command(&cli, &mut out);
    match (ended, out.finish()) {
        (Ok(code), Ok(()) | Err(Trouble::Closed)) => code,
        (Err(Trouble::Closed), _) => exit::CLEAN,
        // Rows made before the trouble are still worth reading, and were written just now.
        (Err(trouble), _) | (Ok(_), Err(trouble)) => {
            complain(&trouble);
            trouble.exit_code()
        }
    }
}

fn command(cli: &Cli, out: &mut Out<'_>) -> Result<u8, Trouble> {
    let common = &cli.common;
    filter::refuse_without_meaning(&cli.command, common)?;
    let open = |path: &std::path::Path| Source::open(path, common.secret, common.journal)?.whole();
    match &cli.command {
        Command::Verify(args) => {
            // What cannot be read is part of its verdict.
            let source = Source::open(&args.path.path, common.secret, common.journal)?;
            return verify::verify(&source, args, out);
        }
        Command::Diff(args) => return diff::diff(&open(&args.a)?, &open(&args.b)?, out),
        Command::HardState(args) => state::hard_state(&open(&args.path)?, out)?,
        Command::Meta(args) => meta::meta(&Names::read(&open(&args.path)?)?, out)?,
        Command::Segments(args) => {
            let Chosen { source, filter, .. } = Chosen::open(&args.path, common)?;
            list::segments(&source, common, &filter, out)?;
        }
        Command::Entries(args) => {
            let Chosen { source, filter, .. } = Chosen::open(&args.path, common)?;
            list::entries(&source, common, &filter, out)?;
        }
        Command::Batches(args) => {
            let Chosen { source, filter, names } = Chosen::open(&args.path, common)?;
            list::batches(&source, common, &filter, &names, out)?;
        }
        Command::Records(args) => {
            let Chosen { source, filter, names } = Chosen::open(&args.path.path, common)?;
            records::records(&source, common, args.format, &filter, &names, out)?;
        }
        Command::Index(args) => {
            let Chosen { source, filter, names } = Chosen::open(&args.path.path, common)?;
            index::index(&source, common, args.table, &filter, &names, out)?;
        }
        Command::Checkpoint(args) => {
            let Chosen { source, filter, names } = Chosen::open(&args.path, common)?;
            state::checkpoint(&source, &filter, &names, out)?;
        }
        Command::Stats(args) => {
            let Chosen { source, filter, .. } = Chosen::open(&args.path, common)?;
            stats::stats(&source, &filter, out)?;
        }
    }
    Ok(exit::CLEAN)
}

/// What was pointed at, and which part of it is wanted.
struct Chosen {
    source: Source,
    names: Names,
    filter: Filter,
}

impl Chosen {
    fn open(path: &std::path::Path, common: &Common) -> Result<Self, Trouble> {
        // Names are read before `--journal` hides the meta journal.
        let mut source = Source::open(path, common.secret, None)?.whole()?;
        let names = match Names::read(&source) {
            Ok(names) => names,
            Err(trouble) if common.topic.is_some() => return Err(trouble),
            Err(trouble) => {
                complain(format_args!("topics have no names here: {trouble}"));
                Names::none()
            }
        };
        let filter = Filter::new(common, &names)?;
        source.journals.retain(|journal| common.journal.is_none_or(|only| only == journal.id().0));
        Ok(Self { source, names, filter })
    }
}
