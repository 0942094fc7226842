//! `duramen user ...`: who may prove who they are by a password. The password itself stays here: the broker gets what
//! follows from it and a salt.

use super::connection::Connection;
use super::kafka_error::check;
use super::out::{Out, table};
use super::reach::Reach;
use crate::client::sasl::scram_keys::ITERATIONS_DEFAULT;
use crate::client::sasl::stretch::Stretch;
use crate::process::refusal::Refusal;
use crate::process::secret_file;
use clap::{Args, Subcommand, ValueEnum};
use engine::control::credentials::{ITERATIONS_MAX, ITERATIONS_MIN, Mechanism as Kind};
use kafka_wire::alter_user_scram_credentials_request::{ScramCredentialDeletion, ScramCredentialUpsertion};
use kafka_wire::describe_user_scram_credentials_request::UserName;
use kafka_wire::{AlterUserScramCredentialsRequest, DescribeUserScramCredentialsRequest};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Give a user a password, or another one
    Create {
        /// Name of the user
        name: String,
        #[command(flatten)]
        password: Password,
        /// Only with this mechanism; without, with each. May be given more than once
        #[arg(long, value_name = "MECHANISM")]
        mechanism: Vec<MechanismName>,
        /// How often the password is hashed: what guessing it costs, and each log-in a client
        #[arg(long, value_name = "N", default_value_t = ITERATIONS_DEFAULT,
              value_parser = clap::value_parser!(u32).range(i64::from(ITERATIONS_MIN)..=i64::from(ITERATIONS_MAX)))]
        iterations: u32,
    },
    /// List the users that have a password
    List,
    /// Take a user's password away: open connections live on, new ones are refused
    Delete {
        /// Name of the user
        name: String,
    },
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct Password {
    /// The password; other users of this machine can see it while the command runs
    #[arg(long, value_name = "PASSWORD")]
    password: Option<String>,
    /// A file whose first line is the password, readable by its owner alone; `-` is the standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MechanismName {
    #[value(name = "SCRAM-SHA-256", alias = "scram-sha-256")]
    ScramSha256,
    #[value(name = "SCRAM-SHA-512", alias = "scram-sha-512")]
    ScramSha512,
}

impl MechanismName {
    fn kind(self) -> Kind {
        match self {
            Self::ScramSha256 => Kind::ScramSha256,
            Self::ScramSha512 => Kind::ScramSha512,
        }
    }
}

/// A user, and how they may prove who they are.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct User {
    name: String,
    credentials: Vec<Told>,
}

/// What a broker tells of a credential.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Told {
    mechanism: &'static str,
    iterations: i32,
}

#[derive(Serialize)]
struct Deleted<'a> {
    deleted: &'a str,
}

pub fn run(verb: &Verb, reach: &Reach, out: Out) -> Result<ExitCode, Refusal> {
    match verb {
        Verb::Create { name, password, mechanism, iterations } => {
            let password = password.read()?;
            let mut connection = reach.connect()?;
            let kinds = if mechanism.is_empty() {
                Kind::ALL.to_vec()
            } else {
                mechanism.iter().map(|one| one.kind()).collect()
            };
            // Kafka takes a user once per request, whatever the mechanism.
            for kind in kinds {
                let mut request = AlterUserScramCredentialsRequest::default();
                request.upsertions.push(upsertion(name, kind, *iterations, &password));
                alter(&mut connection, name, &request)?;
            }
            let created = one(&mut connection, name)?;
            out.show(&created, |user| {
                format!("user {} has a password for {}", user.name, user.mechanisms())
            })?;
        }
        Verb::List => {
            let users = ask(&mut reach.connect()?, None)?;
            out.show(&users, |users| list_table(users))?;
        }
        Verb::Delete { name } => {
            let mut connection = reach.connect()?;
            for told in one(&mut connection, name)?.credentials {
                let kind = Kind::ALL.into_iter().find(|kind| kind.name() == told.mechanism);
                let mut deletion = ScramCredentialDeletion::default();
                deletion.name = name.as_str().into();
                deletion.mechanism = kind.expect("read from a number") as i8;
                let mut request = AlterUserScramCredentialsRequest::default();
                request.deletions.push(deletion);
                alter(&mut connection, name, &request)?;
            }
            out.show(&Deleted { deleted: name }, |_| format!("deleted {name}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Password {
    fn read(&self) -> Result<String, Refusal> {
        let password = match (&self.password, &self.password_file) {
            (Some(password), _) => password.clone(),
            (None, Some(path)) => secret_file::first_line(path)?,
            (None, None) => unreachable!("the parser wants one of them"),
        };
        if password.is_empty() {
            return Err(Refusal::usage("the password is empty", "give one of at least a few words"));
        }
        Ok(password)
    }
}

fn upsertion(user: &str, kind: Kind, iterations: u32, password: &str) -> ScramCredentialUpsertion {
    let salt: Vec<u8> =
        crate::process::entropy::random::<3>().iter().flat_map(|bits| bits.to_le_bytes()).collect();
    let salted = Stretch::new(kind, password.as_bytes(), &salt, iterations).finish();
    let mut one = ScramCredentialUpsertion::default();
    (one.name, one.mechanism) = (user.into(), kind as i8);
    one.iterations = i32::try_from(iterations).expect("the parser bounds it");
    (one.salt, one.salted_password) = (salt.into(), salted.as_bytes().to_vec().into());
    one
}

fn alter(
    connection: &mut Connection,
    user: &str,
    request: &AlterUserScramCredentialsRequest,
) -> Result<(), Refusal> {
    for result in connection.call(0, request)?.results {
        check(&format!("user '{user}'"), result.error_code, result.error_message.as_deref())?;
    }
    Ok(())
}

/// One user, who must be there.
fn one(connection: &mut Connection, name: &str) -> Result<User, Refusal> {
    let mut users = ask(connection, Some(name))?;
    users.pop().ok_or_else(|| Refusal::refused(format!("user '{name}': no answer"), "see the broker's log"))
}

fn ask(connection: &mut Connection, name: Option<&str>) -> Result<Vec<User>, Refusal> {
    let mut request = DescribeUserScramCredentialsRequest::default();
    request.users = name.map(|name| {
        let mut user = UserName::default();
        user.name = name.into();
        vec![user]
    });
    let response = connection.call(0, &request)?;
    check("users", response.error_code, response.error_message.as_deref())?;
    let mut users = Vec::with_capacity(response.results.len());
    for result in response.results {
        let name = result.user.as_str().to_owned();
        check(&format!("user '{name}'"), result.error_code, result.error_message.as_deref())?;
        let told = result.credential_infos.iter().filter_map(|info| {
            let kind = u8::try_from(info.mechanism).ok().and_then(Kind::of)?;
            Some(Told { mechanism: kind.name(), iterations: info.iterations })
        });
        users.push(User { name, credentials: told.collect() });
    }
    Ok(users)
}

impl User {
    fn mechanisms(&self) -> String {
        let names: Vec<&str> = self.credentials.iter().map(|told| told.mechanism).collect();
        names.join(", ")
    }
}

fn list_table(users: &[User]) -> String {
    let row = |user: &User| {
        let iterations: Vec<String> =
            user.credentials.iter().map(|told| told.iterations.to_string()).collect();
        [user.name.clone(), user.mechanisms(), iterations.join(", ")]
    };
    table(["user", "mechanisms", "iterations"], users.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_holds_no_password_and_no_salt_comes_twice() {
        let made = upsertion("alice", Kind::ScramSha512, 4_096, "correct horse");
        let again = upsertion("alice", Kind::ScramSha512, 4_096, "correct horse");
        assert_eq!((made.mechanism, made.iterations, made.salted_password.len()), (2, 4_096, 64));
        assert_eq!(made.salt.len(), 24);
        assert!(made.salt != again.salt && made.salted_password != again.salted_password);
        assert!(!made.salted_password.windows(7).any(|bytes| bytes == b"correct"));
    }

    #[test]
    fn the_list_says_how_each_user_logs_in() {
        let told = |mechanism: Kind| Told { mechanism: mechanism.name(), iterations: 8_192 };
        let credentials = Kind::ALL.map(told).into_iter().collect();
        let shown = list_table(&[User { name: "alice".to_owned(), credentials }]);
        assert!(shown.contains("alice"), "{shown}");
        assert!(shown.contains("SCRAM-SHA-256, SCRAM-SHA-512") && shown.contains("8192, 8192"), "{shown}");
    }

    #[test]
    fn an_empty_password_is_none() {
        let empty = Password { password: Some(String::new()), password_file: None };
        assert!(empty.read().unwrap_err().what.contains("empty"));
    }
}
