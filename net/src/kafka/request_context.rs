//! What is known of a request beside its body: the same for every API, the hot ones included.

use crate::client::budget::Share;
use crate::kafka::listener::Listener;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

/// Whose requests a connection carries: made when it is accepted, and again when its client proves who it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Peer {
    /// As Kafka writes it: type and name, `User:ANONYMOUS` where nobody had to prove anything.
    pub principal: String,
    /// By which it came: what it is told of addresses is this listener's.
    pub listener: Arc<Listener>,
    pub address: IpAddr,
}

/// Nobody proved who they are.
pub const ANONYMOUS: &str = "User:ANONYMOUS";

/// One request, from its arrival to its answer.
#[derive(Clone, Debug)]
pub struct RequestContext {
    pub peer: Rc<Peer>,
    /// What the client calls itself; empty when it does not.
    pub client_id: Rc<str>,
    pub api: i16,
    pub version: i16,
    pub correlation: i32,
    /// When its last byte came, monotonic nanoseconds.
    pub received_ns: u64,
    /// What of the shard's memory is reserved for it beside its frame (see [`super::admission`]).
    pub memory: Option<Rc<Share>>,
}

impl RequestContext {
    /// The client's host as Kafka writes it: a slash before the address.
    pub fn host(&self) -> String {
        format!("/{}", self.peer.address)
    }
}

#[cfg(test)]
impl RequestContext {
    pub fn sample(api: i16, version: i16) -> Self {
        let address = IpAddr::from([10, 0, 0, 7]);
        let peer =
            Rc::new(Peer { principal: ANONYMOUS.to_owned(), listener: Arc::new(Listener::plain()), address });
        Self { peer, client_id: "me".into(), api, version, correlation: 1, received_ns: 0, memory: None }
    }
}
