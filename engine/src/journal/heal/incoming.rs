//! What a shard holds of files that come from peers, until they are on the disk: bounded, and counted.

use core::cell::Cell;
use std::rc::Rc;

/// Of a shard's memory, the part that may hold what comes from peers in pieces: one in so many.
const SHARE: usize = 4;

/// The account of one shard.
#[derive(Debug)]
pub struct Incoming {
    bytes: Cell<u64>,
    bytes_max: u64,
}

/// Bytes that are kept free for a file under way; given back when it is dropped.
#[derive(Debug)]
pub struct Reserved {
    of: Rc<Incoming>,
    bytes: u64,
}

/// Why there is no room for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// Once what is under way has come.
    Now,
    /// It is longer than all that a shard of this memory takes.
    Ever { bytes_max: u64 },
}

impl Incoming {
    pub fn new(memory_bytes: usize) -> Rc<Self> {
        Rc::new(Self { bytes: Cell::new(0), bytes_max: (memory_bytes / SHARE) as u64 })
    }

    /// Keeps room for a file of this length.
    pub fn reserve(self: &Rc<Self>, bytes: u64) -> Result<Reserved, NoRoom> {
        if bytes > self.bytes_max {
            return Err(NoRoom::Ever { bytes_max: self.bytes_max });
        }
        if self.bytes.get() + bytes > self.bytes_max {
            return Err(NoRoom::Now);
        }
        self.bytes.set(self.bytes.get() + bytes);
        Ok(Reserved { of: Rc::clone(self), bytes })
    }

    /// Reserved now.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.of.bytes.set(self.of.bytes.get() - self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_once_and_comes_back() {
        let incoming = Incoming::new(400);
        let first = incoming.reserve(60).expect("there is room");
        assert_eq!(incoming.reserve(60).err(), Some(NoRoom::Now));
        assert_eq!(incoming.reserve(101).err(), Some(NoRoom::Ever { bytes_max: 100 }));
        let second = incoming.reserve(40).expect("there is room");
        assert_eq!(incoming.bytes(), 100);
        drop(first);
        assert_eq!(incoming.bytes(), 40);
        drop(second);
        assert!(incoming.reserve(100).is_ok());
    }
}
