//! Clients that misbehave: the others must not notice.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};
use tests::process::records::{Load, read_all};
use tests::process::wire::{Wire, fetch_v4, request};
use tests::process::{Broker, BrokerOptions, Deadline};

/// Others produce and fetch as if nothing were.
fn others_are_served(broker: &Broker, topic: &str) {
    let load = Load::new(&broker.bootstrap(), &[("acks", "all"), ("message.timeout.ms", "30000")]);
    for number in 0..1000 {
        assert!(load.send(topic, 0, number, 500));
    }
    load.flush(40);
    assert!(load.reports.take().iter().all(|report| report.offset == Ok(report.number as i64)), "{topic}");
    assert_eq!(read_all(&broker.bootstrap(), topic, 0, 40).len(), 1000);
}

/// Connections of this test and of the broker share one hard limit per process; each has its own.
fn idle_connections_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("limits");
    let line =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("a limit of open files");
    let hard: usize = line.split_whitespace().nth(1).and_then(|hard| hard.parse().ok()).unwrap_or(usize::MAX);
    hard.saturating_sub(500).min(10_000)
}

#[test]
fn ten_thousand_idle_connections_cost_little() {
    let count = idle_connections_max();
    net::process::system::raise_limit(net::process::system::Resource::OpenFiles)
        .expect("as many files as are allowed");
    let broker = Broker::start(BrokerOptions::default());
    others_are_served(&broker, "before");
    let before = broker.resident_bytes();
    let mut idle: Vec<Wire> = Vec::with_capacity(count);
    for at in 0..count {
        let mut wire = Wire::connect(broker.ports.kafka() + (at % 2) as u16).expect("accepted");
        if at % 10 == 0 {
            wire.asks_versions(at as i32).expect("answered");
        }
        idle.push(wire);
    }
    others_are_served(&broker, "during");
    let each = broker.resident_bytes().saturating_sub(before) / count as u64;
    println!("{count} idle connections, {each} bytes each");
    // A task and a socket, and not one buffer of 64 KiB.
    assert!(each < 16 << 10, "{each} bytes for an idle connection");
    for (at, wire) in idle.iter_mut().enumerate().step_by(997) {
        wire.asks_versions(at as i32).expect("still there");
    }
}

#[test]
fn a_client_that_never_reads_its_answers_hurts_nobody() {
    let broker = Broker::start(BrokerOptions::default());
    let load = Load::new(&broker.bootstrap(), &[("acks", "all")]);
    for number in 0..2000 {
        assert!(load.send("unread", 0, number, 10_000));
    }
    load.flush(60);
    let before = broker.resident_bytes();
    // All on the leader's shard or not: whichever it is, each is asked for more than it takes.
    let mut deaf: Vec<Wire> =
        (0..8).map(|at| Wire::connect(broker.ports.kafka() + at % 2).expect("accepted")).collect();
    let fetch = fetch_v4("unread", 0, 10 << 20);
    for wire in &mut deaf {
        wire.0.set_nonblocking(true).expect("set");
        for _ in 0..2000 {
            match wire.0.write(&fetch) {
                Ok(written) if written == fetch.len() => {}
                Ok(_) => break,
                Err(error) => {
                    assert!(matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
                    ));
                    break;
                }
            }
        }
    }
    others_are_served(&broker, "others");
    let more = broker.resident_bytes().saturating_sub(before);
    println!("8 deaf clients, {} MiB more", more >> 20);
    assert!(more < 320 << 20, "{} MiB more", more >> 20);
}

#[test]
fn frames_that_are_declared_long_and_never_come_hurt_nobody() {
    let broker = Broker::start(BrokerOptions::default());
    let before = broker.resident_bytes();
    let mut slow: Vec<Wire> =
        (0..40).map(|at| Wire::connect(broker.ports.kafka() + at % 2).expect("accepted")).collect();
    for wire in &mut slow {
        wire.send(&(100u32 << 20).to_be_bytes()).expect("sent");
        wire.send(&request(0, 7, 1, &[])[4..]).expect("sent");
    }
    let mut drip = |bytes: usize| {
        for _ in 0..bytes {
            // One that is closed already has been dealt with.
            slow.iter_mut().for_each(|wire| drop(wire.0.write(&[0])));
        }
    };
    drip(100);
    others_are_served(&broker, "others");
    drip(100);
    let more = broker.resident_bytes().saturating_sub(before);
    println!("40 frames of 100 MiB declared, {} MiB more", more >> 20);
    assert!(more < 128 << 20, "{} MiB more", more >> 20);
}

#[test]
fn a_frame_above_the_limit_and_garbage_are_closed_and_the_others_unaware() {
    let broker = Broker::start(BrokerOptions::default());
    let mut other = Wire::connect(broker.ports.kafka()).expect("accepted");
    let frames: [&[u8]; 6] = [
        &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        &[0xff; 64],
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        &[0, 0, 0, 0],
        &[0, 0, 0, 3, 1, 2, 3],
        &[0, 0, 0, 10, 0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
    ];
    for frame in frames {
        let mut wire = Wire::connect(broker.ports.kafka()).expect("accepted");
        wire.send(frame).expect("sent");
        let begin = Instant::now();
        let closed = matches!(wire.0.read(&mut [0; 64]), Ok(0) | Err(_));
        assert!(closed && begin.elapsed() < Duration::from_secs(20), "{frame:?}: {:?}", begin.elapsed());
        other.asks_versions(7).expect("unaware");
    }
    let refused = || {
        broker
            .metrics()
            .lines()
            .filter(|l| l.starts_with("duramen_connections_refused_total"))
            .any(|l| !l.ends_with(" 0"))
    };
    Deadline::seconds(10).wait_for("the refusals in the metrics", || refused().then_some(()));
}
