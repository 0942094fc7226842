//! One end of a TLS connection without its socket: what arrives goes in, plaintext and what is to be sent come out.
//! rustls does the cryptography and the handshake; here are the buffers around it, and their bounds.
//!
//! ```text
//! socket → room/received → rustls (decrypts) → read → whoever asked
//! whoever answers → seal → rustls → pooled buffer → socket
//!                    handshake, alerts → said ────────┘
//! ```

use super::buffers::{PLAIN_BYTES_MAX, RECORD_BYTES_MAX, RECORD_OVERHEAD_MAX, TlsBuffers};
use rustls::CommonState;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use std::ops::Deref;
use std::rc::Rc;

/// rustls takes no handshake message longer than 64 KiB, which may come in records of any length.
const HANDSHAKE_BYTES_MAX: usize = (64 << 10) + RECORD_BYTES_MAX;
/// What is to be said beside data: a flight of the handshake with our certificates, alerts, tickets. A peer that makes us
/// say more, and takes none of it, is given up.
const SAID_BYTES_MAX: usize = 128 << 10;

#[derive(Debug, thiserror::Error)]
pub enum TlsSessionError {
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    #[error("a handshake message of more than 64 KiB")]
    HandshakeTooLong,
    #[error("it takes none of what it is told")]
    TakesNothing,
    #[error("the keys are used up")]
    KeysUsedUp,
}

/// What became of an attempt to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsRead {
    /// So many bytes of plaintext.
    Plain(usize),
    /// Nothing until more arrives.
    NeedsMore,
    /// The peer says nothing more.
    End,
}

enum Side {
    Server(Box<UnbufferedServerConnection>),
    Client(Box<UnbufferedClientConnection>),
}

pub struct TlsSession {
    side: Side,
    buffers: Rc<TlsBuffers>,
    /// What arrived and rustls has not taken yet is `start..filled` of it. No memory where nothing of a record is here.
    incoming: Vec<u8>,
    start: usize,
    filled: usize,
    /// Decrypted, not yet read: from `plain_start` on. Never more than one buffer of `incoming` gave.
    plain: Vec<u8>,
    plain_start: usize,
    /// To be sent before anything that is sealed later.
    said: Vec<u8>,
    has_ended: bool,
    /// Nothing is given to rustls any more: it is not made for being asked again.
    failed: Option<rustls::Error>,
}

/// What rustls is at after one step.
enum Reached {
    Plain(usize),
    Said,
    Blocked,
    /// Data may be sealed; what came of the data that was to be.
    Traffic(Result<usize, EncryptError>),
    PeerClosed,
    Closed,
}

/// Where plaintext goes, and what is to be sealed where.
struct Step<'a> {
    into: &'a mut [u8],
    rest: &'a mut Vec<u8>,
    said: &'a mut Vec<u8>,
    seal: Option<(&'a [u8], &'a mut [u8])>,
    closes: bool,
}

impl TlsSession {
    pub fn server(connection: UnbufferedServerConnection, buffers: Rc<TlsBuffers>) -> Self {
        Self::new(Side::Server(Box::new(connection)), buffers)
    }

    pub fn client(connection: UnbufferedClientConnection, buffers: Rc<TlsBuffers>) -> Self {
        Self::new(Side::Client(Box::new(connection)), buffers)
    }

    fn new(side: Side, buffers: Rc<TlsBuffers>) -> Self {
        Self {
            side,
            buffers,
            incoming: Vec::new(),
            start: 0,
            filled: 0,
            plain: Vec::new(),
            plain_start: 0,
            said: Vec::new(),
            has_ended: false,
            failed: None,
        }
    }

    /// What rustls knows of the connection: its version, the peer's certificates.
    pub fn state(&self) -> &CommonState {
        match &self.side {
            Side::Server(connection) => connection.deref(),
            Side::Client(connection) => connection.deref(),
        }
    }

    /// Takes bytes that were read without a buffer: a record's head, at most.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), TlsSessionError> {
        self.room()?[..bytes.len()].copy_from_slice(bytes);
        self.received(bytes.len());
        Ok(())
    }

    /// Where bytes that arrive belong, at least one of them.
    pub fn room(&mut self) -> Result<&mut [u8], TlsSessionError> {
        if self.incoming.is_empty() {
            self.incoming = self.buffers.take_incoming();
        }
        if self.start > 0 {
            self.incoming.copy_within(self.start..self.filled, 0);
            (self.start, self.filled) = (0, self.filled - self.start);
        }
        if self.filled == self.incoming.len() {
            // A record fits: it is a handshake message in several.
            if self.filled >= HANDSHAKE_BYTES_MAX {
                return Err(TlsSessionError::HandshakeTooLong);
            }
            self.incoming.resize(HANDSHAKE_BYTES_MAX, 0);
        }
        Ok(&mut self.incoming[self.filled..])
    }

    /// So many bytes arrived in [`Self::room`].
    pub fn received(&mut self, bytes: usize) {
        self.filled += bytes;
        assert!(self.filled <= self.incoming.len(), "{bytes} bytes are more than there was room for");
    }

    /// The next plaintext, as much of it as is there and fits.
    pub fn read(&mut self, into: &mut [u8]) -> Result<TlsRead, TlsSessionError> {
        assert!(!into.is_empty());
        let waiting = &self.plain[self.plain_start..];
        if !waiting.is_empty() {
            let bytes = waiting.len().min(into.len());
            into[..bytes].copy_from_slice(&waiting[..bytes]);
            self.plain_start += bytes;
            self.release();
            return Ok(TlsRead::Plain(bytes));
        }
        loop {
            match self.step(into, None, false)? {
                // A record may be empty.
                Reached::Plain(0) | Reached::Said => {}
                Reached::Plain(bytes) => {
                    self.release();
                    return Ok(TlsRead::Plain(bytes));
                }
                Reached::PeerClosed | Reached::Closed => self.has_ended = true,
                Reached::Blocked | Reached::Traffic(_) => {
                    self.release();
                    return Ok(if self.has_ended { TlsRead::End } else { TlsRead::NeedsMore });
                }
            }
            if self.has_ended {
                self.release();
                return Ok(TlsRead::End);
            }
        }
    }

    /// Takes the handshake as far as what arrived allows; true when it is done.
    pub fn shake_hands(&mut self) -> Result<bool, TlsSessionError> {
        loop {
            match self.step(&mut [], None, false)? {
                Reached::Said => {}
                Reached::Blocked => return Ok(false),
                // Data may come with the last message.
                Reached::Traffic(_) | Reached::Plain(_) => {
                    assert!(!self.state().is_handshaking(), "data before the handshake is done");
                    self.release();
                    return Ok(true);
                }
                // Its last word may come with the last message.
                Reached::PeerClosed if !self.state().is_handshaking() => {
                    self.has_ended = true;
                    return Ok(true);
                }
                Reached::PeerClosed | Reached::Closed => {
                    return Err(TlsSessionError::Tls(rustls::Error::HandshakeNotComplete));
                }
            }
        }
    }

    /// Seals at most a record's plaintext; how many bytes it came to.
    pub fn seal(&mut self, plain: &[u8], to: &mut [u8]) -> Result<usize, TlsSessionError> {
        assert!(plain.len() <= PLAIN_BYTES_MAX && to.len() >= plain.len() + RECORD_OVERHEAD_MAX);
        loop {
            match self.step(&mut [], Some((plain, &mut *to)), false)? {
                // What arrived meanwhile is read later.
                Reached::Plain(_) | Reached::Said => {}
                Reached::PeerClosed => self.has_ended = true,
                Reached::Traffic(sealed) => {
                    return sealed.map_err(|error| match error {
                        EncryptError::EncryptExhausted => TlsSessionError::KeysUsedUp,
                        EncryptError::InsufficientSize(_) => unreachable!("there was room for it"),
                    });
                }
                Reached::Blocked | Reached::Closed => {
                    return Err(TlsSessionError::Tls(rustls::Error::HandshakeNotComplete));
                }
            }
        }
    }

    /// Says that nothing more will be sent, where that can be said.
    pub fn close(&mut self) {
        for _ in 0..8 {
            match self.step(&mut [], None, true) {
                Ok(Reached::Plain(_) | Reached::Said | Reached::PeerClosed) => {}
                _ => return,
            }
        }
    }

    /// What is to be sent before anything that is sealed from now on.
    pub fn take_said(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.said)
    }

    pub fn has_said(&self) -> bool {
        !self.said.is_empty()
    }

    /// After an error: what the peer is to be told of it.
    pub fn last_words(&mut self) -> Vec<u8> {
        self.incoming.clear();
        (self.start, self.filled) = (0, 0);
        // What it has to say comes before it looks at what arrived.
        while self.state().wants_write() {
            if !matches!(self.ask(&mut [], None, false), Ok(Reached::Said)) {
                break;
            }
        }
        self.take_said()
    }

    fn step(
        &mut self,
        into: &mut [u8],
        seal: Option<(&[u8], &mut [u8])>,
        closes: bool,
    ) -> Result<Reached, TlsSessionError> {
        if let Some(error) = &self.failed {
            return Err(error.clone().into());
        }
        let reached = self.ask(into, seal, closes);
        if let Err(TlsSessionError::Tls(error)) = &reached {
            self.failed = Some(error.clone());
        }
        reached
    }

    fn ask(
        &mut self,
        into: &mut [u8],
        seal: Option<(&[u8], &mut [u8])>,
        closes: bool,
    ) -> Result<Reached, TlsSessionError> {
        if self.said.len() > SAID_BYTES_MAX {
            return Err(TlsSessionError::TakesNothing);
        }
        let incoming = &mut self.incoming[self.start..self.filled];
        let (rest, said) = (&mut self.plain, &mut self.said);
        let step = Step { into, rest, said, seal, closes };
        let (taken, reached) = match &mut self.side {
            Side::Server(connection) => step.after(connection.process_tls_records(incoming)),
            Side::Client(connection) => step.after(connection.process_tls_records(incoming)),
        };
        self.start += taken;
        assert!(self.start <= self.filled, "{taken} bytes were taken, {} were there", self.filled);
        Ok(reached?)
    }

    /// Gives back what holds nothing: between two records no buffer is held.
    pub fn release(&mut self) {
        if self.plain_start == self.plain.len() {
            (self.plain, self.plain_start) = (Vec::new(), 0);
        }
        if self.start == self.filled && !self.incoming.is_empty() {
            (self.start, self.filled) = (0, 0);
            self.buffers.give_incoming(core::mem::take(&mut self.incoming));
        }
    }
}

impl Drop for TlsSession {
    fn drop(&mut self) {
        self.buffers.give_incoming(core::mem::take(&mut self.incoming));
    }
}

impl Step<'_> {
    /// Does what rustls is ready for; gives how much it has taken of what arrived.
    fn after<Data>(
        mut self,
        UnbufferedStatus { mut discard, state, .. }: UnbufferedStatus<'_, '_, Data>,
    ) -> (usize, Result<Reached, rustls::Error>) {
        let state = match state {
            Ok(state) => state,
            Err(error) => return (discard, Err(error)),
        };
        let reached = match state {
            ConnectionState::ReadTraffic(mut traffic) => {
                let mut bytes = 0;
                while let Some(record) = traffic.next_record() {
                    let record = match record {
                        Ok(record) => record,
                        Err(error) => return (discard, Err(error)),
                    };
                    discard += record.discard;
                    bytes += self.take(record.payload, bytes);
                }
                Reached::Plain(bytes)
            }
            ConnectionState::EncodeTlsData(mut data) => {
                self.encode(|to| data.encode(to));
                Reached::Said
            }
            ConnectionState::TransmitTlsData(data) => {
                // It is in `said`, which goes out before anything else does.
                data.done();
                Reached::Said
            }
            ConnectionState::BlockedHandshake => Reached::Blocked,
            ConnectionState::WriteTraffic(mut traffic) => {
                if self.closes {
                    let at = self.said.len();
                    self.said.resize(at + RECORD_BYTES_MAX, 0);
                    let bytes = traffic.queue_close_notify(&mut self.said[at..]).unwrap_or(0);
                    self.said.truncate(at + bytes);
                }
                Reached::Traffic(match self.seal {
                    Some((plain, to)) => traffic.encrypt(plain, to),
                    None => Ok(0),
                })
            }
            ConnectionState::PeerClosed => Reached::PeerClosed,
            ConnectionState::Closed => Reached::Closed,
            // No side here allows it, and what may come later is not known.
            _ => return (discard, Err(rustls::Error::General("early data".to_owned()))),
        };
        (discard, Ok(reached))
    }

    /// Plaintext goes where it is asked for, behind what is there already; what does not fit is kept.
    fn take(&mut self, payload: &[u8], already: usize) -> usize {
        let fits = payload.len().min(self.into.len() - already.min(self.into.len()));
        if self.rest.is_empty() {
            self.into[already..already + fits].copy_from_slice(&payload[..fits]);
            self.rest.extend_from_slice(&payload[fits..]);
            return fits;
        }
        self.rest.extend_from_slice(payload);
        0
    }

    fn encode(&mut self, mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) {
        let at = self.said.len();
        let mut room = 1 << 10;
        loop {
            self.said.resize(at + room, 0);
            match encode(&mut self.said[at..]) {
                Ok(bytes) => return self.said.truncate(at + bytes),
                Err(EncodeError::InsufficientSize(needed)) => room = needed.required_size,
                Err(EncodeError::AlreadyEncoded) => unreachable!("each is encoded once"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::authority::CertificateAuthority;
    use crate::tls::buffers::SEALED_BYTES_MAX;
    use crate::tls::files;
    use crate::tls::material::{ClientCertificates, TlsMaterial, TlsPaths};
    use engine::ids::NodeId;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
    use std::sync::Arc;
    use std::time::Duration;

    /// Two ends that have shaken hands, and what waits between them.
    struct Pair {
        client: TlsSession,
        server: TlsSession,
        buffers: Rc<TlsBuffers>,
    }

    fn pair(version: &'static SupportedProtocolVersion) -> Pair {
        let folder = tempfile::tempdir().expect("a folder");
        let day = Duration::from_secs(86_400);
        let authority = CertificateAuthority::init(folder.path(), "test", day).expect("made");
        let node = authority.node(NodeId(1), &["localhost".to_owned()], day).expect("made");
        let material = TlsMaterial::load(&TlsPaths::in_folder(&node)).expect("loaded");
        let config = Arc::new(material.for_clients(ClientCertificates::None).expect("good"));
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(folder.path().join(files::CA)).expect("a certificate");
        roots.add(ca).expect("good");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]);
        let client = client.expect("known").with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let buffers = Rc::new(TlsBuffers::default());
        let mut pair = Pair {
            client: TlsSession::client(
                UnbufferedClientConnection::new(Arc::new(client), name).expect("a client"),
                Rc::clone(&buffers),
            ),
            server: TlsSession::server(
                UnbufferedServerConnection::new(config).expect("a server"),
                Rc::clone(&buffers),
            ),
            buffers,
        };
        loop {
            let client_done = pair.client.shake_hands().expect("shakes");
            deliver(&pair.client.take_said(), &mut pair.server, 7);
            let server_done = pair.server.shake_hands().expect("shakes");
            deliver(&pair.server.take_said(), &mut pair.client, 4096);
            if client_done && server_done {
                return pair;
            }
        }
    }

    /// In pieces, as a network gives them.
    fn deliver(mut bytes: &[u8], to: &mut TlsSession, piece: usize) {
        while !bytes.is_empty() {
            let room = to.room().expect("room");
            let taken = bytes.len().min(piece).min(room.len());
            room[..taken].copy_from_slice(&bytes[..taken]);
            to.received(taken);
            bytes = &bytes[taken..];
        }
    }

    fn sealed(from: &mut TlsSession, plain: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        for piece in plain.chunks(PLAIN_BYTES_MAX) {
            let mut to = vec![0; SEALED_BYTES_MAX];
            let bytes = from.seal(piece, &mut to).expect("sealed");
            all.extend(from.take_said());
            all.extend_from_slice(&to[..bytes]);
        }
        all
    }

    #[test]
    fn what_goes_in_at_one_end_comes_out_at_the_other_in_pieces_of_any_size() {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let Pair { mut client, mut server, .. } = pair(version);
            let plain: Vec<u8> = (0..100_000u32).map(|at| (at % 251) as u8).collect();
            let records = sealed(&mut client, &plain);
            let mut read = Vec::new();
            for piece in records.chunks(1_000) {
                deliver(piece, &mut server, 1_000);
                let mut into = [0; 777];
                while let TlsRead::Plain(bytes) = server.read(&mut into).expect("read") {
                    read.extend_from_slice(&into[..bytes]);
                }
            }
            assert!(read == plain, "{version:?}");
            assert!(
                server.incoming.is_empty() && server.plain.capacity() == 0,
                "nothing is held between records"
            );
        }
    }

    #[test]
    fn one_who_only_writes_keeps_what_arrives_for_one_who_reads() {
        let Pair { mut client, mut server, .. } = pair(&rustls::version::TLS13);
        let asked = sealed(&mut client, b"question");
        deliver(&asked, &mut server, 5);
        let answer = sealed(&mut server, b"answer");
        deliver(&answer, &mut client, 5);
        let mut into = [0; 64];
        assert_eq!(server.read(&mut into).expect("read"), TlsRead::Plain(8));
        assert_eq!(&into[..8], b"question");
        assert_eq!(client.read(&mut into).expect("read"), TlsRead::Plain(6));
    }

    #[test]
    fn who_says_nothing_more_is_still_answered() {
        let Pair { mut client, mut server, .. } = pair(&rustls::version::TLS13);
        client.close();
        let said = client.take_said();
        assert!(!said.is_empty());
        deliver(&said, &mut server, said.len());
        let mut into = [0; 8];
        assert_eq!(server.read(&mut into).expect("read"), TlsRead::End);
        assert_eq!(server.read(&mut into).expect("again"), TlsRead::End);
        let answer = sealed(&mut server, b"late");
        deliver(&answer, &mut client, answer.len());
        assert_eq!(client.read(&mut into).expect("read"), TlsRead::Plain(4));
    }

    #[test]
    fn a_changed_byte_is_an_error_with_last_words() {
        let Pair { mut client, mut server, .. } = pair(&rustls::version::TLS13);
        let mut record = sealed(&mut client, b"question");
        record[9] ^= 1;
        deliver(&record, &mut server, record.len());
        assert!(server.read(&mut [0; 8]).is_err());
        assert!(!server.last_words().is_empty(), "an alert says why");
        assert!(server.read(&mut [0; 8]).is_err(), "and it stays one");
    }

    #[test]
    fn garbage_and_endless_handshakes_are_errors_and_take_little_memory() {
        let Pair { mut server, buffers, .. } = pair(&rustls::version::TLS13);
        deliver(&[0x17, 3, 3, 0xff, 0xff], &mut server, 5);
        assert!(server.read(&mut [0; 8]).is_err());
        drop(server);
        let folder = tempfile::tempdir().expect("a folder");
        let day = Duration::from_secs(86_400);
        let authority = CertificateAuthority::init(folder.path(), "test", day).expect("made");
        let node = authority.node(NodeId(1), &["localhost".to_owned()], day).expect("made");
        let material = TlsMaterial::load(&TlsPaths::in_folder(&node)).expect("loaded");
        let config = Arc::new(material.for_clients(ClientCertificates::None).expect("good"));
        let connection = UnbufferedServerConnection::new(config).expect("a server");
        let mut server = TlsSession::server(connection, buffers);
        // A ClientHello of 16 MiB, of which each record brings 1,000 bytes.
        let mut record = vec![0x16, 3, 1, 3, 0xe8, 1, 0xff, 0xff, 0xff];
        record.resize(1_005, 0);
        let ended = (0..200).find_map(|_| {
            if let Err(error) = server.receive(&record) {
                return Some(error);
            }
            record[5..9].fill(0);
            server.shake_hands().err()
        });
        assert!(ended.is_some() && server.incoming.len() <= HANDSHAKE_BYTES_MAX, "{ended:?}");
    }
}
