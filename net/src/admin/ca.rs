//! `duramen ca`: certificates for the nodes of a cluster and its users, from an authority in a folder. Asks no broker.

use super::out::Out;
use crate::peer::config::node_id;
use crate::process::entropy;
use crate::process::refusal::Refusal;
use crate::tls::authority::{AuthorityError, CertificateAuthority};
use crate::tls::{files, node_name};
use clap::Subcommand;
use engine::ids::NodeId;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Make an authority: its key makes all certificates of a cluster, keep it where nobody else reads it
    Init {
        /// Folder of the authority; made if it is missing
        dir: PathBuf,
        /// What the nodes of this authority have in common; lower case letters, digits, '-', '_' and '.'
        /// [default: one by chance]
        #[arg(long, value_name = "NAME")]
        trust_domain: Option<String>,
        /// How long the authority's certificate counts: a number and s, m, h or d
        #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "3650d")]
        valid_for: Duration,
    },
    /// Make a node's certificate, or make it anew
    Node {
        /// The node's --node-id
        id: u32,
        /// Folder of the authority
        #[arg(long, value_name = "DIR")]
        ca: PathBuf,
        /// Names and addresses by which clients and other nodes reach the node
        #[arg(long, value_name = "NAME", required = true, num_args = 1.., value_delimiter = ',')]
        host: Vec<String>,
        /// How long the certificate counts: a number and s, m, h or d
        #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "365d")]
        valid_for: Duration,
    },
    /// Make a user's certificate, or make it anew
    User {
        /// The user's name
        name: String,
        /// Folder of the authority
        #[arg(long, value_name = "DIR")]
        ca: PathBuf,
        /// How long the certificate counts: a number and s, m, h or d
        #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "365d")]
        valid_for: Duration,
    },
}

/// What was made.
#[derive(Serialize)]
struct Made {
    trust_domain: String,
    /// Where it is.
    folder: PathBuf,
    #[serde(skip)]
    advice: String,
}

/// The longest name that a certificate has room for (RFC 5280, ub-common-name).
const USER_BYTES_MAX: usize = 64;

pub fn run(verb: &Verb, out: Out) -> Result<ExitCode, Refusal> {
    let made = match verb {
        Verb::Init { dir, trust_domain, valid_for } => init(dir, trust_domain.as_deref(), *valid_for)?,
        Verb::Node { id, ca, host, valid_for } => {
            node(node_id("duramen ca node", *id)?, ca, host, *valid_for)?
        }
        Verb::User { name, ca, valid_for } => user(name, ca, *valid_for)?,
    };
    out.show(&made, |made| made.advice.clone())?;
    Ok(ExitCode::SUCCESS)
}

fn init(folder: &Path, trust_domain: Option<&str>, valid_for: Duration) -> Result<Made, Refusal> {
    let chosen = trust_domain.map_or_else(
        || {
            let [random] = entropy::random();
            format!("duramen-{:08x}", random as u32)
        },
        str::to_owned,
    );
    if !node_name::is_trust_domain(&chosen) {
        let what =
            format!("--trust-domain '{chosen}' is not made of lower case letters, digits, '-', '_' and '.'");
        return Err(Refusal::usage(what, "write such as --trust-domain prod.example"));
    }
    let authority = CertificateAuthority::init(folder, &chosen, valid_for).map_err(refusal)?;
    let dir = folder.display();
    let advice = format!(
        "An authority for trust domain {chosen} is in {dir}.
  {}   what clients and nodes trust: give it to all
  {}   makes certificates: keep it from all machines that need not make any

Next, for each node and each user:
  duramen ca node 1 --ca {dir} --host HOST...
  duramen ca user NAME --ca {dir}
",
        files::CA,
        files::CA_KEY
    );
    Ok(Made { trust_domain: authority.trust_domain, folder: folder.to_owned(), advice })
}

fn node(node: NodeId, ca: &Path, hosts: &[String], valid_for: Duration) -> Result<Made, Refusal> {
    let authority = CertificateAuthority::open(ca).map_err(refusal)?;
    let folder = authority.node(node, hosts, valid_for).map_err(refusal)?;
    let dir = folder.display();
    let host = hosts.first().expect("one is required");
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let mut advice = format!(
        "Node {node} of {} is in {dir}: bring the folder to its host, and start it with\n",
        authority.trust_domain
    );
    let _ = writeln!(advice, "  --tls-folder {dir} --listener SSL=SSL://{host}:9192");
    let _ = writeln!(advice, "Clients that prove who they are by a password (SASL_SSL) or by a certificate:");
    let _ = writeln!(
        advice,
        "  --tls-folder {dir} --listener SASL_SSL=SASL_SSL://{host}:9292 --super-user User:admin"
    );
    let _ =
        writeln!(advice, "  duramen user create admin --password-file FILE   (on the node's own machine)");
    let _ = writeln!(
        advice,
        "  --tls-folder {dir} --listener SSL=SSL://{host}:9192 --set ssl.client.auth=required --super-user User:CN=admin"
    );
    let _ = writeln!(advice, "Links to other nodes within TLS: --peer-tls require, on every node.");
    let _ = writeln!(
        advice,
        "The same command makes it anew: replace the files, a running node takes them within 10 s."
    );
    Ok(Made { trust_domain: authority.trust_domain, folder, advice })
}

fn user(name: &str, ca: &Path, valid_for: Duration) -> Result<Made, Refusal> {
    let is_part = |char: char| char.is_ascii_alphanumeric() || "-_.@".contains(char);
    if !(1..=USER_BYTES_MAX).contains(&name.len()) || !name.chars().all(is_part) || name.starts_with('.') {
        let what = format!(
            "user '{name}' is not made of up to {USER_BYTES_MAX} letters, digits, '-', '_', '.' and '@'"
        );
        return Err(Refusal::usage(what, "give another name"));
    }
    let authority = CertificateAuthority::open(ca).map_err(refusal)?;
    let folder = authority.user(name, valid_for).map_err(refusal)?;
    let dir = folder.display();
    let advice = format!(
        "User {name} is in {dir}: to brokers it is User:CN={name}.
librdkafka (kcat, Python, Go, .NET):
  security.protocol=SSL
  ssl.ca.location={dir}/{ca}
  ssl.certificate.location={dir}/{user}
  ssl.key.location={dir}/{key}
Java:
  security.protocol=SSL
  ssl.truststore.type=PEM
  ssl.truststore.location={dir}/{ca}
  ssl.keystore.type=PEM
  ssl.keystore.location={dir}/{keystore}
",
        ca = files::CA,
        user = files::USER,
        key = files::USER_KEY,
        keystore = files::USER_KEYSTORE
    );
    Ok(Made { trust_domain: authority.trust_domain, folder, advice })
}

fn refusal(error: AuthorityError) -> Refusal {
    let remedy = match &error {
        AuthorityError::Exists(_) => {
            "name another folder, or remove the files if nobody trusts them any more"
        }
        AuthorityError::File { .. } => "make an authority with `duramen ca init DIR`, and name that folder",
        AuthorityError::NotAnAuthority { .. } | AuthorityError::Certificate(_) => {
            "name a folder that `duramen ca init DIR` made; hosts are names without a port, or addresses"
        }
    };
    Refusal::usage(error.to_string(), remedy)
}

/// `90s`, `2m`, `12h`, `365d`.
fn parse_time(text: &str) -> Result<Duration, String> {
    const SECONDS_MAX: u64 = 100 * 365 * 86_400;
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..digits].parse::<u64>().ok();
    let unit = match &text[digits..] {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        _ => None,
    };
    let seconds = number.zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    let seconds = seconds.filter(|seconds| (1..=SECONDS_MAX).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "not a time such as 90s, 2m, 12h or 365d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_an_end() {
        assert_eq!(parse_time("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_time("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_time("365d"), Ok(Duration::from_secs(365 * 86_400)));
        for wrong in ["", "0d", "5", "d", "-1d", "1w", "99999999d", "1 d"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_command_says_what_to_do_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let (ca, day) = (folder.path().join("ca"), Duration::from_secs(86_400));
        let made = init(&ca, None, day).expect("made");
        assert!(made.trust_domain.starts_with("duramen-") && made.advice.contains("duramen ca node"));
        let made = node(NodeId(1), &ca, &["::1".to_owned()], day).expect("made");
        assert!(
            made.advice.contains("--tls-folder") && made.advice.contains("SSL://[::1]:9192"),
            "{}",
            made.advice
        );
        let made = user("alice", &ca, day).expect("made");
        assert!(made.advice.contains("User:CN=alice") && made.advice.contains("ssl.keystore.location"));
    }

    #[test]
    fn names_that_could_lead_out_of_the_folder_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["", "../x", "a/b", ".", "..", "a b", &"a".repeat(65)] {
            assert!(user(name, folder.path(), Duration::from_secs(60)).is_err(), "{name}");
        }
        let day = Duration::from_secs(86_400);
        assert!(init(&folder.path().join("ca"), Some("Prod"), day).is_err());
    }
}
