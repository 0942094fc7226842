//! Native commands for people without Kafka's tools: `duramen topic ...`, `duramen group ...`,
//! `duramen txn ...`, `duramen cluster ...`, `duramen node ...`, `duramen may-stop ...`, `duramen user ...`; and
//! `duramen ca ...`, which asks no broker.
//! A blocking client of the Kafka protocol that knows nothing of the broker in the same binary:
//! it works on any broker, from anywhere.

mod acl;
mod broker_ids;
mod ca;
mod cluster;
mod connection;
mod consumer_group;
mod coordinator;
mod followers;
mod group;
mod group_report;
mod group_reset;
mod hanging;
mod health;
mod kafka_error;
mod may_stop;
mod node;
mod node_add;
mod node_list;
mod offsets;
mod out;
mod reach;
mod scrape;
mod side_by_side;
mod status_report;
mod topic;
mod topic_report;
mod transaction;
mod transaction_report;
mod user;

use crate::process::refusal::{EXIT_USAGE, Refusal};
use clap::{Parser, Subcommand};
use out::Out;
use reach::Reach;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// What may come first on the command line, instead of a broker's options.
pub const NOUNS: [&str; 9] = ["topic", "group", "txn", "cluster", "node", "may-stop", "user", "acl", "ca"];

const AFTER_HELP: &str = "\
Exit codes: 0 done; 1 usage; 2 no broker answers; 3 `cluster status` found the cluster unwell; \
5 the broker refused.";

/// Commands to a running cluster
#[derive(Parser, Debug)]
#[command(name = "duramen", version, after_help = AFTER_HELP, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    noun: Noun,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Subcommand, Debug)]
enum Noun {
    /// Create, list, describe, alter and delete topics
    #[command(after_help = AFTER_HELP)]
    Topic {
        #[command(subcommand)]
        verb: topic::Verb,
    },
    /// List, describe, reset and delete consumer groups
    #[command(after_help = AFTER_HELP)]
    Group {
        #[command(subcommand)]
        verb: group::Verb,
    },
    /// List, describe and end transactions, and find those that hang
    #[command(after_help = AFTER_HELP)]
    Txn {
        #[command(subcommand)]
        verb: transaction::Verb,
    },
    /// Look at the whole cluster
    #[command(after_help = AFTER_HELP)]
    Cluster {
        #[command(subcommand)]
        verb: cluster::Verb,
    },
    /// Work on single nodes
    #[command(after_help = AFTER_HELP)]
    Node {
        #[command(subcommand)]
        verb: node::Verb,
    },
    /// Ask whether nodes may be stopped together: 0, or 5 with the reasons
    #[command(after_help = AFTER_HELP)]
    MayStop {
        /// Ids of the nodes
        #[arg(required = true)]
        id: Vec<u32>,
    },
    /// Create, list and delete users that log in with a password
    #[command(after_help = AFTER_HELP)]
    User {
        #[command(subcommand)]
        verb: user::Verb,
    },
    /// Create, list and delete the rules of who may do what
    #[command(after_help = AFTER_HELP)]
    Acl {
        #[command(subcommand)]
        verb: acl::Verb,
    },
    /// Make certificates for nodes and users
    #[command(after_help = AFTER_HELP)]
    Ca {
        #[command(subcommand)]
        verb: ca::Verb,
    },
}

/// Runs a command line that begins with one of [`NOUNS`] to its exit code.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match CommandLine::try_parse_from(arguments) {
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

fn run(mut line: CommandLine) -> Result<ExitCode, Refusal> {
    if matches!(line.noun, Noun::User { verb: user::Verb::Create { .. } }) {
        // That one is the new user's: who makes it has its own in a profile, or is asked.
        line.reach.options.password_file = None;
    }
    let out = Out { json: line.reach.json };
    match &line.noun {
        Noun::Topic { verb } => topic::run(verb, &line.reach, out),
        Noun::Group { verb } => group::run(verb, &line.reach, out),
        Noun::Txn { verb } => transaction::run(verb, &line.reach, out),
        Noun::Cluster { verb } => cluster::run(verb, &line.reach, out),
        Noun::Node { verb } => node::run(verb, &line.reach, out),
        Noun::MayStop { id } => may_stop::run(id, &line.reach, out),
        Noun::User { verb } => user::run(verb, &line.reach, out),
        Noun::Acl { verb } => acl::run(verb, &line.reach, out),
        Noun::Ca { verb } => ca::run(verb, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn explained(command: &clap::Command) {
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{argument} of {}", command.get_name());
        }
        command.get_subcommands().for_each(explained);
    }

    #[test]
    fn the_command_line_holds_together_and_every_option_is_explained() {
        let command = CommandLine::command();
        command.clone().debug_assert();
        explained(&command);
        let nouns: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        assert_eq!(nouns, NOUNS);
    }
}
