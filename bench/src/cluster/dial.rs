//! A connection of the load to a broker: TLS and SASL first, where they are asked for; then as fast as without.

use super::cold::CLIENT_ID;
use super::directory::Directory;
use glommio::net::TcpStream;
use net::access::sasl_dialog::SaslDialog;
use net::access::stream::may_be_sent;
use net::client::any_socket::AnySocket;
use net::client::socket::Socket;
use net::client::tls_socket::TlsSocket;
use net::tls::buffers::TlsBuffers;
use net::tls::session::TlsSession;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// A longer answer is none of SASL's.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Connects; the error is a kind of trouble, for the figures.
pub async fn dial(directory: &Directory, address: SocketAddr) -> Result<AnySocket, String> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| format!("connect: {}", std::io::Error::from(error).kind()))?;
    // Requests are written whole; nothing is gained by waiting for more.
    let _ = stream.set_nodelay(true);
    let access = directory.access();
    let socket = match &access.tls {
        None => AnySocket::Plain(Socket::new(stream)),
        Some(config) => {
            let name =
                ServerName::try_from(directory.host_of(&address)).map_err(|error| format!("TLS: {error}"))?;
            let tls = UnbufferedClientConnection::new(Arc::clone(config), name);
            let buffers = Rc::new(TlsBuffers::default());
            let session =
                TlsSession::client(tls.map_err(|error| format!("TLS: {error}"))?, Rc::clone(&buffers));
            let socket = TlsSocket::new(Socket::new(stream), session, buffers);
            socket.shake_hands().await.map_err(|error| format!("TLS: {error}"))?;
            AnySocket::Tls(Box::new(socket))
        }
    };
    if let Some(login) = &access.login {
        may_be_sent(login, access.tls.is_some() || address.ip().is_loopback())
            .map_err(|error| error.to_string())?;
        let (mut dialog, frame) = SaslDialog::begin(login, CLIENT_ID);
        let mut next = Some(frame);
        while let Some(frame) = next {
            socket.write_all(&[&frame], |_| {}).await.map_err(|error| format!("send: {}", error.kind()))?;
            next = dialog.take(&receive(&socket).await?)?;
        }
    }
    Ok(socket)
}

/// One answer, without its length.
async fn receive(socket: &AnySocket) -> Result<Vec<u8>, String> {
    let mut length = [0; 4];
    fill(socket, &mut length).await?;
    let bytes = u32::from_be_bytes(length) as usize;
    if bytes > ANSWER_BYTES_MAX {
        return Err("an answer is too long to be one".to_owned());
    }
    let mut answer = vec![0; bytes];
    fill(socket, &mut answer).await?;
    Ok(answer)
}

async fn fill(socket: &AnySocket, to: &mut [u8]) -> Result<(), String> {
    let mut filled = 0;
    while filled < to.len() {
        let read = socket.read(&mut to[filled..], || {}).await;
        match read.map_err(|error| format!("receive: {}", error.kind()))? {
            0 => return Err("the broker closed the connection".to_owned()),
            bytes => filled += bytes,
        }
    }
    Ok(())
}
