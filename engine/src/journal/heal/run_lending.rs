//! Pieces of runs that other replicas ask for: given by any replica that has the run, as fast as the pace allows.
//!
//! What is read is not proven here: whoever asked proves the whole, and asks another where it is bad.

use crate::ids::NodeId;
use crate::peer::run::RunName;
use std::collections::VecDeque;

/// Pieces being read at a time, 256 KiB each.
const IN_FLIGHT_MAX: usize = 4;

/// Each replica asks for one piece at a time; whoever finds no place asks again.
const QUEUE_MAX: usize = 16;

/// A piece that another replica wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedPiece {
    pub by: NodeId,
    pub name: RunName,
    pub position: u64,
}

/// What is being read for others, and what waits for that.
#[derive(Debug, Default)]
pub struct RunLending {
    queue: VecDeque<AskedPiece>,
    in_flight: usize,
    /// Bytes given since the start.
    pub bytes: u64,
}

impl RunLending {
    /// Takes a question; one by the same node is void by that.
    pub fn ask(&mut self, asked: AskedPiece) {
        self.queue.retain(|waiting| waiting.by != asked.by);
        if self.queue.len() < QUEUE_MAX {
            self.queue.push_back(asked);
        }
    }

    /// The question whose turn it is; its read is begun.
    pub fn begin(&mut self, may_read: bool) -> Option<AskedPiece> {
        if !may_read || self.in_flight >= IN_FLIGHT_MAX {
            return None;
        }
        let asked = self.queue.pop_front()?;
        self.in_flight += 1;
        assert!(self.in_flight <= IN_FLIGHT_MAX, "{} reads are under way", self.in_flight);
        Some(asked)
    }

    /// A read that was begun ended.
    pub fn ended(&mut self, bytes: usize) {
        assert!(self.in_flight > 0, "no such read is under way");
        self.in_flight -= 1;
        self.bytes += bytes as u64;
    }

    /// Runs are being read for others.
    pub fn is_under_way(&self) -> bool {
        self.in_flight > 0
    }

    /// Somebody waits for the pace.
    pub fn is_asked(&self) -> bool {
        !self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RunId;

    fn asked(by: u32, position: u64) -> AskedPiece {
        AskedPiece { by: NodeId(by), name: RunName { run: RunId(3), sum: 4 }, position }
    }

    #[test]
    fn each_node_has_one_question_and_reads_are_bounded() {
        let mut lending = RunLending::default();
        lending.ask(asked(1, 0));
        lending.ask(asked(2, 0));
        lending.ask(asked(1, 9));
        assert_eq!(lending.begin(false), None, "the pace does not allow it");
        assert_eq!((lending.begin(true), lending.begin(true)), (Some(asked(2, 0)), Some(asked(1, 9))));
        assert_eq!(lending.begin(true), None);
        (3..40).for_each(|node| lending.ask(asked(node, 0)));
        let begun = core::iter::from_fn(|| lending.begin(true)).count();
        assert_eq!(begun, IN_FLIGHT_MAX - 2);
        (0..IN_FLIGHT_MAX).for_each(|_| lending.ended(10));
        assert_eq!((lending.bytes, lending.is_under_way()), (40, false));
        let left = core::iter::from_fn(|| {
            let begun = lending.begin(true);
            begun.iter().for_each(|_| lending.ended(0));
            begun
        })
        .count();
        assert_eq!(left, QUEUE_MAX - (IN_FLIGHT_MAX - 2));
    }

    #[test]
    #[should_panic(expected = "no such read is under way")]
    fn a_read_ends_once() {
        RunLending::default().ended(1);
    }
}
