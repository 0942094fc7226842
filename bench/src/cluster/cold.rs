//! One blocking connection for everything that is asked once: metadata, topics, producer ids.

use net::kafka::client::{ClientHead, read_response, write_request};
use net::kafka::wire::{KafkaRequest, RequestResponsePair};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

pub const CLIENT_ID: &str = "duramen-bench";
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// Making 10,000 partitions takes a while.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Metadata of a million partitions is 40 MB.
const ANSWER_BYTES_MAX: usize = 256 << 20;

#[derive(Debug)]
pub struct Cold {
    address: SocketAddr,
    stream: TcpStream,
    correlation: i32,
    frame: Vec<u8>,
}

impl Cold {
    pub fn connect(address: &SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(address, CONNECT_MAX)?;
        stream.set_nodelay(true)?;
        Self { address: *address, stream, correlation: 0, frame: Vec::new() }.within(ANSWER_MAX)
    }

    /// From now on it waits so long for an answer.
    pub fn within(self, answer: Duration) -> io::Result<Self> {
        self.stream.set_read_timeout(Some(answer))?;
        self.stream.set_write_timeout(Some(answer))?;
        Ok(self)
    }

    /// Asks and waits for the answer.
    pub fn call<R>(&mut self, version: i16, request: &R) -> io::Result<R::Response>
    where
        R: KafkaRequest + RequestResponsePair,
    {
        let address = self.address;
        self.ask(version, request)
            .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
    }

    fn ask<R>(&mut self, version: i16, request: &R) -> io::Result<R::Response>
    where
        R: KafkaRequest + RequestResponsePair,
    {
        self.correlation += 1;
        let head = ClientHead { correlation: self.correlation, client_id: CLIENT_ID };
        write_request(&mut self.frame, head, version, request);
        self.stream.write_all(&self.frame)?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > ANSWER_BYTES_MAX {
            return Err(invalid(format!("an answer of {length} bytes: is this a Kafka port?")));
        }
        self.frame.resize(length, 0);
        self.stream.read_exact(&mut self.frame)?;
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
