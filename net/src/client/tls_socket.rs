//! A socket within TLS: what one task reads is decrypted, what another one writes is encrypted, and what the protocol
//! itself has to say goes out in its place between them.

use crate::client::socket::Socket;
use crate::shard::completion::Waiters;
use crate::tls::buffers::{PLAIN_BYTES_MAX, RECORD_OVERHEAD_MAX, SEALED_BYTES_MAX, TlsBuffers};
use crate::tls::session::{TlsRead, TlsSession, TlsSessionError};
use rustls::pki_types::CertificateDer;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

/// A record's kind, version and length.
const RECORD_HEAD_BYTES: usize = 5;
/// The kind of a record with which every TLS client begins.
const HANDSHAKE: u8 = 0x16;

pub struct TlsSocket {
    socket: Socket,
    session: RefCell<TlsSession>,
    buffers: Rc<TlsBuffers>,
    /// Somebody sends: the others' bytes follow.
    is_sending: Cell<bool>,
    sent: Waiters,
    /// What is sealed at once: less for who takes it slowly, so that little waits in memory for each such one.
    sealed_bytes_max: Cell<usize>,
}

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// With the first bytes that came.
    #[error("it does not speak TLS")]
    NoTls([u8; 4]),
    #[error("{0}")]
    Tls(#[from] TlsSessionError),
    #[error("it went away")]
    Gone,
    #[error("{0}")]
    Socket(#[from] io::Error),
}

impl TlsSocket {
    pub fn new(socket: Socket, session: TlsSession, buffers: Rc<TlsBuffers>) -> Self {
        Self {
            socket,
            session: RefCell::new(session),
            buffers,
            is_sending: Cell::new(false),
            sent: Waiters::default(),
            sealed_bytes_max: Cell::new(SEALED_BYTES_MAX),
        }
    }

    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The certificates that the peer showed and that were found good, its own first.
    pub fn peer_certificate(&self) -> Option<Vec<u8>> {
        let session = self.session.borrow();
        let certificates = session.state().peer_certificates()?;
        certificates.first().map(|certificate| certificate.to_vec())
    }

    /// All the certificates that the peer showed.
    pub fn peer_chain(&self) -> Vec<CertificateDer<'static>> {
        let session = self.session.borrow();
        let chain = session.state().peer_certificates().unwrap_or_default();
        chain.iter().map(|certificate| certificate.clone().into_owned()).collect()
    }

    /// What was agreed on, such as `TLSv1_3`.
    pub fn version(&self) -> Option<&'static str> {
        self.session.borrow().state().protocol_version()?.as_str()
    }

    /// Waits for a client's first bytes, which tell whether it speaks TLS at all.
    pub async fn first_bytes(&self) -> Result<(), HandshakeError> {
        let mut head = [0; RECORD_HEAD_BYTES];
        let bytes = self.socket.read(&mut head, || ()).await?;
        if bytes == 0 {
            return Err(HandshakeError::Gone);
        }
        if head[0] != HANDSHAKE {
            return Err(HandshakeError::NoTls(*head.first_chunk().expect("longer")));
        }
        let mut session = self.session.borrow_mut();
        assert!(session.state().is_handshaking(), "the first bytes are read first");
        session.receive(&head[..bytes])?;
        Ok(())
    }

    /// Until the handshake is done.
    pub async fn shake_hands(&self) -> Result<(), HandshakeError> {
        loop {
            let shaken = self.session.borrow_mut().shake_hands();
            match shaken {
                Ok(is_done) => {
                    self.flush().await?;
                    if is_done {
                        return Ok(());
                    }
                }
                Err(error) => {
                    self.say_last_words();
                    return Err(error.into());
                }
            }
            if self.fill(&|| ()).await? == 0 {
                return Err(HandshakeError::Gone);
            }
        }
    }

    /// Reads what is there, up to the length of `into`; 0 at the end.
    pub async fn read(&self, into: &mut [u8], waits: impl Fn()) -> io::Result<usize> {
        loop {
            let read = self.session.borrow_mut().read(into);
            let read = read.map_err(|error| {
                self.say_last_words();
                broken(error)
            })?;
            if self.session.borrow().has_said() {
                self.flush().await?;
            }
            match read {
                TlsRead::Plain(bytes) => return Ok(bytes),
                TlsRead::End => return Ok(0),
                // Who goes without a word has said all there is, too: requests carry their lengths.
                TlsRead::NeedsMore => {
                    if self.fill(&waits).await? == 0 {
                        return Ok(0);
                    }
                }
            }
        }
    }

    /// Takes what arrived, at least a byte of it; 0 at the end. No buffer is held while nothing of a record is here.
    async fn fill(&self, waits: &impl Fn()) -> io::Result<usize> {
        let there = {
            let mut session = self.session.borrow_mut();
            let there = self.socket.read_now(session.room().map_err(broken)?);
            if let Ok(bytes) = there {
                session.received(bytes);
            }
            session.release();
            there
        };
        match there {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
        let mut head = [0; RECORD_HEAD_BYTES];
        let bytes = self.socket.read(&mut head, waits).await?;
        self.session.borrow_mut().receive(&head[..bytes]).map_err(broken)?;
        Ok(bytes)
    }

    /// Writes all pieces. `progress` is called with the bytes of each write.
    pub async fn write_all(&self, pieces: &[&[u8]], progress: impl Fn(usize)) -> io::Result<()> {
        let turn = self.turn().await;
        let mut sealed = Sealed { bytes: self.buffers.take_sealed(), filled: 0, buffers: &self.buffers };
        for piece in pieces {
            for plain in piece.chunks(PLAIN_BYTES_MAX) {
                if sealed.filled + plain.len() + RECORD_OVERHEAD_MAX > self.sealed_bytes_max.get() {
                    self.send(&mut sealed, &progress).await?;
                }
                let said = {
                    let mut session = self.session.borrow_mut();
                    let to = &mut sealed.bytes[sealed.filled..];
                    let bytes = session.seal(plain, to).map_err(broken)?;
                    assert!(bytes >= plain.len(), "{} bytes became {bytes}", plain.len());
                    let said = session.take_said();
                    if said.is_empty() {
                        sealed.filled += bytes;
                        continue;
                    }
                    (said, bytes)
                };
                // It was said after what was sealed before, and before what was sealed now.
                let (said, bytes) = said;
                let (before, now) = sealed.bytes[..sealed.filled + bytes].split_at(sealed.filled);
                self.socket.write_all(&[before, &said, now], &progress).await?;
                sealed.filled = 0;
            }
        }
        self.send(&mut sealed, &progress).await?;
        assert_eq!(sealed.filled, 0, "all of it was sent");
        self.say(&progress).await?;
        drop(turn);
        Ok(())
    }

    async fn send(&self, sealed: &mut Sealed<'_>, progress: &impl Fn(usize)) -> io::Result<()> {
        let writes = Cell::new(0);
        let count = |bytes| {
            writes.set(writes.get() + 1);
            progress(bytes);
        };
        if sealed.filled > 0 {
            self.socket.write_all(&[&sealed.bytes[..sealed.filled]], count).await?;
            sealed.filled = 0;
        }
        // One that took all of it at once is given as much again.
        let max = if writes.get() > 1 { PLAIN_BYTES_MAX + RECORD_OVERHEAD_MAX } else { SEALED_BYTES_MAX };
        self.sealed_bytes_max.set(max);
        Ok(())
    }

    /// Sends what the protocol has to say, unless somebody sends: who does says it behind.
    async fn flush(&self) -> io::Result<()> {
        if self.is_sending.get() {
            return Ok(());
        }
        let turn = self.turn().await;
        self.say(&|_| ()).await?;
        drop(turn);
        Ok(())
    }

    async fn say(&self, progress: &impl Fn(usize)) -> io::Result<()> {
        loop {
            let said = self.session.borrow_mut().take_said();
            if said.is_empty() {
                return Ok(());
            }
            self.socket.write_all(&[&said], progress).await?;
        }
    }

    async fn turn(&self) -> Turn<'_> {
        self.sent.until(|| !self.is_sending.get()).await;
        assert!(!self.is_sending.replace(true), "one sends at a time");
        Turn(self)
    }

    /// Tells the peer why, where that takes no waiting.
    fn say_last_words(&self) {
        if !self.is_sending.get() {
            let words = self.session.borrow_mut().last_words();
            self.socket.write_now(&words);
        }
    }

    /// Ends both directions; the peer is told so where that takes no waiting.
    pub fn shutdown(&self) {
        if !self.is_sending.get() {
            let mut session = self.session.borrow_mut();
            session.close();
            self.socket.write_now(&session.take_said());
        }
        self.socket.shutdown();
    }
}

/// A buffer of records; it goes back however its use ends.
struct Sealed<'a> {
    bytes: Vec<u8>,
    filled: usize,
    buffers: &'a TlsBuffers,
}

impl Drop for Sealed<'_> {
    fn drop(&mut self) {
        self.buffers.give_sealed(core::mem::take(&mut self.bytes));
    }
}

/// Who holds it sends.
struct Turn<'a>(&'a TlsSocket);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        assert!(self.0.is_sending.replace(false), "who holds the turn sends");
        self.0.sent.notify();
    }
}

fn broken(error: TlsSessionError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
