//! A socket in the clear or within TLS: the same to who reads and writes.

use crate::client::socket::Socket;
use crate::client::tls_socket::TlsSocket;
use std::io;

pub enum AnySocket {
    /// What is written goes to the kernel from where it lies.
    Plain(Socket),
    Tls(Box<TlsSocket>),
}

impl AnySocket {
    /// Reads what is there, up to the length of `into`; 0 at the end. `waits` is called when
    /// nothing was there.
    pub async fn read(&self, into: &mut [u8], waits: impl Fn()) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(into, waits).await,
            Self::Tls(socket) => socket.read(into, waits).await,
        }
    }

    /// Writes all pieces. `progress` is called with the bytes of each write.
    pub async fn write_all(&self, pieces: &[&[u8]], progress: impl Fn(usize)) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(pieces, progress).await,
            Self::Tls(socket) => socket.write_all(pieces, progress).await,
        }
    }

    /// Ends both directions: whoever reads or writes is woken and sees the end.
    pub fn shutdown(&self) {
        match self {
            Self::Plain(socket) => socket.shutdown(),
            Self::Tls(socket) => socket.shutdown(),
        }
    }
}
