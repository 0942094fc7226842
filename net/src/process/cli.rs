//! The command line: commands, help, and the way from a command to an exit code.

use super::end::NodeError;
use crate::admin;
use crate::process::config::{Config, Machine};
use crate::process::options::Options;
use crate::process::refusal::{EXIT_USAGE, Refusal};
use crate::process::{logging, panics, signals, start, system};
use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

const AFTER_HELP: &str = "\
Exit codes: 0 stopped as asked; 1 usage or configuration; 2 the machine (io_uring, limits, ports, \
space, file system, folder in use); 3 the data folder's contents; 4 a write or a sync failed; \
5 a running broker refused a command. \
SIGTERM and SIGINT stop gracefully within 10 s, a second one at once.

The TOML file has the long options as keys and Kafka's settings under [kafka]:

  data-dir = \"/var/lib/duramen\"
  listen = \"0.0.0.0:9092\"
  advertise = \"broker-1:9092\"
  memory = \"4GiB\"
  [kafka]
  num.partitions = 8
  log.retention.ms = 604800000";

/// A replicated log broker for unmodified Kafka clients
#[derive(Parser, Debug)]
#[command(name = "duramen", version, after_help = AFTER_HELP, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand, Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    /// Start the broker (the same as no command at all)
    Start,
    /// Read options and file, print what they add up to, start nothing
    CheckConfig,
    /// Create, list, describe, alter and delete topics of a running cluster; options of its own
    Topic,
    /// List, describe, reset and delete consumer groups; options of its own
    Group,
    /// List, describe and end transactions; options of its own
    Txn,
    /// Look at a running cluster; options of its own
    Cluster,
    /// Work on single nodes of a running cluster; options of its own
    Node,
    /// Ask whether nodes may be stopped together; options of its own
    MayStop,
    /// Create, list and delete users that log in with a password; options of its own
    User,
    /// Make certificates for nodes and users; options of its own
    Ca,
}

/// Runs the process to its exit code.
pub fn main() -> ExitCode {
    panics::end_the_process();
    if std::env::args_os().nth(1).is_some_and(|first| admin::NOUNS.iter().any(|noun| first == *noun)) {
        return admin::main(std::env::args_os());
    }
    match CommandLine::try_parse() {
        Ok(line) => run(line).unwrap_or_else(|refusal| {
            let _ = writeln!(std::io::stderr(), "{refusal}");
            ExitCode::from(refusal.exit_code)
        }),
        Err(answer) => {
            let _ = answer.print();
            if answer.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
        }
    }
}

fn run(line: CommandLine) -> Result<ExitCode, Refusal> {
    if let Some(
        noun @ (Command::Topic
        | Command::Group
        | Command::Txn
        | Command::Cluster
        | Command::Node
        | Command::MayStop
        | Command::User
        | Command::Ca),
    ) = line.command
    {
        let what = format!("a broker's options do not go with '{noun:?}'").to_lowercase();
        return Err(Refusal::usage(
            what,
            "put topic, group, txn, cluster, node, may-stop, user or ca first, and its own options behind it",
        ));
    }
    let config = Config::from_options(line.options, &machine()?)?;
    logging::filter_of(&config.log_filter)?;
    if line.command == Some(Command::CheckConfig) {
        let _ = write!(std::io::stdout(), "{}", config.describe());
        return Ok(ExitCode::SUCCESS);
    }
    signals::block().map_err(|error| {
        Refusal::environment(
            format!("signals cannot be blocked: {error}"),
            "allow rt_sigprocmask in the sandbox",
        )
    })?;
    let prepared = start::prepare(&config)?;
    let guard = logging::start(config.log_format, &config.log_filter)?;
    let ended = prepared.run();
    Ok(finish(ended, guard))
}

/// Logs how it ended, waits for the log to be written (at most about a second) and gives the code.
fn finish(ended: Result<(), NodeError>, guard: tracing_appender::non_blocking::WorkerGuard) -> ExitCode {
    match &ended {
        Ok(()) => tracing::info!("stopped"),
        Err(error) => tracing::error!(%error, "the node ended"),
    }
    drop(guard);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(error.exit_code()),
    }
}

fn machine() -> Result<Machine, Refusal> {
    let cpus = system::allowed_cpus().map_err(|error| {
        Refusal::environment(
            format!("the cores of this process are unknown: {error}"),
            "allow sched_getaffinity in the sandbox",
        )
    })?;
    Ok(Machine { cpus, memory_bytes: system::physical_memory() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_holds_together_and_every_option_is_explained() {
        let command = CommandLine::command();
        command.clone().debug_assert();
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{argument}");
        }
    }

    #[test]
    fn no_command_is_start_and_options_may_stand_on_either_side() {
        let parse = |line: &str| CommandLine::try_parse_from(line.split(' ')).expect("parsed");
        assert_eq!(parse("duramen").command, None);
        assert_eq!(parse("duramen start --node-id 4").options.node_id, Some(4));
        assert_eq!(parse("duramen --node-id 4 check-config").options.node_id, Some(4));
    }
}
