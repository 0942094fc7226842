//! Port ranges that no other test has, in this process or another.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

/// Ports of a range: the HTTP port, and up to 15 shards' or, where there are peers, 7 and theirs.
pub const RANGE: u16 = 16;
/// Below Linux's ephemeral ports (32768), which outgoing connections take.
const FIRST: u16 = 20_000;
const RANGES: u16 = 700;

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
    fn two_ranges_never_meet() {
        let (one, other) = (Ports::take(), Ports::take());
        assert!(one.first.abs_diff(other.first) >= RANGE, "{} and {}", one.first, other.first);
    }
}
