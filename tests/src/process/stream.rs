//! A steady stream of numbered records while a test does something to the brokers, and the proof
//! that every one of them is there.

use super::records::{Delivered, Load, read_all};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// From asking for a partition's end until its last record was read.
const READ_SECONDS: u64 = 120;

/// Where the stream goes, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    pub topic: &'static str,
    pub partitions: u64,
    /// Records have 50 bytes and up to this many more, each another number.
    pub bytes: usize,
    /// A rest after each so many records of a partition; none: as fast as it goes.
    pub rest: Option<(u64, Duration)>,
}

/// A thread that is waited for ends also when the test fails.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Stream {
    /// Sends all the time that `work` takes: each partition gets 0, 1, 2, … Returns how many each
    /// was given.
    pub fn during(&self, load: &Load, work: impl FnOnce()) -> u64 {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| self.send_until(load, &stop));
            let stop_at_end = StopAtEnd(&stop);
            work();
            drop(stop_at_end);
            sender.join().expect("the sender ends")
        })
    }

    fn send_until(&self, load: &Load, stop: &AtomicBool) -> u64 {
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) {
            for partition in 0..self.partitions {
                let bytes = 50 + (number * 7919 + partition) as usize % self.bytes;
                while !load.send(self.topic, partition as i32, number, bytes) {
                    std::thread::yield_now();
                }
            }
            number += 1;
            if let Some((_, rest)) = self.rest.filter(|(records, _)| number.is_multiple_of(*records)) {
                std::thread::sleep(rest);
            }
        }
        number
    }

    /// Every record sent has its report, and is there once, in order, where it was acked.
    pub fn check(&self, bootstrap: &str, sent: u64, reports: Vec<Delivered>) {
        let mut acked: BTreeMap<i32, BTreeMap<u64, i64>> = BTreeMap::new();
        for Delivered { partition, number, offset } in reports {
            let offset = offset.unwrap_or_else(|error| panic!("{partition}: record {number}: {error}"));
            let before = acked.entry(partition).or_default().insert(number, offset);
            assert_eq!(before, None, "partition {partition}: record {number} was reported twice");
        }
        for partition in 0..self.partitions as i32 {
            let acked = acked.remove(&partition).unwrap_or_default();
            assert_eq!(acked.len() as u64, sent, "partition {partition}: every record has its report");
            let found = read_all(bootstrap, self.topic, partition, READ_SECONDS);
            let expected: Vec<(i64, u64)> = (0..sent).map(|number| (number as i64, number)).collect();
            let differs = found.iter().zip(&expected).find(|(found, expected)| found != expected);
            assert_eq!(differs, None, "partition {partition}: (offset, record) found and expected");
            assert_eq!(found.len(), expected.len(), "partition {partition}: records");
            let moved = acked.iter().find(|(number, offset)| **number as i64 != **offset);
            assert_eq!(moved, None, "partition {partition}: acked at another offset");
        }
    }
}
