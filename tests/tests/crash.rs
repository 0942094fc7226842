//! The real process under load, killed at random times: what was acked is there, once, in order.

use std::time::Duration;
use tests::process::records::Load;
use tests::process::stream::Stream;
use tests::process::{Broker, BrokerOptions, Deadline};

const TOPIC: &str = "crash";
const PARTITIONS: u64 = 6;
const ROUNDS: u64 = 20;
/// About 60,000 records a second would fill the disk's queue and teach nothing more.
const STREAM: Stream =
    Stream { topic: TOPIC, partitions: PARTITIONS, bytes: 3000, rest: Some((20, Duration::from_millis(2))) };

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
    let sent = STREAM.during(&load, || rounds(&mut broker, &load));
    load.flush(120);
    println!("{ROUNDS} kills, {} records acked", load.reports.len());
    STREAM.check(&broker.bootstrap(), sent, load.reports.take());
    assert_eq!(broker.stop().code(), Some(0));
}
