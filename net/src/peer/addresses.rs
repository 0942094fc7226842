//! Where the other nodes are. Names are looked up on a thread of their own, because a look-up
//! blocks, and again after a call failed, because names move.

use crate::process::address::Address;
use engine::ids::NodeId;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Names are looked up at most this often; a call that fails is tried again after about as long.
const LOOK_UP_INTERVAL: Duration = Duration::from_secs(1);

/// Shared by all shards of the process.
#[derive(Debug)]
pub struct Addresses {
    /// Shard 0 of each other node; `None` while its name has no address.
    found: Mutex<BTreeMap<NodeId, Option<SocketAddr>>>,
    /// A call failed since the last look-up.
    stale: AtomicBool,
}

impl Addresses {
    /// Looks names up from now on, for as long as the process lives.
    pub fn start(peers: &BTreeMap<NodeId, Address>, own: NodeId) -> std::io::Result<Arc<Self>> {
        let (mut found, mut names) = (BTreeMap::new(), Vec::new());
        for (node, address) in peers.iter().filter(|(node, _)| **node != own) {
            let ip = address.host.parse::<IpAddr>().ok();
            found.insert(*node, ip.map(|ip| SocketAddr::new(ip, address.port)));
            if ip.is_none() {
                names.push((*node, address.clone()));
            }
        }
        let this = Arc::new(Self { found: Mutex::new(found), stale: AtomicBool::new(true) });
        if !names.is_empty() {
            let at = Arc::clone(&this);
            std::thread::Builder::new().name("names".into()).spawn(move || {
                loop {
                    at.look_up(&names);
                    std::thread::sleep(LOOK_UP_INTERVAL);
                }
            })?;
        }
        Ok(this)
    }

    fn look_up(&self, names: &[(NodeId, Address)]) {
        if !self.stale.swap(false, Ordering::AcqRel) {
            return;
        }
        for (node, address) in names {
            match address.resolve("--peers") {
                Ok(socket) => {
                    self.lock().insert(*node, Some(socket));
                }
                Err(refusal) => {
                    tracing::debug!(node = node.0, "{}", refusal.what);
                    self.stale.store(true, Ordering::Release);
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<NodeId, Option<SocketAddr>>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where shard 0 of a node listens, as far as that is known.
    pub fn of(&self, node: NodeId) -> Option<SocketAddr> {
        self.lock().get(&node).copied().flatten()
    }

    pub fn is_listed(&self, node: NodeId) -> bool {
        self.lock().contains_key(&node)
    }

    /// The other listed nodes.
    pub fn nodes(&self) -> Vec<NodeId> {
        self.lock().keys().copied().collect()
    }

    /// A call failed: the name may have moved.
    pub fn failed(&self) {
        self.stale.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_found_again_when_they_were_not() {
        let peers = [(1, "127.0.0.1"), (2, "127.0.0.2"), (3, "localhost")];
        let peers = peers.map(|(id, host)| (NodeId(id), Address { host: host.to_owned(), port: 9 }));
        let addresses = Addresses::start(&peers.into(), NodeId(1)).expect("a thread");
        assert_eq!(addresses.nodes(), [NodeId(2), NodeId(3)]);
        assert_eq!(addresses.of(NodeId(2)), Some(([127, 0, 0, 2], 9).into()));
        assert_eq!(addresses.of(NodeId(1)), None, "this node does not call itself");
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while addresses.of(NodeId(3)).is_none() {
            assert!(std::time::Instant::now() < deadline, "localhost has an address");
            std::thread::yield_now();
        }
        assert!(addresses.is_listed(NodeId(3)) && !addresses.is_listed(NodeId(4)));
    }
}
