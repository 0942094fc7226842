//! Port ranges that no other test has, in this process or another.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::{Duration, Instant};

/// Ports of a range: the HTTP port, and up to 15 shards' or, where there are peers, 7 and theirs.
pub const RANGE: u16 = 16;
/// Below Linux's ephemeral ports (32768), which outgoing connections take.
const FIRST: u16 = 20_000;
const RANGES: u16 = 700;
/// A fork is over in milliseconds, on a busy machine in more.
const HELD_MAX: Duration = Duration::from_secs(5);

/// A range, held by an abstract socket's name: it vanishes with its process and leaves no file.
#[derive(Debug)]
pub struct Ports {
    pub first: u16,
    _name: UnixListener,
}

impl Ports {
    /// The first free range, from a start that differs from process to process.
    pub fn take() -> Self {
        let start =
            u16::try_from(std::process::id() % u32::from(RANGES)).expect("below the number of ranges");
        (0..RANGES).find_map(|step| Self::try_take((start + step) % RANGES)).expect("a free range of ports")
    }

    fn try_take(range: u16) -> Option<Self> {
        let first = FIRST + range * RANGE;
        let name = SocketAddr::from_abstract_name(format!("duramen-tests-ports-{first}")).ok()?;
        let name = UnixListener::bind_addr(&name).ok()?;
        let all_free = (first..first + RANGE).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
        all_free.then_some(Self { first, _name: name })
    }

    /// Listens on a port of a range that was taken. It was free then; but whoever starts a process meanwhile gives it
    /// all our sockets for the moment between its fork and its exec, the one that found the port free among them.
    pub fn listen(port: u16) -> TcpListener {
        let until = Instant::now() + HELD_MAX;
        loop {
            match TcpListener::bind(("127.0.0.1", port)) {
                Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < until => {
                    std::thread::yield_now();
                }
                bound => return bound.unwrap_or_else(|error| panic!("port {port}: {error}")),
            }
        }
    }

    pub fn http(&self) -> u16 {
        self.first
    }

    /// Of shard 0; the others follow.
    pub fn kafka(&self) -> u16 {
        self.first + 1
    }

    /// Of shard 0, for other nodes; the others follow.
    pub fn peer(&self) -> u16 {
        self.first + RANGE / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_held_for_a_moment_is_waited_for() {
        let ports = Ports::take();
        let held = TcpListener::bind(("127.0.0.1", ports.peer())).expect("it is ours");
        let port = ports.peer();
        let waiting =
            std::thread::spawn(move || Ports::listen(port).local_addr().expect("it listens").port());
        drop(held);
        assert_eq!(waiting.join().expect("it got the port"), port);
    }

    #[test]
    fn two_ranges_never_meet() {
        let (one, other) = (Ports::take(), Ports::take());
        assert!(one.first.abs_diff(other.first) >= RANGE, "{} and {}", one.first, other.first);
    }
}
