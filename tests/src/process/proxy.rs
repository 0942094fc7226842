//! The wire between nodes, in the test's hands: each link goes through a process-local proxy whose
//! two directions are held and let go one by one.
//!
//! A held direction is a wire that is cut: what is sent there is neither delivered nor refused, and
//! the sender's buffers fill up as they would with nobody acknowledging. When it is let go what
//! waited arrives, as TCP sends it again.

use super::Broker;
use super::ports::Ports;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// How soon a thread that waits for a socket notices that it is to end.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Taken from a socket at once; what a held direction has already taken.
const PIECE_BYTES: usize = 64 << 10;

/// One direction between two nodes.
#[derive(Debug, Default)]
struct Direction {
    is_held: Mutex<bool>,
    changed: Condvar,
    passed_bytes: AtomicU64,
}

impl Direction {
    fn hold(&self, held: bool) {
        *self.is_held.lock().expect("no holder panics") = held;
        self.changed.notify_all();
    }

    /// Waits until it is let go, and a moment at most.
    fn may_pass(&self) -> bool {
        let held = self.is_held.lock().expect("no holder panics");
        let waited = self.changed.wait_timeout_while(held, LOOK_AGAIN, |held| *held);
        !*waited.expect("no holder panics").0
    }
}

/// All links between the nodes of a cluster, both directions of each; ends with the test.
#[derive(Debug, Default)]
pub struct Wires {
    /// From a node to another, by their places in the cluster.
    directions: BTreeMap<(usize, usize), Arc<Direction>>,
    is_over: Arc<AtomicBool>,
    _ports: Vec<Ports>,
}

impl Wires {
    /// Proxies between nodes that do not run yet; gives the `--peers` of each. The node with the
    /// lower id calls, so its list alone leads through them.
    pub fn between(nodes: &[Broker]) -> (Self, Vec<String>) {
        let mut wires = Self::default();
        let mut lists = Vec::new();
        for own in 0..nodes.len() {
            let mut list = Vec::new();
            for (other, node) in nodes.iter().enumerate() {
                let port = if own < other { wires.join(own, other, node).peer() } else { node.ports.peer() };
                list.push(format!("{}=127.0.0.1:{port}", other + 1));
            }
            lists.push(list.join(","));
        }
        (wires, lists)
    }

    /// Listens on ports of its own for what `from` says to each shard of `to`.
    fn join(&mut self, from: usize, to: usize, node: &Broker) -> &Ports {
        let there = Arc::clone(self.directions.entry((from, to)).or_default());
        let back = Arc::clone(self.directions.entry((to, from)).or_default());
        let ports = Ports::take();
        for shard in 0..node.options.shards {
            let listener = Ports::listen(ports.peer() + shard);
            listener.set_nonblocking(true).expect("a socket");
            let wire = Wire {
                target: node.ports.peer() + shard,
                there: Arc::clone(&there),
                back: Arc::clone(&back),
                is_over: Arc::clone(&self.is_over),
            };
            std::thread::spawn(move || wire.listen(&listener));
        }
        self._ports.push(ports);
        self._ports.last().expect("just pushed")
    }

    /// Cuts one direction, or mends it.
    pub fn hold(&self, from: usize, to: usize, held: bool) {
        self.directions[&(from, to)].hold(held);
    }

    /// Cuts a node off from all others: what it says, what it hears, or both.
    pub fn isolate(&self, node: usize, says: bool, hears: bool) {
        for ((from, to), direction) in &self.directions {
            if *from == node && says || *to == node && hears {
                direction.hold(true);
            }
        }
    }

    /// Mends everything.
    pub fn heal(&self) {
        self.directions.values().for_each(|direction| direction.hold(false));
    }

    /// Bytes that went from one node to another.
    pub fn passed_bytes(&self, from: usize, to: usize) -> u64 {
        self.directions[&(from, to)].passed_bytes.load(Relaxed)
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
    }
}

/// What a caller's connections become.
struct Wire {
    target: u16,
    there: Arc<Direction>,
    back: Arc<Direction>,
    is_over: Arc<AtomicBool>,
}

impl Wire {
    fn listen(self, listener: &TcpListener) {
        while !self.is_over.load(Relaxed) {
            match listener.accept() {
                // A node that is not there refuses, and so does the proxy by closing.
                Ok((caller, _)) => drop(self.carry(caller)),
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    fn carry(&self, caller: TcpStream) -> io::Result<()> {
        let called = TcpStream::connect(("127.0.0.1", self.target))?;
        for stream in [&caller, &called] {
            stream.set_nonblocking(false)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(LOOK_AGAIN))?;
            stream.set_write_timeout(Some(LOOK_AGAIN))?;
        }
        let (caller_too, called_too) = (caller.try_clone()?, called.try_clone()?);
        self.pump(caller, called, &self.there);
        self.pump(called_too, caller_too, &self.back);
        Ok(())
    }

    /// Carries one direction of one connection until either end is gone.
    fn pump(&self, mut from: TcpStream, mut to: TcpStream, direction: &Arc<Direction>) {
        let (direction, is_over) = (Arc::clone(direction), Arc::clone(&self.is_over));
        std::thread::spawn(move || {
            let mut piece = vec![0; PIECE_BYTES];
            while !is_over.load(Relaxed) {
                if !direction.may_pass() {
                    continue;
                }
                let bytes = match from.read(&mut piece) {
                    Ok(0) => break,
                    Ok(bytes) => bytes,
                    Err(error) if is_passing(&error) => continue,
                    Err(_) => break,
                };
                // It may have been cut while this waited for bytes.
                while !direction.may_pass() && !is_over.load(Relaxed) {}
                if write_all(&mut to, &piece[..bytes], &is_over).is_err() {
                    break;
                }
                direction.passed_bytes.fetch_add(bytes as u64, Relaxed);
            }
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn write_all(to: &mut TcpStream, mut bytes: &[u8], is_over: &AtomicBool) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if is_passing(&error) && !is_over.load(Relaxed) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
