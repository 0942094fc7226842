//! When records are made: at their times, whatever the brokers do (open loop), or as fast as the
//! brokers take them (closed loop).

use super::book::Book;
use super::chooser::Chooser;
use crate::options::Rate;
use crate::workload::Workload;

/// A closed loop without keys keeps so many requests ready for each broker, so that a connection
/// never waits for a batch; more would only grow old.
const REQUESTS_READY: usize = 2;

#[derive(Debug)]
pub struct Pace {
    start_ns: u64,
    /// Between two records; `None` in a closed loop.
    interval_ns: Option<f64>,
    made: u64,
    records_max: u64,
    chooser: Chooser,
    /// The partition that records without a key go to until its batch is sent.
    sticky: u32,
    sticky_began: bool,
}

impl Pace {
    /// Of producer `number` of the workload's.
    pub fn new(workload: &Workload, number: u32, start_ns: u64) -> Self {
        let (all, number_of) = (f64::from(workload.producers), u64::from(number));
        let interval_ns = match workload.rate {
            Rate::Max => None,
            Rate::PerSecond(rate) => Some(all * 1e9 / rate),
        };
        // Producers take turns within one interval.
        let phase_ns = interval_ns.map_or(0.0, |interval| interval * f64::from(number) / all);
        let share = |records: u64| {
            let producers = u64::from(workload.producers);
            records / producers + u64::from(number_of < records % producers)
        };
        let partitions = workload.all_partitions();
        Self {
            start_ns: start_ns + phase_ns as u64,
            interval_ns,
            made: 0,
            records_max: workload.records.map_or(u64::MAX, share),
            chooser: Chooser::new(workload.key, partitions, u64::from(number) + 1),
            sticky: number % partitions,
            sticky_began: false,
        }
    }

    /// All records that were asked for are made.
    pub fn is_done(&self) -> bool {
        self.made >= self.records_max
    }

    fn time_of(&self, record: u64, interval_ns: f64) -> u64 {
        self.start_ns + (record as f64 * interval_ns) as u64
    }

    /// Records due by now, the one at the start among them.
    fn due(&self, now_ns: u64, interval_ns: f64) -> u64 {
        (((now_ns - self.start_ns) as f64 / interval_ns) as u64 + 1).min(self.records_max)
    }

    /// When records that are not made yet could be sent: as soon as one is old enough, or fills a batch.
    /// Nothing is lost by making them no earlier, for they keep their times; `None` in a closed loop.
    pub fn next_sendable_ns(&self, book: &Book) -> Option<u64> {
        let interval_ns = self.interval_ns.filter(|_| !self.is_done())?;
        let linger_ns = book.bounds().linger_ns;
        let aged_ns = self.time_of(self.made, interval_ns) + linger_ns;
        let filling = match self.chooser {
            Chooser::Sticky => book.room(self.sticky),
            // Which partition a record goes to is not known before it is made. A batch that is
            // whole earlier is sent when it is old enough at the latest.
            _ => book.bounds().batch_records,
        };
        let last = self.made + u64::from(filling) - 1;
        Some(aged_ns.min(self.time_of(last, interval_ns)))
    }

    /// Makes what was due when the load was stopped, and says how many of those records found no room.
    pub fn end(&mut self, book: &mut Book, stopped_ns: u64) -> u64 {
        if self.interval_ns.is_some() {
            self.make(book, stopped_ns);
        }
        self.unmade(stopped_ns)
    }

    /// Records that were due by now and are not made.
    fn unmade(&self, now_ns: u64) -> u64 {
        let Some(interval_ns) = self.interval_ns.filter(|_| now_ns >= self.start_ns) else { return 0 };
        self.due(now_ns, interval_ns).saturating_sub(self.made)
    }

    /// Makes what is due.
    pub fn make(&mut self, book: &mut Book, now_ns: u64) {
        if now_ns < self.start_ns {
            return;
        }
        match self.interval_ns {
            None => self.make_closed(book, now_ns),
            Some(interval_ns) => self.make_open(book, now_ns, interval_ns),
        }
    }

    fn make_open(&mut self, book: &mut Book, now_ns: u64, interval_ns: f64) {
        let due = self.due(now_ns, interval_ns);
        // What finds no room now keeps its time.
        while self.made < due && !book.is_full() {
            let (partition, most) = self.next(book, |_, _| true).expect("every partition will do");
            let count = (due - self.made).min(u64::from(most)) as u32;
            let last = self.made + u64::from(count) - 1;
            let (first_ns, last_ns) = (self.time_of(self.made, interval_ns), self.time_of(last, interval_ns));
            book.add(partition, count, first_ns, last_ns);
            self.made += u64::from(count);
        }
    }

    fn make_closed(&mut self, book: &mut Book, now_ns: u64) {
        let ready_max = REQUESTS_READY * book.bounds().request_bytes;
        let wanted = |book: &Book, partition: u32| {
            let one = book.partition(partition);
            !one.is_held() && one.link.is_some_and(|link| book.backlog_bytes(link) < ready_max)
        };
        while self.made < self.records_max && !book.is_full() {
            let Some((partition, most)) = self.next(book, wanted) else { return };
            let count = (self.records_max - self.made).min(u64::from(most)) as u32;
            book.add(partition, count, now_ns, now_ns);
            self.made += u64::from(count);
        }
    }

    /// The next record's partition, and how many records it may take in one go. Without keys, only
    /// partitions that are wanted.
    fn next(&mut self, book: &Book, wanted: impl Fn(&Book, u32) -> bool) -> Option<(u32, u32)> {
        if !matches!(self.chooser, Chooser::Sticky) {
            return Some((self.chooser.choose(), 1));
        }
        let sent = self.sticky_began && book.partition(self.sticky).open.count == 0;
        if sent || !wanted(book, self.sticky) {
            let all = book.partitions();
            let mut others = (1..=all).map(|step| (self.sticky + step) % all);
            self.sticky = others.find(|partition| wanted(book, *partition))?;
        }
        self.sticky_began = true;
        Some((self.sticky, book.room(self.sticky)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use crate::producer::book_tests::{LINGER_NS, book};
    use crate::workload::Purpose;

    const INTERVAL_NS: u64 = LINGER_NS / 10;

    /// One producer, ten records in a linger.
    fn pace() -> Pace {
        let options = Options { rate: Some(Rate::PerSecond(1e9 / INTERVAL_NS as f64)), ..Options::default() };
        Pace::new(&Workload::resolve(options, Purpose::Produce).expect("resolves"), 0, 0)
    }

    #[test]
    fn records_are_made_when_something_can_be_sent() {
        let (mut pace, mut book) = (pace(), book(1));
        let filled_ns = 3 * INTERVAL_NS;
        assert_eq!(pace.next_sendable_ns(&book), Some(filled_ns), "the fourth record fills a batch");
        pace.make(&mut book, INTERVAL_NS);
        assert_eq!(pace.next_sendable_ns(&book), Some(filled_ns), "two are made, two are left");
        assert!(!book.has_work(0, filled_ns - 1));
        pace.make(&mut book, filled_ns);
        assert!(book.has_work(0, filled_ns));
        let batch = book.take_request(0, filled_ns).remove(0);
        assert_eq!((batch.count, batch.first_ns, batch.last_ns), (4, 0, filled_ns), "they keep their times");
        assert_eq!(pace.next_sendable_ns(&book), Some(7 * INTERVAL_NS));
    }

    #[test]
    fn a_record_is_old_enough_before_a_long_batch_is_whole() {
        let slow = Pace { interval_ns: Some(8.0 * INTERVAL_NS as f64), ..pace() };
        assert_eq!(slow.next_sendable_ns(&book(1)), Some(LINGER_NS), "the first record and the linger");
    }

    #[test]
    fn what_was_due_when_the_load_was_stopped_is_made() {
        let (mut pace, mut book) = (pace(), book(1));
        assert_eq!(pace.end(&mut book, 2 * INTERVAL_NS), 0);
        assert_eq!(book.room(0), 1, "three were due");
        let (mut pace, mut book) = (self::pace(), self::book(1));
        assert_eq!(pace.end(&mut book, 99 * INTERVAL_NS), 48, "100 were due, and a full buffer has 52");
    }
}
