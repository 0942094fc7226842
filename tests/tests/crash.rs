//! The real process under load, killed at random times: what was acked is there, once, in order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tests::process::records::{Delivered, Load, read_all};
use tests::process::{Broker, BrokerOptions, Deadline};

const TOPIC: &str = "crash";
const PARTITIONS: u64 = 6;
const ROUNDS: u64 = 20;

/// Sends until told to stop: each partition gets 0, 1, 2, … Returns how many each was given.
fn keep_sending(load: &Load, stop: &AtomicBool) -> u64 {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        for partition in 0..PARTITIONS {
            let bytes = 50 + (number * 7919 + partition) as usize % 3000;
            while !load.send(TOPIC, partition as i32, number, bytes) {
                std::thread::yield_now();
            }
        }
        number += 1;
        // About 60,000 records a second would fill the disk's queue and teach nothing more.
        if number.is_multiple_of(20) {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    number
}

/// Kills and restarts, each time after so many more acks, different from round to round.
fn rounds(broker: &mut Broker, load: &Load) {
    for round in 0..ROUNDS {
        let before = load.reports.len();
        let more = 200 + (round * 7_877 % 2_500) as usize;
        Deadline::seconds(60)
            .wait_for("acks under load", || (load.reports.len() >= before + more).then_some(()));
        broker.kill();
        broker.run();
        assert_eq!(load.fatal_error(), None, "round {round}");
    }
}

fn check(broker: &Broker, sent: u64, reports: Vec<Delivered>) {
    let mut acked: BTreeMap<i32, BTreeMap<u64, i64>> = BTreeMap::new();
    for Delivered { partition, number, offset } in reports {
        let offset = offset.unwrap_or_else(|error| panic!("{partition}: record {number}: {error}"));
        let before = acked.entry(partition).or_default().insert(number, offset);
        assert_eq!(before, None, "partition {partition}: record {number} was reported twice");
    }
    for partition in 0..PARTITIONS as i32 {
        let acked = acked.remove(&partition).unwrap_or_default();
        assert_eq!(acked.len() as u64, sent, "partition {partition}: every record has its report");
        let records = read_all(&broker.bootstrap(), TOPIC, partition, 120);
        let expected: Vec<(i64, u64)> = (0..sent).map(|number| (number as i64, number)).collect();
        let differs = records.iter().zip(&expected).position(|(found, expected)| found != expected);
        assert_eq!(
            differs.map(|at| (records[at], expected[at])),
            None,
            "partition {partition}: (offset, record) found and expected"
        );
        assert_eq!(records.len(), expected.len(), "partition {partition}");
        let moved = acked.iter().find(|(number, offset)| **number as i64 != **offset);
        assert_eq!(moved, None, "partition {partition}: acked at another offset");
    }
}

#[test]
fn nothing_acked_is_lost_doubled_or_reordered_by_kill_9() {
    let set = vec![format!("num.partitions={PARTITIONS}")];
    let mut broker = Broker::start(BrokerOptions { set, ..BrokerOptions::default() });
    let load = Load::new(
        &broker.bootstrap(),
        &[
            ("enable.idempotence", "true"),
            ("message.timeout.ms", "300000"),
            ("linger.ms", "1"),
            ("retry.backoff.ms", "20"),
        ],
    );
    let stop = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| keep_sending(&load, &stop));
        rounds(&mut broker, &load);
        stop.store(true, Ordering::Relaxed);
        sender.join().expect("the sender ends")
    });
    load.flush(120);
    println!("{ROUNDS} kills, {} records acked", load.reports.len());
    check(&broker, sent, load.reports.take());
    assert_eq!(broker.stop().code(), Some(0));
}
