//! `duramen group ...`: what is asked of the cluster about consumer groups. Each group has one
//! broker that knows it, its coordinator.

use super::connection::Connection;
use super::coordinator::{self, Kind};
use super::group_report::{self, GroupReport};
use super::group_reset::{self};
use super::kafka_error::check;
use super::out::{self, Out};
use super::reach::Reach;
use super::topic_report::left_out;
use crate::admin::group_reset::ResetArguments;
use crate::process::refusal::Refusal;
use clap::Subcommand;
use kafka_wire::DeleteGroupsRequest;
use serde::Serialize;
use std::process::ExitCode;

#[derive(Subcommand, Debug)]
pub enum Verb {
    /// List the groups of all brokers
    List,
    /// Show one group: state, members, and for each partition offset, lag and owner
    Describe {
        /// Name of the group
        name: String,
    },
    /// Set the offsets of a group that has no members; one that is not there is made
    Reset(ResetArguments),
    /// Delete a group that has no members, with its offsets
    Delete {
        /// Name of the group
        name: String,
    },
}

/// Carries the command out.
pub fn run(verb: &Verb, reach: &Reach, out: Out) -> Result<ExitCode, Refusal> {
    reach.until_settled(|| attempt(verb, reach, out))
}

fn attempt(verb: &Verb, reach: &Reach, out: Out) -> Result<ExitCode, Refusal> {
    let mut connection = reach.connect()?;
    match verb {
        Verb::List => {
            let rows = group_report::list(&mut connection, reach)?;
            out.show(&rows, |rows| group_report::list_table(rows))?;
        }
        Verb::Describe { name } => {
            let mut coordinator = coordinator(&mut connection, reach, name)?;
            let report = GroupReport::ask(&mut coordinator, reach, name)?;
            out.show(&report, GroupReport::text)?;
        }
        Verb::Reset(arguments) => {
            let mut coordinator = coordinator(&mut connection, reach, &arguments.name)?;
            let rows = group_reset::reset(&mut coordinator, reach, arguments, arguments.to.to())?;
            out.show(&rows, |rows| group_reset::table(rows))?;
        }
        Verb::Delete { name } => {
            let mut coordinator = coordinator(&mut connection, reach, name)?;
            delete(&mut coordinator, name)?;
            out.show(&Deleted { deleted: name }, |_| format!("deleted {}", out::printable(name)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Deleted<'a> {
    deleted: &'a str,
}

fn coordinator(connection: &mut Connection, reach: &Reach, name: &str) -> Result<Connection, Refusal> {
    coordinator::coordinator(connection, reach, Kind::Group, name)
}

fn delete(coordinator: &mut Connection, name: &str) -> Result<(), Refusal> {
    let mut request = DeleteGroupsRequest::default();
    request.groups_names.push(name.into());
    let response = coordinator.call(0, &request)?;
    let done = response.results.into_iter().next().ok_or_else(|| left_out(coordinator))?;
    check(&format!("group '{name}'"), done.error_code, done.error_message.as_deref())
}
