//! Consumers: without a group, each reads its share of the partitions from their leaders. `link`
//! fetches, a `Sink` takes the batches.

pub mod batches;
pub mod link;
pub mod load;

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

/// Runs a consumer until all its partitions are at their ends, or the run ends.
pub async fn run(consumer: Rc<Consumer>) {
    const TICK: std::time::Duration = std::time::Duration::from_millis(10);
    let mut generation = None;
    while !consumer.is_over() {
        let now = consumer.shared.directory.generation();
        if generation != Some(now) {
            generation = Some(now);
            follow_leaders(&consumer);
        }
        give_up_in_time(&consumer);
        consumer.bell.wait_for(TICK).await;
    }
}

fn follow_leaders(consumer: &Rc<Consumer>) {
    let leaders = consumer.shared.directory.leaders();
    for position in consumer.positions.borrow_mut().iter_mut() {
        position.leader = leaders.leader[position.partition as usize];
    }
    for broker in leaders.brokers.keys() {
        if consumer.linked.borrow_mut().insert(*broker) {
            glommio::spawn_local(link::run(Rc::clone(consumer), *broker)).detach();
        }
    }
}

fn give_up_in_time(consumer: &Consumer) {
    let workload = &consumer.shared.workload;
    let since_ns = consumer.troubled_since_ns.get();
    if since_ns > 0 && crate::clock::now_ns() > since_ns + workload.retry_ns() {
        let seconds = workload.retry_seconds;
        consumer.shared.fail(format!("nothing could be fetched for {seconds} s (--retry-seconds)"));
    }
    let still_ns = crate::clock::now_ns().saturating_sub(consumer.moved_ns.get());
    if let Some(stuck) = stuck(&consumer.positions.borrow(), still_ns, workload.retry_ns()) {
        consumer.shared.fail(format!("{stuck} for {} s (--retry-seconds)", workload.retry_seconds));
    }
}

/// What is said of a consumer that has an end to reach and does not get on. Nobody may lead the
/// partition, or its leader gives nothing: neither is an error that a fetch would tell.
fn stuck(positions: &[Position], still_ns: u64, still_ns_max: u64) -> Option<String> {
    let waits = |position: &&Position| position.end.is_some() && !position.is_done();
    let position = positions.iter().find(waits).filter(|_| still_ns > still_ns_max)?;
    let (partition, next, end) = (position.partition, position.next_offset, position.end?);
    let leader = position.leader.map_or("nobody leads it".to_owned(), |id| format!("broker {id} leads it"));
    Some(format!("partition {partition} did not get on from offset {next}, of {end} ({leader})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_with_an_end_to_reach_that_stands_still_is_told_and_others_may_wait() {
        let position = |leader, next_offset, end| Position { partition: 3, leader, next_offset, end };
        let stuck = |position, still_ns| super::stuck(&[position], still_ns, 10);
        assert_eq!(stuck(position(None, 5, None), 11), None, "it waits for what is produced");
        assert_eq!(stuck(position(None, 7, Some(7)), 11), None, "it is done");
        assert_eq!(stuck(position(None, 5, Some(7)), 10), None, "not yet");
        let told = stuck(position(None, 5, Some(7)), 11).expect("it stands still");
        assert!(told.contains("partition 3") && told.contains("nobody leads it"), "{told}");
        assert!(stuck(position(Some(2), 5, Some(7)), 11).expect("stands still").contains("broker 2"));
    }
}
