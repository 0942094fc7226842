//! A producer's clock: what is to be done at a time rather than upon an answer.

use super::in_flight::Link;
use super::{Producer, link};
use crate::clock::now_ns;
use crate::cluster::directory::IdentitySlot;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// The longest sleep: time-outs and changes of leaders are looked at so often.
const TICK: Duration = Duration::from_millis(50);
/// While something is held back, or waits to be over.
const SHORT_TICK: Duration = Duration::from_millis(5);
/// Shorter sleeps cost more processor time than they gain in punctuality.
const SLEEP_MIN: Duration = Duration::from_micros(20);

/// Runs a producer until all that it made is acked, or the run ends.
pub async fn run(producer: Rc<Producer>) {
    let mut driver = Driver { producer: Rc::clone(&producer), generation: None, identities: BTreeMap::new() };
    let mut stopped = false;
    loop {
        let now = now_ns();
        driver.tick(now);
        if producer.shared.is_stopping() && !stopped {
            stopped = true;
            let mut book = producer.book.borrow_mut();
            let unmade = producer.pace.borrow_mut().end(&mut book, producer.shared.stopped_ns());
            producer.recorder.lock().unmade += unmade;
        }
        if producer.shared.is_ending() {
            break;
        }
        let stopping = producer.shared.is_stopping() || producer.pace.borrow().is_done();
        if stopping {
            producer.book.borrow_mut().flush();
            if producer.book.borrow().is_drained() {
                break;
            }
        }
        driver.ring(now);
        let sleep = driver.sleep(now);
        producer.bell.wait_for(sleep).await;
    }
    producer.over.set(true);
    for link in producer.links.borrow().iter() {
        link.disconnect();
        link.bell.ring();
    }
}

struct Driver {
    producer: Rc<Producer>,
    /// Of the leaders that the book knows.
    generation: Option<u64>,
    identities: BTreeMap<u32, IdentitySlot>,
}

impl Driver {
    fn tick(&mut self, now_ns: u64) {
        self.follow_leaders(now_ns);
        self.renew_identities();
        self.producer.book.borrow_mut().release(now_ns);
        self.look_for_timeouts(now_ns);
        self.producer.make_due(now_ns);
    }

    fn follow_leaders(&mut self, now_ns: u64) {
        let directory = &self.producer.shared.directory;
        let generation = directory.generation();
        if self.generation == Some(generation) {
            return;
        }
        self.generation = Some(generation);
        let leaders = directory.leaders();
        let new = self.add_links(leaders.brokers.keys());
        let links = self.producer.links.borrow().clone();
        let by_broker: BTreeMap<i32, usize> = links.iter().map(|link| (link.broker, link.number)).collect();
        let mut book = self.producer.book.borrow_mut();
        book.set_links(links.len());
        for (partition, leader) in leaders.leader.iter().enumerate() {
            let link = leader.and_then(|broker| by_broker.get(&broker).copied());
            book.route(partition as u32, link, now_ns);
        }
        book.prune();
        drop(book);
        // A task runs as soon as it is spawned: all that it looks at must be there.
        for link in new {
            glommio::spawn_local(link::run(Rc::clone(&self.producer), link)).detach();
        }
    }

    /// A link for each broker that has none yet.
    fn add_links<'a>(&self, brokers: impl Iterator<Item = &'a i32>) -> Vec<Rc<Link>> {
        let mut links = self.producer.links.borrow_mut();
        let before = links.len();
        for broker in brokers {
            if !links.iter().any(|link| link.broker == *broker) {
                let link = Link::new(links.len(), *broker);
                links.push(link);
            }
        }
        links[before..].to_vec()
    }

    /// Asks for new producer ids where sequences broke, and gives out those that came.
    fn renew_identities(&mut self) {
        let producer = &self.producer;
        let renewing: Vec<u32> = producer.book.borrow().renewing().collect();
        for number in renewing {
            let slot =
                self.identities.entry(number).or_insert_with(|| producer.shared.directory.request_identity());
            let identity = *slot.lock().expect("no thread panics while it holds this");
            if let Some(identity) = identity {
                self.identities.remove(&number);
                let unknown = producer.book.borrow_mut().renew(number, identity);
                let records: u64 = unknown.iter().map(|batch| u64::from(batch.count)).sum();
                producer.recorder.lock().failed += records;
            }
        }
    }

    fn look_for_timeouts(&self, now_ns: u64) {
        let producer = &self.producer;
        let workload = &producer.shared.workload;
        let links = producer.links.borrow();
        for link in links.iter() {
            let oldest = link.in_flight.borrow().front().map(|request| request.sent_ns);
            if oldest.is_some_and(|sent_ns| now_ns > sent_ns + workload.timeout_ns()) && !link.lost.get() {
                producer.recorder.lock().error("no answer in time");
                link.disconnect();
            }
        }
        let book = producer.book.borrow();
        let needed = links.iter().filter(|link| book.has_work(link.number, now_ns));
        let down = needed.map(|link| link.down_since_ns.get()).filter(|since_ns| *since_ns > 0).min();
        let troubled = book.troubled_since_ns();
        let since = [down, troubled].into_iter().flatten().min();
        if since.is_some_and(|since_ns| now_ns > since_ns + workload.retry_ns()) {
            let seconds = workload.retry_seconds;
            producer.shared.fail(format!("some batches could not be sent for {seconds} s (--retry-seconds)"));
        }
    }

    /// Wakes the links that have something to send.
    fn ring(&self, now_ns: u64) {
        let book = self.producer.book.borrow();
        for link in self.producer.links.borrow().iter() {
            if book.has_work(link.number, now_ns) {
                link.bell.ring();
            }
        }
    }

    fn sleep(&self, now_ns: u64) -> Duration {
        let book = self.producer.book.borrow();
        let due = self.producer.pace.borrow().next_sendable_ns(&book);
        let linger = book.next_due_ns();
        // What is overdue waits for an answer, which wakes its link.
        let next = [due, linger].into_iter().flatten().filter(|next_ns| *next_ns > now_ns).min();
        let calm = !self.producer.shared.is_stopping() && !book.is_holding();
        let tick = if calm { TICK } else { SHORT_TICK };
        let left = next.map_or(tick, |next_ns| Duration::from_nanos(next_ns - now_ns));
        left.clamp(SLEEP_MIN, tick)
    }
}
