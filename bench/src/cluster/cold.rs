//! One blocking connection for everything that is asked once: metadata, topics, producer ids.

use net::access::how::Access;
use net::access::stream::AccessStream;
use net::blocking::read_by;
use net::kafka::client::{ClientHead, read_response, write_request};
use net::kafka::codec::other_protocol::OtherProtocol;
use net::kafka::codec::wire::{KafkaRequest, RequestResponsePair};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

pub const CLIENT_ID: &str = "duramen-bench";
/// However long answers may take.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// Metadata of a million partitions is 40 MB.
const ANSWER_BYTES_MAX: usize = 256 << 20;

#[derive(Debug)]
pub struct Cold {
    address: SocketAddr,
    stream: AccessStream,
    correlation: i32,
    frame: Vec<u8>,
    /// For a request and its answer.
    answer_max: Duration,
}

impl Cold {
    /// Connects to what is called `host`; each answer may take so long.
    pub fn connect(
        address: &SocketAddr,
        host: &str,
        access: &Access,
        answer_max: Duration,
    ) -> io::Result<Self> {
        let tcp = TcpStream::connect_timeout(address, CONNECT_MAX.min(answer_max))?;
        tcp.set_nodelay(true)?;
        let stream = AccessStream::open(tcp, host, access, CLIENT_ID, Instant::now() + answer_max)?;
        Ok(Self { address: *address, stream, correlation: 0, frame: Vec::new(), answer_max })
    }

    /// From now on it waits no longer than this for an answer.
    pub fn within(mut self, answer: Duration) -> Self {
        self.answer_max = self.answer_max.min(answer);
        self
    }

    /// What is asked next takes its time.
    pub fn at_least(mut self, answer: Duration) -> Self {
        self.answer_max = self.answer_max.max(answer);
        self
    }

    /// Asks and waits for the answer.
    pub fn call<R>(&mut self, version: i16, request: &R) -> io::Result<R::Response>
    where
        R: KafkaRequest + RequestResponsePair,
    {
        let (address, seconds) = (self.address, self.answer_max.as_secs_f64());
        self.ask(version, request).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                let what = format!("{address}: {}: no answer within {seconds} s", R::NAME);
                io::Error::new(io::ErrorKind::TimedOut, what)
            }
            kind => io::Error::new(kind, format!("{address}: {error}")),
        })
    }

    fn ask<R>(&mut self, version: i16, request: &R) -> io::Result<R::Response>
    where
        R: KafkaRequest + RequestResponsePair,
    {
        self.correlation += 1;
        let head = ClientHead { correlation: self.correlation, client_id: CLIENT_ID };
        write_request(&mut self.frame, head, version, request);
        let deadline = Instant::now() + self.answer_max;
        self.stream.set_write_timeout(self.answer_max)?;
        self.stream.write_all(&self.frame)?;
        self.stream.flush()?;
        let mut length = [0; 4];
        read_by(&mut self.stream, &mut length, deadline)?;
        let bytes = u32::from_be_bytes(length) as usize;
        if bytes > ANSWER_BYTES_MAX {
            return Err(invalid(match OtherProtocol::of(length) {
                Some(other) => other.port().to_owned(),
                None => format!("an answer of {bytes} bytes: this is no Kafka port"),
            }));
        }
        self.frame.resize(bytes, 0);
        read_by(&mut self.stream, &mut self.frame, deadline)?;
        let (correlation, response) =
            read_response::<R>(&self.frame, version).map_err(|error| invalid(error.to_string()))?;
        if correlation != self.correlation {
            return Err(invalid(format!("answer {correlation} to request {}", self.correlation)));
        }
        Ok(response)
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The first address of `HOST:PORT`.
pub fn resolve(address: &str) -> io::Result<SocketAddr> {
    let mut found = address.to_socket_addrs()?;
    found.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{address} has no address")))
}
