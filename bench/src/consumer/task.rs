//! The task of one consumer.

use crate::consumer::{Consumer, Position, link};
use std::rc::Rc;

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
pub(super) fn stuck(positions: &[Position], still_ns: u64, still_ns_max: u64) -> Option<String> {
    let waits = |position: &&Position| position.end.is_some() && !position.is_done();
    let position = positions.iter().find(waits).filter(|_| still_ns > still_ns_max)?;
    let (partition, next, end) = (position.partition, position.next_offset, position.end?);
    let leader = position.leader.map_or("nobody leads it".to_owned(), |id| format!("broker {id} leads it"));
    Some(format!("partition {partition} did not get on from offset {next}, of {end} ({leader})"))
}
