//! Frames by hand, for tests that misbehave as no client library would.

use net::kafka::client::{self, ClientHead};
use net::kafka::codec::wire::{KafkaRequest, RequestResponsePair};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub const API_VERSIONS: i16 = 18;
pub const FETCH: i16 = 1;

/// A connection that speaks frames.
pub struct Wire(pub TcpStream);

impl Wire {
    pub fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_write_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self(stream))
    }

    pub fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.0.write_all(frame)
    }

    /// The next answer's bytes, without the length in front.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut answer)?;
        Ok(answer)
    }

    /// Asks by the schemas and waits for the answer; panics when there is none of its kind.
    pub fn ask<R: RequestResponsePair>(&mut self, client_id: &str, version: i16, request: &R) -> R::Response {
        self.begin_as(ClientHead { correlation: 7, client_id }, version, request);
        self.answer::<R>(version).1
    }

    /// Sends a request by the schemas and waits for nothing.
    pub fn begin<R: KafkaRequest>(&mut self, correlation: i32, version: i16, request: &R) {
        self.begin_as(ClientHead { correlation, client_id: "wire" }, version, request);
    }

    fn begin_as<R: KafkaRequest>(&mut self, head: ClientHead<'_>, version: i16, request: &R) {
        let mut frame = Vec::new();
        client::write_request(&mut frame, head, version, request);
        self.send(&frame).expect("sent");
    }

    /// The next answer: to which request, and what it says.
    pub fn answer<R: RequestResponsePair>(&mut self, version: i16) -> (i32, R::Response) {
        let answer = self.receive().expect("answered");
        client::read_response::<R>(&answer, version).expect("an answer of its kind")
    }

    /// Asks ApiVersions v0 and checks that the answer is one.
    pub fn asks_versions(&mut self, correlation: i32) -> io::Result<()> {
        self.send(&request(API_VERSIONS, 0, correlation, &[]))?;
        let answer = self.receive()?;
        let expected = [&correlation.to_be_bytes()[..], &[0, 0]].concat();
        if answer.starts_with(&expected) { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

/// A request frame with header v1 and no client id.
pub fn request(api: i16, version: i16, correlation: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(body.len() + 14);
    frame.extend((body.len() as u32 + 10).to_be_bytes());
    frame.extend(api.to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(correlation.to_be_bytes());
    frame.extend((-1i16).to_be_bytes());
    frame.extend(body);
    frame
}

/// A Fetch v4 request for partition 0 of `topic`, from `offset`.
pub fn fetch_v4(topic: &str, offset: i64, bytes_max: i32) -> Vec<u8> {
    let mut body = Vec::new();
    // Replica, longest wait (ms), least bytes, most bytes; then isolation level.
    for number in [-1, 500, 1, bytes_max] {
        body.extend(i32::to_be_bytes(number));
    }
    body.push(0);
    body.extend(1i32.to_be_bytes());
    body.extend((topic.len() as i16).to_be_bytes());
    body.extend(topic.as_bytes());
    body.extend(1i32.to_be_bytes());
    body.extend(0i32.to_be_bytes());
    body.extend(offset.to_be_bytes());
    body.extend(bytes_max.to_be_bytes());
    request(FETCH, 4, 1, &body)
}
