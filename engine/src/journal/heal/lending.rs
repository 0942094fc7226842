//! Entries that other replicas ask for by number, to repair their own: given by any replica that has
//! them good, whether it leads, follows or is quarantined.
//!
//! What is read is proven before it is sent; where it proves bad, that is damage of this replica.
//! What the asker makes of an entry is no concern here.
//!
//! Invariants:
//! - Questions are answered in the order in which they came, but for those that are read from the disk.
//! - So many reads are under way at most, and so many bytes; one read always may be.
//! - No more than `QUEUE_MAX` questions wait: who asks beyond that is told at once that there is nothing.

use crate::entry::layout::LARGE_ENTRY_BYTES_MAX;
use crate::ids::{Index, NodeId};
use std::collections::VecDeque;

/// Entries being read for others: repair is no race.
const IN_FLIGHT_MAX: usize = 4;

/// The same in bytes: two of the largest.
const IN_FLIGHT_BYTES_MAX: usize = 2 * LARGE_ENTRY_BYTES_MAX;

/// Askers have one question each under way, for each of their damaged ranges; more is not waited for.
const QUEUE_MAX: usize = 32;

/// One entry that another replica wants: the one with this checksum, or with 0 any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub by: NodeId,
    pub index: Index,
    pub checksum: u32,
}

/// What is being read for others, and what waits for that.
#[derive(Debug, Default)]
pub struct Lending {
    queue: VecDeque<Asked>,
    in_flight: usize,
    in_flight_bytes: usize,
}

impl Lending {
    /// Takes a question; false when too many wait already.
    pub fn ask(&mut self, asked: Asked) -> bool {
        let has_room = self.queue.len() < QUEUE_MAX;
        if has_room {
            self.queue.push_back(asked);
        }
        has_room
    }

    /// The question whose turn it is.
    pub fn front(&self) -> Option<Asked> {
        self.queue.front().copied()
    }

    /// The question in front needs no read.
    pub fn pass(&mut self) {
        self.queue.pop_front().expect("there is one in front");
    }

    /// The question in front needs a read of so many bytes; false when it has to wait for others.
    pub fn begin(&mut self, bytes: usize) -> bool {
        assert!(bytes <= LARGE_ENTRY_BYTES_MAX, "{bytes} bytes are no entry");
        let may = self.in_flight < IN_FLIGHT_MAX && self.in_flight_bytes + bytes <= IN_FLIGHT_BYTES_MAX;
        if may {
            self.pass();
            self.in_flight += 1;
            self.in_flight_bytes += bytes;
        }
        may
    }

    /// A read that was begun with so many bytes ended.
    pub fn ended(&mut self, bytes: usize) {
        assert!(self.in_flight > 0 && self.in_flight_bytes >= bytes, "no such read is under way");
        self.in_flight -= 1;
        self.in_flight_bytes -= bytes;
    }

    /// Entries are being read for others.
    pub fn is_under_way(&self) -> bool {
        self.in_flight > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(index: u64) -> Asked {
        Asked { by: NodeId(2), index: Index(index), checksum: 0 }
    }

    #[test]
    fn questions_are_answered_in_order() {
        let mut lending = Lending::default();
        assert!(lending.ask(asked(1)) && lending.ask(asked(2)));
        assert_eq!(lending.front(), Some(asked(1)));
        assert!(lending.begin(4096));
        assert_eq!(lending.front(), Some(asked(2)));
        lending.pass();
        assert!(lending.front().is_none() && lending.is_under_way());
        lending.ended(4096);
        assert!(!lending.is_under_way());
    }

    #[test]
    fn questions_that_wait_are_bounded() {
        let mut lending = Lending::default();
        assert!((0..QUEUE_MAX as u64).all(|index| lending.ask(asked(index))));
        assert!(!lending.ask(asked(99)));
        lending.pass();
        assert!(lending.ask(asked(99)));
    }

    #[test]
    fn reads_are_bounded_in_number_and_in_bytes() {
        let mut lending = Lending::default();
        assert!((0..QUEUE_MAX as u64).all(|index| lending.ask(asked(index))));
        assert!((0..IN_FLIGHT_MAX).all(|_| lending.begin(4096)));
        assert!(!lending.begin(4096), "four are under way");
        (0..IN_FLIGHT_MAX).for_each(|_| lending.ended(4096));
        assert!(lending.begin(LARGE_ENTRY_BYTES_MAX) && lending.begin(LARGE_ENTRY_BYTES_MAX));
        assert!(!lending.begin(4096), "two of the largest are under way");
        lending.ended(LARGE_ENTRY_BYTES_MAX);
        assert!(lending.begin(4096));
    }

    #[test]
    #[should_panic(expected = "no such read is under way")]
    fn a_read_ends_once() {
        Lending::default().ended(4096);
    }
}
