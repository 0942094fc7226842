//! One shard's port of a listener for clients, accepted from in a task of its own.

use crate::client::connections::Connections;
use crate::client::{connection, socket};
use crate::kafka::listener::Listener;
use crate::process::end::NodeError;
use glommio::net::TcpListener;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long accepting rests when there are no descriptors left.
const NO_DESCRIPTORS_PAUSE: Duration = Duration::from_millis(100);

/// Takes the port.
pub fn bind(address: SocketAddr) -> Result<TcpListener, NodeError> {
    socket::listen(address)
        .map_err(|error| NodeError::Environment(format!("cannot listen on {address}: {error}")))
}

/// Accepts until the shard stops; each connection is two tasks. Where there is no place for one more
/// nothing is accepted, as in Kafka: who comes then waits in the kernel's queue, and is served when
/// somebody leaves.
pub async fn accept(socket: TcpListener, listener: Arc<Listener>, connections: Rc<Connections>) {
    while !connections.is_stopping() {
        let Some(place) = connections.place().await else { return };
        match socket.accept().await {
            Ok(stream) => connection::serve(stream, &listener, place, &connections),
            Err(error) => {
                // The machine is out of descriptors, or a client that left again: neither ends the listener.
                tracing::warn!("a connection was not accepted: {error}");
                glommio::timer::sleep(NO_DESCRIPTORS_PAUSE).await;
            }
        }
    }
}
