//! One shard's port: bound with `socket2` for its options, accepted from in a task of its own.

use crate::connection;
use crate::connections::Connections;
use crate::node::NodeError;
use glommio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::rc::Rc;
use std::time::Duration;

/// Connections that the kernel completes before they are accepted.
const BACKLOG: i32 = 1024;
/// How long accepting rests when there are no descriptors left.
const NO_DESCRIPTORS_PAUSE: Duration = Duration::from_millis(100);

/// Takes the port. Without SO_REUSEPORT, so that no second broker shares it; with SO_REUSEADDR,
/// so that a restart does not wait for old connections to time out.
pub fn bind(address: SocketAddr) -> Result<Socket, NodeError> {
    let bound = || -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket)
    };
    bound().map_err(|error| NodeError::Environment(format!("cannot listen on {address}: {error}")))
}

/// Accepts until the shard stops; each connection is two tasks.
pub async fn accept(socket: Socket, connections: Rc<Connections>) {
    // SAFETY: the descriptor is a listening socket of which this is the only owner from here on.
    let listener = unsafe { TcpListener::from_raw_fd(socket.into_raw_fd()) };
    while !connections.is_stopping() {
        match listener.accept().await {
            Ok(stream) => connection::serve(stream, &connections),
            Err(error) => {
                // Out of descriptors, or a client that left again: neither ends the listener.
                tracing::warn!("a connection was not accepted: {error}");
                glommio::timer::sleep(NO_DESCRIPTORS_PAUSE).await;
            }
        }
    }
}
