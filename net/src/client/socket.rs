//! The socket seam: listening without SO_REUSEPORT, gather writes and shutdown, none of which
//! glommio has.

use futures_lite::{AsyncRead, AsyncWrite};
use glommio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Type};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::pin::Pin;

/// Pieces of one gather write: the kernel's bound (UIO_MAXIOV).
const PIECES_MAX: usize = 1024;

/// Connections that the kernel completes before they are accepted.
const BACKLOG: i32 = 1024;

/// Takes the port. Without SO_REUSEPORT, so that no second broker shares it; with SO_REUSEADDR,
/// so that a restart does not wait for old connections to time out.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    // SAFETY: the descriptor is a listening socket of which this is the only owner from here on.
    Ok(unsafe { TcpListener::from_raw_fd(socket.into_raw_fd()) })
}

/// A stream that one task reads and another one writes; neither borrows it across an await.
pub struct Socket(RefCell<TcpStream>);

impl Socket {
    pub fn new(stream: TcpStream) -> Self {
        Self(RefCell::new(stream))
    }

    /// Reads what is there, up to the length of `into`; 0 at the end. `waits` is called when
    /// nothing was there.
    pub async fn read(&self, into: &mut [u8], waits: impl Fn()) -> io::Result<usize> {
        poll_fn(|context| {
            let poll = Pin::new(&mut *self.0.borrow_mut()).poll_read(context, into);
            if poll.is_pending() {
                waits();
            }
            poll
        })
        .await
    }

    /// Writes all pieces, in as few calls as the socket takes. `progress` is called with the
    /// bytes of each.
    pub async fn write_all(&self, pieces: &[&[u8]], progress: impl Fn(usize)) -> io::Result<()> {
        let (mut at, mut skip) = (0, 0);
        while at < pieces.len() {
            let written = match self.gather(&pieces[at..], skip) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // glommio's own write waits until the socket takes something.
                    let rest = &pieces[at][skip..];
                    poll_fn(|context| Pin::new(&mut *self.0.borrow_mut()).poll_write(context, rest)).await?
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            progress(written);
            skip += written;
            while at < pieces.len() && skip >= pieces[at].len() {
                skip -= pieces[at].len();
                at += 1;
            }
        }
        Ok(())
    }

    /// One sendmsg of up to [`PIECES_MAX`] pieces, the first one from `skip` on.
    fn gather(&self, pieces: &[&[u8]], skip: usize) -> io::Result<usize> {
        let mut vectors: [libc::iovec; PIECES_MAX] =
            [libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 }; PIECES_MAX];
        let count = pieces.len().min(PIECES_MAX);
        for (vector, piece) in vectors.iter_mut().zip(pieces) {
            *vector = libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() };
        }
        let first = &pieces[0][skip..];
        vectors[0] = libc::iovec { iov_base: first.as_ptr().cast_mut().cast(), iov_len: first.len() };
        // SAFETY: a zeroed `msghdr` is a valid value of that plain C struct.
        let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
        message.msg_iov = vectors.as_mut_ptr();
        message.msg_iovlen = count;
        let fd = self.0.borrow().as_raw_fd();
        // SAFETY: the descriptor is open while `self` lives; `message` names `count` vectors, each
        // of which names a slice that is borrowed for the call. The kernel only reads them.
        let sent = unsafe { libc::sendmsg(fd, &raw const message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Reads what is there already; an error of kind `WouldBlock` where nothing is.
    pub fn read_now(&self, into: &mut [u8]) -> io::Result<usize> {
        let fd = self.0.borrow().as_raw_fd();
        // SAFETY: the descriptor is open while `self` lives, and the kernel writes at most the slice's length into it.
        let read = unsafe { libc::recv(fd, into.as_mut_ptr().cast(), into.len(), libc::MSG_DONTWAIT) };
        usize::try_from(read).map_err(|_| io::Error::last_os_error())
    }

    /// Writes what the socket takes at once; the rest is lost.
    pub fn write_now(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            let _ = self.gather(&[bytes], 0);
        }
    }

    /// Ends both directions: whoever reads or writes is woken and sees the end.
    pub fn shutdown(&self) {
        let fd = self.0.borrow().as_raw_fd();
        // SAFETY: the descriptor is open while `self` lives; the call touches no memory.
        unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
    }
}
