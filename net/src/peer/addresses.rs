//! Where the other nodes are: as the operator lists them, else as the metadata names them. Names are looked up on a
//! thread of their own, because a look-up blocks, and again after a call failed, because names move.

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
    own: NodeId,
    known: Mutex<BTreeMap<NodeId, Known>>,
    /// A call failed since the last look-up, or there is a new name.
    stale: AtomicBool,
    /// The thread that looks names up is there.
    looks_up: AtomicBool,
}

/// Shard 0 of another node.
#[derive(Clone, Debug)]
struct Known {
    address: Address,
    /// `None` while its name has no address.
    found: Option<SocketAddr>,
    /// The operator says so: what the metadata says is not asked.
    is_given: bool,
}

impl Known {
    fn new(address: Address, is_given: bool) -> Self {
        let ip = address.host.parse::<IpAddr>().ok();
        Self { found: ip.map(|ip| SocketAddr::new(ip, address.port)), address, is_given }
    }

    fn is_name(&self) -> bool {
        self.address.host.parse::<IpAddr>().is_err()
    }
}

impl Addresses {
    /// Those that the operator lists, and those that were met before; names are looked up from now on, for as long as
    /// the process lives.
    pub fn start(
        listed: &BTreeMap<NodeId, Address>,
        met: &BTreeMap<NodeId, Address>,
        own: NodeId,
    ) -> std::io::Result<Arc<Self>> {
        let met = met.iter().map(|(node, address)| (*node, Known::new(address.clone(), false)));
        let listed = listed.iter().map(|(node, address)| (*node, Known::new(address.clone(), true)));
        let known = met.chain(listed).filter(|(node, _)| *node != own).collect();
        let this = Arc::new(Self {
            own,
            known: Mutex::new(known),
            stale: AtomicBool::new(true),
            looks_up: AtomicBool::new(false),
        });
        this.look_up_names()?;
        Ok(this)
    }

    /// The other members, as the metadata names them now, and so many of them as have an address.
    pub fn learn(self: &Arc<Self>, members: &BTreeMap<NodeId, Address>) -> std::io::Result<()> {
        assert!(!members.contains_key(&self.own), "node {} is this one", self.own);
        {
            let mut known = self.lock();
            for (node, address) in members {
                match known.get(node) {
                    Some(known) if known.is_given || known.address == *address => {}
                    _ => {
                        known.insert(*node, Known::new(address.clone(), false));
                    }
                }
            }
        }
        self.stale.store(true, Ordering::Release);
        self.look_up_names()
    }

    fn look_up_names(self: &Arc<Self>) -> std::io::Result<()> {
        let has_names = self.lock().values().any(Known::is_name);
        if !has_names || self.looks_up.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let at = Arc::clone(self);
        let look_up = move || {
            loop {
                at.look_up();
                std::thread::sleep(LOOK_UP_INTERVAL);
            }
        };
        std::thread::Builder::new().name("names".into()).spawn(look_up)?;
        Ok(())
    }

    fn look_up(&self) {
        if !self.stale.swap(false, Ordering::AcqRel) {
            return;
        }
        let names: Vec<(NodeId, Address)> = {
            let known = self.lock();
            let names = known.iter().filter(|(_, known)| known.is_name());
            names.map(|(node, known)| (*node, known.address.clone())).collect()
        };
        for (node, address) in names {
            match address.resolve("--peers") {
                Ok(socket) => {
                    if let Some(known) = self.lock().get_mut(&node).filter(|known| known.address == address) {
                        known.found = Some(socket);
                    }
                }
                Err(refusal) => {
                    tracing::debug!(node = node.0, "{}", refusal.what);
                    self.stale.store(true, Ordering::Release);
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<NodeId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where shard 0 of a node listens, as far as that is known.
    pub fn of(&self, node: NodeId) -> Option<SocketAddr> {
        self.lock().get(&node).and_then(|known| known.found)
    }

    /// The same, as it was written.
    pub fn written(&self, node: NodeId) -> Option<Address> {
        self.lock().get(&node).map(|known| known.address.clone())
    }

    pub fn is_listed(&self, node: NodeId) -> bool {
        self.lock().contains_key(&node)
    }

    /// The other nodes.
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

    fn at(host: &str, port: u16) -> Address {
        Address { host: host.to_owned(), port }
    }

    #[test]
    fn names_are_found_and_found_again_when_they_were_not() {
        let peers = [(1, "127.0.0.1"), (2, "127.0.0.2"), (3, "localhost")];
        let peers = peers.map(|(id, host)| (NodeId(id), at(host, 9)));
        let addresses = Addresses::start(&peers.into(), &BTreeMap::new(), NodeId(1)).expect("a thread");
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

    #[test]
    fn what_the_metadata_says_counts_where_the_operator_says_nothing() {
        let listed = [(NodeId(1), at("127.0.0.1", 9)), (NodeId(2), at("127.0.0.2", 9))].into();
        let met = [(NodeId(2), at("127.0.0.2", 1)), (NodeId(3), at("127.0.0.3", 1))].into();
        let addresses = Addresses::start(&listed, &met, NodeId(1)).expect("no names");
        assert_eq!(addresses.of(NodeId(2)), Some(([127, 0, 0, 2], 9).into()));
        assert_eq!(addresses.of(NodeId(3)), Some(([127, 0, 0, 3], 1).into()));
        let named = [
            (NodeId(2), at("127.0.0.2", 2)),
            (NodeId(3), at("127.0.0.3", 2)),
            (NodeId(4), at("127.0.0.4", 2)),
        ];
        addresses.learn(&named.into()).expect("no names");
        assert_eq!(addresses.written(NodeId(2)), Some(at("127.0.0.2", 9)));
        assert_eq!(addresses.of(NodeId(3)), Some(([127, 0, 0, 3], 2).into()));
        assert_eq!(addresses.nodes(), [NodeId(2), NodeId(3), NodeId(4)]);
    }
}
