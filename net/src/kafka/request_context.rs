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

impl Peer {
    /// Whether what goes over this connection is seen by nobody else: it does not leave the machine, or only encrypted.
    pub fn keeps_secrets(&self) -> bool {
        self.address.is_loopback() || self.listener.protocol.is_encrypted()
    }
}

/// Why a secret is not taken, or told, over a connection that others can read.
pub const IN_THE_CLEAR: &str = "This connection is neither encrypted nor local: credentials are not for it. Ask \
     over TLS, or on the broker's own machine; a password that was sent is to be changed.";

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::security_protocol::SecurityProtocol;

    #[test]
    fn only_what_stays_on_the_machine_or_is_encrypted_keeps_secrets() {
        let by = |protocol, address: &str| {
            let address = address.parse().expect("an address");
            let listener = Arc::new(Listener { name: "L".to_owned(), protocol });
            Peer { principal: ANONYMOUS.to_owned(), listener, address }.keeps_secrets()
        };
        let from = |address| by(SecurityProtocol::SaslPlaintext, address);
        assert!(from("127.0.0.1") && from("127.8.0.1") && from("::1"));
        assert!(!from("10.0.0.7") && !from("0.0.0.0") && !from("fe80::1"));
        assert!(by(SecurityProtocol::Ssl, "10.0.0.7") && by(SecurityProtocol::SaslSsl, "10.0.0.7"));
    }
}
