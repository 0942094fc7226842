//! The command line: commands, help, and the way from a command to an exit code.

use crate::options::Options;
use crate::output::Output;
use crate::run::{self, Plan};
use crate::trouble::{EXIT_CODES, Outcome, Trouble};
use crate::verify::command as verify;
use crate::workload::{FOR_EVER, Purpose, Workload};
use crate::{interrupt, report, search};
use clap::{Args, Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Makes load on any broker that speaks Kafka's protocol, measures it, and proves what was acked
#[derive(Parser, Debug)]
#[command(name = "duramen-bench", version, after_help = EXIT_CODES, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Produce records, in a closed loop or at a rate
    #[command(after_help = EXIT_CODES)]
    Produce(Run),
    /// Read records
    #[command(after_help = EXIT_CODES)]
    Consume {
        #[command(flatten)]
        run: Run,
        /// End where the partitions ended when reading began
        #[arg(long)]
        drain: bool,
    },
    /// Produce and consume at once: end-to-end latency
    #[command(after_help = EXIT_CODES)]
    Run(Run),
    /// Find the highest rate whose p99 stays under a bound
    #[command(after_help = EXIT_CODES)]
    Search {
        #[command(flatten)]
        run: Run,
        #[command(flatten)]
        bound: search::Bound,
    },
    /// Produce records that prove themselves, read everything back, report what is not as acked
    #[command(after_help = EXIT_CODES)]
    Verify {
        #[command(flatten)]
        run: Run,
        /// File that takes what is acked, as it is acked
        #[arg(long, value_name = "FILE", default_value = "duramen-verify.acked")]
        acked: PathBuf,
        /// Produce nothing: read back and judge against the file of an earlier run
        #[arg(long)]
        resume: bool,
    },
    /// Turn result files (--json) into one HTML page with plots
    #[command(after_help = EXIT_CODES)]
    Report(report::Request),
}

#[derive(Args, Debug)]
struct Run {
    /// Brokers to begin with; all others are learned from them
    #[arg(long, value_name = "HOST:PORT,...", value_delimiter = ',', default_value = "127.0.0.1:9092")]
    brokers: Vec<String>,
    /// Write a line of JSON for each second and for the result; - is stdout
    #[arg(long, value_name = "FILE|-")]
    json: Option<PathBuf>,
    /// Write histograms of latencies, one each second, as an HdrHistogram log
    #[arg(long, value_name = "FILE")]
    hdr: Option<PathBuf>,
    /// No progress line
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    options: Options,
}

/// Runs the process to its exit code.
pub fn main() -> ExitCode {
    net::panics::end_the_process();
    match CommandLine::try_parse() {
        Ok(line) => match run(line.command) {
            Ok(()) => ExitCode::SUCCESS,
            Err(trouble) => {
                let _ = writeln!(std::io::stderr(), "duramen-bench: {trouble}");
                ExitCode::from(trouble.exit_code())
            }
        },
        Err(answer) => {
            let _ = answer.print();
            if answer.use_stderr() { ExitCode::from(1) } else { ExitCode::SUCCESS }
        }
    }
}

fn run(command: Command) -> Outcome<()> {
    interrupt::watch().map_err(|error| Trouble::Usage(format!("signals cannot be watched: {error}")))?;
    match command {
        Command::Produce(run) => load(run, "produce", Purpose::Produce, false),
        Command::Consume { mut run, drain } => {
            if drain {
                run.options.seconds.get_or_insert(FOR_EVER);
            }
            load(run, "consume", Purpose::Consume, drain)
        }
        Command::Run(run) => load(run, "run", Purpose::Run, false),
        Command::Search { run, bound } => {
            let workload = Workload::resolve(run.options.clone(), Purpose::Produce)?;
            search::run(run.brokers.clone(), workload, &bound, &mut output(&run)?)
        }
        Command::Verify { run, acked, resume } => {
            let mut output = output(&run)?;
            let workload = Workload::resolve(run.options, Purpose::Verify)?;
            let request = verify::Request { brokers: run.brokers, workload, acked: &acked, resume };
            verify::run(request, &mut output)
        }
        Command::Report(request) => report::run(&request),
    }
}

fn output(run: &Run) -> Outcome<Output> {
    Output::open(run.json.as_deref(), run.hdr.as_deref(), run.quiet)
}

fn load(run: Run, command: &'static str, purpose: Purpose, to_the_end: bool) -> Outcome<()> {
    let mut output = output(&run)?;
    let workload = Workload::resolve(run.options, purpose)?;
    let plan = Plan {
        command,
        brokers: run.brokers,
        workload,
        produce: purpose != Purpose::Consume,
        consume: purpose != Purpose::Produce,
        to_the_end,
        proving: None,
        sink: None,
    };
    let result = run::execute(plan, &mut output)?;
    output.result(&result)?;
    match result.failure {
        Some(why) => Err(Trouble::Run(why)),
        None if result.totals.failed > 0 => {
            Err(Trouble::Run(format!("{} records failed for good", result.totals.failed)))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_holds_together_and_every_option_is_explained() {
        let command = CommandLine::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            for argument in sub.get_arguments() {
                assert!(argument.get_help().is_some(), "{}: {argument}", sub.get_name());
            }
        }
    }
}
