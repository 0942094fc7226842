//! One blocking connection to a broker: versions are agreed on first, then one request and its
//! answer at a time, each within the time-out.

use crate::access::how::Access;
use crate::access::stream::AccessStream;
use crate::blocking::read_by;
use crate::kafka::client::{self, ClientHead};
use crate::kafka::codec::cursor::Malformed;
use crate::kafka::codec::other_protocol::OtherProtocol;
use crate::kafka::codec::wire::{KafkaRequest, RequestResponsePair};
use crate::process::refusal::Refusal;
use kafka_wire::ApiVersionsRequest;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// What brokers know these commands by.
const CLIENT_ID: &str = "duramen-admin";
/// The version of ApiVersions that every broker since 0.10 answers.
const API_VERSIONS_VERSION: i16 = 0;
/// A longer answer is no Kafka broker's: 16 MiB describe more than 100,000 partitions.
const ANSWER_BYTES_MAX: usize = 16 << 20;

pub struct Connection {
    stream: AccessStream,
    /// As given, for messages.
    address: String,
    timeout: Duration,
    correlation: i32,
    /// By API key: what the broker answers, min and max.
    versions: BTreeMap<i16, (i16, i16)>,
}

impl Connection {
    /// Connects and asks which versions there are.
    pub fn open(access: &Access, host: &str, port: u16, timeout: Duration) -> Result<Self, Refusal> {
        let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let begun = Instant::now();
        let stream = dial(host, port, timeout)
            .and_then(|tcp| AccessStream::open(tcp, host, access, CLIENT_ID, begun + timeout))
            .map_err(|error| no_answer(&address, "connect", timeout, &error))?;
        let left = timeout.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
        let mut connection =
            Self { stream, address, timeout: left, correlation: 0, versions: BTreeMap::new() };
        let request = ApiVersionsRequest::default();
        let response = connection.exchange(API_VERSIONS_VERSION, &request, timeout)?;
        if response.error_code != 0 {
            let what = format!("{}: ApiVersions gave error {}", connection.address, response.error_code);
            return Err(Refusal::environment(what, "check that this is a Kafka broker's port"));
        }
        let versions = response.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version)));
        connection.versions = versions.collect();
        connection.timeout = timeout;
        Ok(connection)
    }

    /// From now on a request and its answer may take this long.
    pub fn limit(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends a request in the newest version that both sides know, which must be `at_least` this
    /// one for the request to say what it has to, and waits for the answer.
    pub fn call<R: RequestResponsePair>(
        &mut self,
        at_least: i16,
        request: &R,
    ) -> Result<R::Response, Refusal> {
        self.call_at_most(at_least, i16::MAX, request)
    }

    /// The same where a newer version than `at_most` would want the request otherwise.
    pub fn call_at_most<R: RequestResponsePair>(
        &mut self,
        at_least: i16,
        at_most: i16,
        request: &R,
    ) -> Result<R::Response, Refusal> {
        let key = <R as KafkaRequest>::API_KEY.value();
        let own_max = R::SUPPORTED_VERSIONS.max().value().min(at_most);
        let version = self.versions.get(&key).and_then(|&(min, max)| {
            let version = max.min(own_max);
            (version >= min.max(at_least)).then_some(version)
        });
        let Some(version) = version else {
            let what = format!("{} does not answer {} as it is needed", self.address, R::NAME);
            return Err(Refusal::refused(what, "ask a broker of a newer version"));
        };
        self.exchange(version, request, self.timeout)
    }

    fn exchange<R: RequestResponsePair>(
        &mut self,
        version: i16,
        request: &R,
        shown_timeout: Duration,
    ) -> Result<R::Response, Refusal> {
        self.correlation += 1;
        let head = ClientHead { correlation: self.correlation, client_id: CLIENT_ID };
        let mut frame = Vec::new();
        client::write_request(&mut frame, head, version, request);
        let answer = self
            .round_trip(&frame)
            .map_err(|error| no_answer(&self.address, R::NAME, shown_timeout, &error))?;
        match client::read_response::<R>(&answer, version) {
            Ok((correlation, response)) if correlation == self.correlation => Ok(response),
            Ok(_) => Err(self.nonsense(R::NAME, "the answer is to another request")),
            Err(Malformed(why)) => Err(self.nonsense(R::NAME, why)),
        }
    }

    fn nonsense(&self, request: &str, why: &str) -> Refusal {
        let what = format!("{}: {request}: {why}", self.address);
        Refusal::environment(what, "check that this is a Kafka broker's port")
    }

    fn round_trip(&mut self, frame: &[u8]) -> io::Result<Vec<u8>> {
        let deadline = Instant::now() + self.timeout;
        self.stream.set_write_timeout(self.timeout)?;
        self.stream.write_all(frame)?;
        self.stream.flush()?;
        let mut length = [0; 4];
        read_by(&mut self.stream, &mut length, deadline)?;
        let bytes = u32::from_be_bytes(length) as usize;
        if bytes > ANSWER_BYTES_MAX {
            let why = match OtherProtocol::of(length) {
                Some(other) => other.port().to_owned(),
                None => format!("an answer of {bytes} bytes: this is no Kafka broker's port"),
            };
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let length = bytes;
        let mut answer = vec![0; length];
        read_by(&mut self.stream, &mut answer, deadline)?;
        Ok(answer)
    }
}

/// Every address that the name stands for has the time that is left.
fn dial(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let deadline = Instant::now() + timeout;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name stands for no address");
    for address in (host, port).to_socket_addrs()? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn no_answer(address: &str, doing: &str, timeout: Duration, error: &io::Error) -> Refusal {
    let why = match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("no answer within {} s", timeout.as_secs())
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            "the connection was closed: is this a Kafka broker's --listen address?".to_owned()
        }
        _ => error.to_string(),
    };
    if error.kind() == io::ErrorKind::PermissionDenied {
        let remedy = "check --user, its password and --sasl-mechanism; `duramen user list` names the users";
        return Refusal::refused(format!("{address}: {why}"), remedy);
    }
    let remedy = "check that the broker runs and that --brokers names its address; see --timeout";
    Refusal::environment(format!("{address}: {doing}: {why}"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::reach::Reach;
    use std::io::Read;
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    /// Answers one request after the other with these bytes, each behind the request's correlation id.
    fn broker(answers: Vec<Vec<u8>>) -> (u16, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let answer = move || {
            let (mut stream, _) = listener.accept().expect("a client");
            for answer in answers {
                let mut length = [0; 4];
                stream.read_exact(&mut length).expect("a request");
                let mut request = vec![0; u32::from_be_bytes(length) as usize];
                stream.read_exact(&mut request).expect("all of it");
                let bytes = u32::try_from(4 + answer.len()).expect("short");
                let frame = [&bytes.to_be_bytes()[..], &request[4..8], &answer].concat();
                stream.write_all(&frame).expect("the client reads");
            }
        };
        (port, thread::spawn(answer))
    }

    fn open(port: u16) -> Result<Connection, Refusal> {
        let reach = Reach::sample("unused:1");
        Connection::open(reach.access().expect("plain"), "127.0.0.1", port, Duration::from_secs(5))
    }

    /// ApiVersions, version 0: no error, one API.
    fn versions(key: i16, min: i16, max: i16) -> Vec<u8> {
        let mut answer = vec![0, 0, 0, 0, 0, 1];
        [key, min, max].iter().for_each(|number| answer.extend_from_slice(&number.to_be_bytes()));
        answer
    }

    #[test]
    fn an_api_is_called_in_the_newest_version_of_both_or_not_at_all() {
        let (port, thread) = broker(vec![versions(18, 0, 0), versions(18, 0, 9)]);
        let mut connection = open(port).expect("a broker");
        let request = ApiVersionsRequest::default();
        assert!(connection.call(1, &request).is_err(), "the broker knows version 0 alone");
        assert!(connection.call(0, &kafka_wire::MetadataRequest::default()).is_err(), "it has no such API");
        assert_eq!(connection.call(0, &request).expect("an answer").api_keys[0].max_version, 9);
        thread.join().expect("answered twice");
    }

    #[test]
    fn an_answer_to_another_request_and_one_that_is_none_are_told() {
        let (port, thread) = broker(vec![versions(18, 0, 0), vec![1]]);
        let mut connection = open(port).expect("a broker");
        // Somebody else's request is taken for answered.
        connection.correlation = 7;
        assert!(
            connection.call(0, &ApiVersionsRequest::default()).is_err_and(|why| why.what.contains("decoded"))
        );
        thread.join().expect("answered twice");
        let (port, thread) = broker(vec![vec![0, 35, 0, 0, 0, 0]]);
        let refused = open(port).err().expect("error 35");
        assert!(refused.what.contains("35"), "{refused}");
        thread.join().expect("answered");
    }
}
