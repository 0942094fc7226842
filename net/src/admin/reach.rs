//! How a command reaches the cluster: the options that all commands have.

use super::connection::Connection;
use super::kafka_error::is_passing;
use crate::access::how::Access;
use crate::access::options::AccessOptions;
use crate::process::address::Address;
use crate::process::refusal::{EXIT_ENVIRONMENT, EXIT_REFUSED, Refusal};
use clap::Args;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a command rests before it asks a coordinator again.
const ASK_AGAIN: Duration = Duration::from_millis(100);

#[derive(Args, Debug, Default)]
pub struct Reach {
    /// Brokers to begin with, separated by commas; the first one that answers is asked
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092", global = true)]
    pub brokers: String,

    /// How long one request may take, connecting included, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, global = true,
          value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub timeout: u32,

    #[command(flatten)]
    pub options: AccessOptions,

    /// What they came to.
    #[arg(skip)]
    access: OnceLock<Access>,

    /// Write JSON instead of tables
    #[arg(long, global = true)]
    pub json: bool,
}

impl Reach {
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout))
    }

    /// What a request says of its own time: less than this side waits, so that the broker's own
    /// REQUEST_TIMED_OUT arrives.
    pub fn timeout_ms(&self) -> i32 {
        i32::try_from(self.timeout).expect("at most an hour") * 1000 * 9 / 10
    }

    /// Carries out what asks a coordinator. One that is being chosen, reads its log back or ends a transaction is asked
    /// again until the time is up, as Kafka's own tools do.
    pub fn until_settled<T>(&self, attempt: impl Fn() -> Result<T, Refusal>) -> Result<T, Refusal> {
        let deadline = Instant::now() + self.timeout();
        loop {
            match attempt() {
                Err(refusal) if is_passing(&refusal) && Instant::now() + ASK_AGAIN < deadline => {
                    std::thread::sleep(ASK_AGAIN);
                }
                result => return result,
            }
        }
    }

    /// Where to begin, as given.
    pub fn bootstrap(&self) -> Result<Vec<Address>, Refusal> {
        let texts = self.brokers.split(',').map(str::trim).filter(|text| !text.is_empty());
        texts.map(|text| Address::parse("--brokers", text)).collect()
    }

    /// What to say when none of the brokers answers, and why each does not.
    pub fn nobody(failures: &[String]) -> Refusal {
        let what = match failures {
            [] => "--brokers names none that answers".to_owned(),
            all => all.join("; "),
        };
        let remedy = "start a broker, or name one that runs with --brokers HOST:PORT";
        Refusal { exit_code: EXIT_ENVIRONMENT, what, remedy: remedy.to_owned() }
    }

    /// How brokers are reached; a password that is not given is asked for once.
    pub fn access(&self) -> Result<&Access, Refusal> {
        if let Some(access) = self.access.get() {
            return Ok(access);
        }
        let access = self.options.resolve()?;
        Ok(self.access.get_or_init(|| access))
    }

    /// The first of the brokers that answers.
    pub fn connect(&self) -> Result<Connection, Refusal> {
        let mut failures = Vec::new();
        let access = self.access()?;
        for address in self.bootstrap()? {
            match Connection::open(access, &address.host, address.port, self.timeout()) {
                Ok(connection) => return Ok(connection),
                // The others have the same users.
                Err(why) if why.exit_code == EXIT_REFUSED => return Err(why),
                Err(why) => failures.push(why.what),
            }
        }
        Err(Self::nobody(&failures))
    }
}

#[cfg(test)]
impl Reach {
    pub fn sample(brokers: &str) -> Self {
        Self { brokers: brokers.to_owned(), timeout: 1, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_broker_that_did_not_answer_is_named() {
        // Bound and let go: nobody listens there.
        let free = || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.local_addr().expect("bound").port()
        };
        let (one, other) = (free(), free());
        let refused =
            Reach::sample(&format!("127.0.0.1:{one}, 127.0.0.1:{other}")).connect().err().expect("nobody");
        assert_eq!(refused.exit_code, EXIT_ENVIRONMENT);
        for port in [one, other] {
            assert!(refused.what.contains(&port.to_string()), "{refused}");
        }
        assert_eq!(Reach::sample("broker").connect().err().expect("no port").exit_code, 1);
        assert_eq!(Reach::sample(" , ").connect().err().expect("none").exit_code, EXIT_ENVIRONMENT);
    }

    #[test]
    fn a_broker_that_says_nothing_is_given_up_in_time() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = silent.local_addr().expect("bound").port();
        let begun = std::time::Instant::now();
        let refused = Reach::sample(&format!("127.0.0.1:{port}")).connect().err().expect("no answer");
        assert!(refused.what.contains("no answer within 1 s"), "{refused}");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}
