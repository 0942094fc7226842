//! The command line: commands, help, and the way from a command to an exit code.

use crate::cluster::bootstrap::Bootstrap;
use crate::options::Options;
use crate::output::Output;
use crate::plan::Plan;
use crate::transactions::{load, rebalance};
use crate::trouble::{EXIT_CODES, Outcome, Trouble};
use crate::verify::command as verify;
use crate::verify::exactly_once::command as exactly_once;
use crate::workload::{Defaults, FOR_EVER, Purpose, Workload};
use crate::{interrupt, report, run, search};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use net::access::options::AccessOptions;
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
        /// Transactions, judged by Jepsen's rules: writers (--producers, 4) that send, read, abort and crash, a group
        /// that copies TOPIC-0 to TOPIC-1 exactly once, and readers (--consumers, and one of what is not committed).
        /// --rate is of transactions (100). Defaults: topic duramen-exactly-once, 4 partitions
        #[arg(long, conflicts_with_all = ["resume", "acked", "topics"])]
        transactions: bool,
        /// With --transactions: file that takes the history when there are anomalies, a line of JSON for each operation
        #[arg(long, value_name = "FILE", default_value = "duramen-verify.history")]
        history: PathBuf,
        /// With --transactions: readers of what is committed are shown all, so that there must be anomalies. It is a test
        /// of the test
        #[arg(long, hide = true)]
        show_all: bool,
    },
    /// Transactions, in a closed loop or at a rate (of transactions): how many a second, and how long a commit takes
    #[command(after_help = EXIT_CODES)]
    Transact {
        #[command(flatten)]
        run: Run,
        #[command(flatten)]
        shape: load::TransactShape,
    },
    /// A group's members come and go: how long until all of them have their partitions
    #[command(after_help = EXIT_CODES)]
    Rebalance {
        #[command(flatten)]
        run: Run,
        #[command(flatten)]
        gathering: rebalance::Gathering,
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
    #[command(flatten)]
    access: AccessOptions,
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

impl Run {
    fn bootstrap(&self) -> Outcome<Bootstrap> {
        let access = self.access.resolve().map_err(|refusal| Trouble::Usage(refusal.to_string()))?;
        Ok(Bootstrap { brokers: self.brokers.clone(), access })
    }
}

/// The command line with the defaults that each command has.
fn command() -> clap::Command {
    let mut command = CommandLine::command();
    let purposes = [
        ("produce", Purpose::Produce),
        ("consume", Purpose::Consume),
        ("run", Purpose::Run),
        ("search", Purpose::Produce),
        ("transact", Purpose::Produce),
        ("rebalance", Purpose::Consume),
        ("verify", Purpose::Verify),
    ];
    for (name, purpose) in purposes {
        command = command.mut_subcommand(name, |sub| with_defaults(sub, &purpose.defaults()));
    }
    command
}

fn with_defaults(mut command: clap::Command, defaults: &Defaults) -> clap::Command {
    let Defaults { topic, partitions, producers, timeout_seconds, .. } = defaults;
    let texts = [
        ("topic", (*topic).to_owned()),
        ("partitions", partitions.to_string()),
        ("record_bytes", defaults.record_bytes.to_string()),
        ("batch_bytes", in_units(defaults.batch_bytes)),
        ("buffer_bytes", in_units(defaults.buffer_bytes)),
        ("key", defaults.key.to_string()),
        ("producers", producers.to_string()),
        ("rate", defaults.rate.to_string()),
        ("from", defaults.from.to_string()),
        ("timeout_seconds", timeout_seconds.to_string()),
    ];
    for (id, text) in texts {
        command = command.mut_arg(id, |argument| {
            let help = argument.get_help().map_or(String::new(), ToString::to_string);
            argument.help(format!("{help} [default: {text}]"))
        });
    }
    command
}

/// As `--batch-bytes` and its like take it.
fn in_units(bytes: u64) -> String {
    match bytes.trailing_zeros() {
        20.. => format!("{}MiB", bytes >> 20),
        10.. => format!("{}KiB", bytes >> 10),
        _ => bytes.to_string(),
    }
}

/// Runs the process to its exit code.
pub fn main() -> ExitCode {
    net::process::panics::end_the_process();
    let parsed = command().try_get_matches().and_then(|matches| CommandLine::from_arg_matches(&matches));
    match parsed {
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
            bound.check()?;
            search::run(run.bootstrap()?, workload, &bound, &mut output(&run)?)
        }
        Command::Verify { mut run, transactions: true, history, show_all, .. } => {
            run.options.topics = Some(exactly_once::TOPICS);
            let workload = Workload::resolve(run.options.clone(), Purpose::ExactlyOnce)?;
            let mut output = output(&run)?;
            let bootstrap = run.bootstrap()?;
            exactly_once::ExactlyOnce { bootstrap, workload, history: &history, shows_all: show_all }
                .run(&mut output)
        }
        Command::Verify { run, acked, resume, .. } => {
            let workload = Workload::resolve(run.options.clone(), Purpose::Verify)?;
            let mut output = output(&run)?;
            let request = verify::Request { bootstrap: run.bootstrap()?, workload, acked: &acked, resume };
            verify::run(request, &mut output)
        }
        Command::Transact { run, shape } => {
            let workload = Workload::resolve(run.options.clone(), Purpose::Produce)?;
            let mut output = output(&run)?;
            load::TransactLoad { bootstrap: run.bootstrap()?, workload, shape }.run(&mut output)
        }
        Command::Rebalance { run, gathering } => {
            let workload = Workload::resolve(run.options.clone(), Purpose::Consume)?;
            let mut output = output(&run)?;
            rebalance::RebalanceLoad { bootstrap: run.bootstrap()?, workload, gathering }.run(&mut output)
        }
        Command::Report(request) => report::run(&request),
    }
}

fn output(run: &Run) -> Outcome<Output> {
    Output::open(run.json.as_deref(), run.hdr.as_deref(), run.quiet)
}

fn load(run: Run, command: &'static str, purpose: Purpose, to_the_end: bool) -> Outcome<()> {
    let workload = Workload::resolve(run.options.clone(), purpose)?;
    let mut output = output(&run)?;
    let plan = Plan {
        command,
        bootstrap: run.bootstrap()?,
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

    #[test]
    fn the_command_line_holds_together_and_every_option_is_explained() {
        let command = command();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            for argument in sub.get_arguments() {
                assert!(argument.get_help().is_some(), "{}: {argument}", sub.get_name());
            }
        }
    }

    /// The value behind `[default: ` in an option's help.
    fn shown(command: &clap::Command, id: &str) -> Option<String> {
        let help = command.get_arguments().find(|argument| argument.get_id() == id)?.get_help()?.to_string();
        Some(help.split_once("[default: ")?.1.split([']', ',', ' ']).next()?.to_owned())
    }

    #[test]
    fn help_shows_the_values_that_are_used() {
        let command = command();
        let purposes = [
            ("produce", Purpose::Produce),
            ("consume", Purpose::Consume),
            ("run", Purpose::Run),
            ("verify", Purpose::Verify),
        ];
        for (name, purpose) in purposes {
            let sub = command.find_subcommand(name).expect("it is there");
            let workload = Workload::resolve(Options::default(), purpose).expect("the defaults hold");
            let used = serde_json::to_value(&workload).expect("plain values");
            let mut compared = 0;
            for (id, value) in used.as_object().expect("fields") {
                // What is worked out from others, or is none, is told in words.
                let in_words = ["threads", "idempotence", "records", "acks", "topic_config"];
                let Some(shown) = shown(sub, id).filter(|_| !in_words.contains(&id.as_str())) else {
                    continue;
                };
                compared += 1;
                let same = match value {
                    serde_json::Value::String(text) => *text == shown,
                    number => match net::process::options::parse_bytes(&shown) {
                        Ok(bytes) => number.as_f64() == Some(bytes as f64),
                        Err(_) => number.as_f64() == shown.parse().ok(),
                    },
                };
                // Keys have bytes only where records have keys.
                assert!(same || id == "key_bytes", "{name} --{id}: shown {shown}, used {value}");
            }
            assert!(compared > 20, "{name}: {compared}");
        }
    }
}
