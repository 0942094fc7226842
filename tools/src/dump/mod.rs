//! `duramen-dump`: looks into a data folder, strictly read-only.

mod accepted;
pub mod bytes;
pub mod cli;
mod diff;
mod expected;
mod filter;
mod index;
pub mod journal;
mod journal_folder;
mod judge;
mod keys;
mod list;
mod lone_segment;
mod meta;
mod missing;
mod names;
mod offsets_topic;
mod out;
mod progress;
mod records;
mod remark;
mod runs;
mod scan;
mod segment_check;
mod settled;
mod source;
mod state;
mod stats;
mod times;
pub mod transactions_topic;
mod trouble;
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
use times::Clock;
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
    let mut out = Out::new(BufWriter::new(to), cli.common.json, Clock::new(cli.common.utc));
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
    let open = |path: &std::path::Path| Source::open(path, common.secret, common.journal);
    let (path, show): (_, &Show<'_>) = match &cli.command {
        Command::Verify(args) => {
            // What cannot be read is part of its verdict, and the meta journal tells what there should be.
            let source = Source::open(&args.path.path, common.secret, None)?;
            return verify::verify(source, args, common.journal, out);
        }
        Command::Diff(args) => return diff::diff(&open(&args.a)?.whole()?, &open(&args.b)?.whole()?, out),
        Command::HardState(args) => {
            let source = open(&args.path)?;
            let code = source.usable()?;
            state::hard_state(&source, out)?;
            return Ok(code);
        }
        Command::Meta(args) => {
            let source = open(&args.path)?;
            let code = source.usable()?;
            meta::meta(&Names::read(&source)?, out)?;
            return Ok(code);
        }
        Command::Segments(args) => (&args.path, &|c, out| list::segments(&c.source, common, &c.filter, out)),
        Command::Entries(args) => {
            (&args.path, &|c, out| list::entries(&c.source, common, &c.filter, &c.names, out))
        }
        Command::Batches(args) => {
            (&args.path, &|c, out| list::batches(&c.source, common, &c.filter, &c.names, out))
        }
        Command::Records(args) => (&args.path.path, &|c, out| {
            records::records(&c.source, common, args.format, &c.filter, &c.names, out)
        }),
        Command::Index(args) => (&args.path.path, &|c, out| {
            index::index(&c.source, common, args.table, &c.filter, &c.names, out).map(|()| exit::CLEAN)
        }),
        Command::Runs(args) => {
            (&args.path.path, &|c, out| runs::runs(&c.source, args.table, &c.filter, &c.names, out))
        }
        Command::Keys(args) => {
            (&args.path.path, &|c, out| keys::keys(&c.source, common, args.format, &c.filter, &c.names, out))
        }
        Command::Checkpoint(args) => {
            (&args.path, &|c, out| state::checkpoint(&c.source, &c.filter, &c.names, out))
        }
        Command::Stats(args) => (&args.path, &|c, out| stats::stats(&c.source, &c.filter, out)),
    };
    let chosen = Chosen::open(path, common)?;
    Ok(chosen.code.max(show(&chosen, out)?))
}

/// Shows what was chosen, and gives the exit code that it comes to.
type Show<'a> = dyn Fn(&Chosen, &mut Out<'_>) -> Result<u8, Trouble> + 'a;

/// What was pointed at, and which part of it is wanted.
struct Chosen {
    source: Source,
    names: Names,
    filter: Filter,
    /// What is missing was complained of; this is what it comes to.
    code: u8,
}

impl Chosen {
    fn open(path: &std::path::Path, common: &Common) -> Result<Self, Trouble> {
        // Names are read before `--journal` hides the meta journal.
        let mut source = Source::open(path, common.secret, None)?;
        let names = match Names::read(&source) {
            Ok(names) => names,
            Err(trouble) if common.topic.is_some() => return Err(trouble),
            Err(trouble) => {
                complain(format_args!("topics have no names here: {trouble}"));
                Names::none()
            }
        };
        let filter = Filter::new(common, &names)?;
        source.keep_only(common.journal);
        let code = source.usable()?;
        Ok(Self { source, names, filter, code })
    }
}
