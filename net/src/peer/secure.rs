//! What a link has before its hello: TLS, where the node speaks it, and whose certificate is at the other end.

use super::frame::FrameKind;
use super::link::{self, LinkError, Outgoing};
use crate::client::any_socket::AnySocket;
use crate::client::socket::Socket;
use crate::client::tls_socket::{HandshakeError, TlsSocket};
use crate::tls::buffers::TlsBuffers;
use crate::tls::live::LiveTls;
use crate::tls::session::{TlsSession, TlsSessionError};
use crate::tls::words::in_words;
use clap::ValueEnum;
use engine::ids::{NodeId, ShardId};
use glommio::net::TcpStream;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::UnbufferedServerConnection;
use serde::Deserialize;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// Whether links are within TLS.
#[derive(ValueEnum, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum PeerTls {
    #[default]
    Off,
    /// Where the other end speaks it, too: on the way from off to require, or back.
    Prefer,
    Require,
}

impl PeerTls {
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Prefer => "prefer",
            Self::Require => "require",
        }
    }
}

/// The first byte of a TLS handshake; a frame of ours begins with another.
const HANDSHAKE: u8 = 0x16;

/// What the links of a shard need for it.
pub struct Security {
    live: Arc<LiveTls>,
    mode: PeerTls,
    buffers: Rc<TlsBuffers>,
    /// Those that answered a call within TLS in the clear: the next call to each is so, too.
    in_the_clear: RefCell<BTreeSet<(NodeId, ShardId)>>,
    /// Of the certificates by which all links were found good.
    looked: Cell<u64>,
}

/// A socket, and the certificates that the other end showed.
pub struct Secured {
    pub socket: AnySocket,
    pub chain: Option<Vec<CertificateDer<'static>>>,
}

impl Security {
    pub fn new(live: Arc<LiveTls>, mode: PeerTls) -> Self {
        assert_ne!(mode, PeerTls::Off, "nothing is needed for that");
        let looked = Cell::new(live.current().number);
        Self { live, mode, buffers: Rc::default(), in_the_clear: RefCell::default(), looked }
    }

    /// Begins a link that this node calls.
    pub async fn call(&self, stream: TcpStream, other: (NodeId, ShardId)) -> Result<Secured, LinkError> {
        let socket = Socket::new(stream);
        if self.mode == PeerTls::Prefer && self.in_the_clear.borrow_mut().remove(&other) {
            return Ok(in_the_clear(socket));
        }
        let current = self.live.current();
        // It is not looked at: a node is named by its certificate.
        let name = ServerName::try_from("node").expect("a name");
        let config = Arc::clone(&current.peers().calling);
        let connection = UnbufferedClientConnection::new(config, name).map_err(tls)?;
        let session = TlsSession::client(connection, Rc::clone(&self.buffers));
        let socket = TlsSocket::new(socket, session, Rc::clone(&self.buffers));
        match socket.shake_hands().await {
            Ok(()) => Ok(secured(socket)),
            Err(error) => {
                if matches!(
                    &error,
                    HandshakeError::Tls(TlsSessionError::Tls(rustls::Error::InvalidMessage(_)))
                ) {
                    self.in_the_clear.borrow_mut().insert(other);
                }
                Err(words(error))
            }
        }
    }

    /// Begins a link of a caller, whose first byte says what it speaks.
    pub async fn answer(&self, stream: TcpStream) -> Result<Secured, LinkError> {
        let mut first = [0];
        if stream.peek(&mut first).await.map_err(io::Error::from)? == 0 {
            return Err(LinkError::Closed);
        }
        let socket = Socket::new(stream);
        if first[0] != HANDSHAKE {
            if self.mode == PeerTls::Prefer {
                return Ok(in_the_clear(socket));
            }
            let socket = AnySocket::Plain(socket);
            let error = LinkError::InTheClear;
            let frame = Outgoing::small(FrameKind::Refusal, error.to_string().into_bytes());
            let _ = link::send(&socket, &[frame], |_| ()).await;
            return Err(error);
        }
        let config = Arc::clone(&self.live.current().peers().answering);
        let connection = UnbufferedServerConnection::new(config).map_err(tls)?;
        let session = TlsSession::server(connection, Rc::clone(&self.buffers));
        let socket = TlsSocket::new(socket, session, Rc::clone(&self.buffers));
        socket.shake_hands().await.map_err(words)?;
        Ok(secured(socket))
    }

    /// Whether the other end is the node that it says to be.
    pub fn check(&self, chain: Option<&[CertificateDer<'static>]>, node: NodeId) -> Result<(), LinkError> {
        let Some(chain) = chain else { return Ok(()) };
        let named = self.live.current().peers().peer(chain).map_err(LinkError::Certificate)?;
        if named.node == node {
            return Ok(());
        }
        let what = format!("it says to be node {node}, its certificate is that of node {}", named.node);
        Err(LinkError::Certificate(what))
    }

    pub fn is_required(&self) -> bool {
        self.mode == PeerTls::Require
    }

    /// Whether certificates are others than when this was asked last.
    pub fn has_changed(&self) -> bool {
        let number = self.live.current().number;
        self.looked.replace(number) != number
    }

    /// Whether a link could still begin with the certificates of its other end.
    pub fn is_still_good(&self, chain: &[CertificateDer<'static>]) -> Result<(), LinkError> {
        self.live.current().peers().is_still_good(chain).map_err(LinkError::Certificate)
    }
}

fn in_the_clear(socket: Socket) -> Secured {
    Secured { socket: AnySocket::Plain(socket), chain: None }
}

fn secured(socket: TlsSocket) -> Secured {
    let chain = socket.peer_chain();
    Secured { socket: AnySocket::Tls(Box::new(socket)), chain: Some(chain) }
}

fn tls(error: rustls::Error) -> LinkError {
    LinkError::Tls(error.to_string())
}

fn words(error: HandshakeError) -> LinkError {
    match error {
        HandshakeError::Tls(TlsSessionError::Tls(error)) => LinkError::Tls(match error {
            rustls::Error::InvalidMessage(_) => {
                "it answers in the clear: start it with --peer-tls prefer or require".to_owned()
            }
            error => in_words(&error, "the other node"),
        }),
        HandshakeError::Gone => LinkError::Closed,
        HandshakeError::Socket(error) => LinkError::Socket(error),
        other => LinkError::Tls(other.to_string()),
    }
}
