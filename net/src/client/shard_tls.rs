//! What the TLS connections of one shard share: certificates, buffers, and the pace of handshakes.

use crate::client::any_socket::AnySocket;
use crate::client::handshake_pace::HandshakePace;
use crate::client::socket::Socket;
use crate::client::tls_socket::TlsSocket;
use crate::kafka::listener::Listener;
use crate::tls::buffers::TlsBuffers;
use crate::tls::live::LiveTls;
use crate::tls::session::TlsSession;
use glommio::net::TcpStream;
use rustls::server::UnbufferedServerConnection;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

pub struct ShardTls {
    pub live: Arc<LiveTls>,
    buffers: Rc<TlsBuffers>,
    pub pace: RefCell<HandshakePace>,
}

impl ShardTls {
    pub fn new(live: Arc<LiveTls>) -> Self {
        Self { live, buffers: Rc::default(), pace: RefCell::default() }
    }

    /// A socket with the certificates that count now.
    fn begin(&self, socket: Socket) -> Result<TlsSocket, rustls::Error> {
        let connection = UnbufferedServerConnection::new(Arc::clone(&self.live.current().clients))?;
        let session = TlsSession::server(connection, Rc::clone(&self.buffers));
        Ok(TlsSocket::new(socket, session, Rc::clone(&self.buffers)))
    }
}

/// A client's socket as its listener has them.
pub fn socket(stream: TcpStream, listener: &Listener, tls: Option<&ShardTls>) -> Option<AnySocket> {
    let socket = Socket::new(stream);
    if !listener.protocol.is_encrypted() {
        return Some(AnySocket::Plain(socket));
    }
    let tls = tls.expect("a listener within TLS is not begun without certificates");
    match tls.begin(socket) {
        Ok(socket) => Some(AnySocket::Tls(Box::new(socket))),
        Err(error) => {
            tracing::error!("a connection was closed: TLS cannot begin: {error}");
            None
        }
    }
}
