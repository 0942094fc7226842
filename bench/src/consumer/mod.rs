//! Consumers: without a group, each reads its share of the partitions from their leaders. `link`
//! fetches, a `Sink` takes the batches.

pub mod batches;
pub mod link;
pub mod load;
pub mod task;

use crate::shared::Shared;
use crate::stats::interval::Recorder;
use crate::wake::Bell;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

/// Takes whole batches of a partition, in the order of their offsets.
pub trait Sink {
    fn take(&mut self, partition: u32, batch: &[u8]);
}

/// How far a partition was read.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    pub partition: u32,
    pub leader: Option<i32>,
    pub next_offset: i64,
    /// Where to stop, if anywhere.
    pub end: Option<i64>,
}

impl Position {
    pub fn is_done(&self) -> bool {
        self.end.is_some_and(|end| self.next_offset >= end)
    }
}

/// One consumer; all of its tasks are on one thread, and none borrows across an await.
pub struct Consumer {
    pub shared: Arc<Shared>,
    pub recorder: Recorder,
    pub positions: RefCell<Vec<Position>>,
    pub sink: RefCell<Box<dyn Sink>>,
    /// Since when nothing could be fetched; 0: something can.
    pub troubled_since_ns: Cell<u64>,
    /// When a partition last got on.
    pub moved_ns: Cell<u64>,
    /// Brokers that have a task.
    linked: RefCell<BTreeSet<i32>>,
    bell: Bell,
}

impl Consumer {
    pub fn new(
        shared: &Arc<Shared>,
        recorder: &Recorder,
        positions: Vec<Position>,
        sink: Box<dyn Sink>,
    ) -> Rc<Self> {
        Rc::new(Self {
            shared: Arc::clone(shared),
            recorder: recorder.clone(),
            positions: RefCell::new(positions),
            sink: RefCell::new(sink),
            troubled_since_ns: Cell::new(0),
            moved_ns: Cell::new(crate::clock::now_ns()),
            linked: RefCell::default(),
            bell: Bell::default(),
        })
    }

    pub fn is_over(&self) -> bool {
        self.shared.is_ending() || self.positions.borrow().iter().all(Position::is_done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_with_an_end_to_reach_that_stands_still_is_told_and_others_may_wait() {
        let position = |leader, next_offset, end| Position { partition: 3, leader, next_offset, end };
        let stuck = |position, still_ns| super::task::stuck(&[position], still_ns, 10);
        assert_eq!(stuck(position(None, 5, None), 11), None, "it waits for what is produced");
        assert_eq!(stuck(position(None, 7, Some(7)), 11), None, "it is done");
        assert_eq!(stuck(position(None, 5, Some(7)), 10), None, "not yet");
        let told = stuck(position(None, 5, Some(7)), 11).expect("it stands still");
        assert!(told.contains("partition 3") && told.contains("nobody leads it"), "{told}");
        assert!(stuck(position(Some(2), 5, Some(7)), 11).expect("stands still").contains("broker 2"));
    }
}
