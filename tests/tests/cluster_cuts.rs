//! What clients see of a leader that is cut off, of one that was stopped and wakes, and of the
//! entries that are cut from its log: asked frame by frame of three real processes.

use kafka_wire::{
    FetchRequest, OffsetForLeaderEpochRequest, ProduceRequest, offset_for_leader_epoch_request,
};
use net::kafka::codec::wire::StrBytes;
use net::kafka::errors::code;
use std::time::{Duration, Instant};
use tests::process::cluster::Cluster;
use tests::process::proxy::Wires;
use tests::process::requests::{FETCH_VERSION, PRODUCE_VERSION, batch, error_of, fetch, produce};
use tests::process::wire::Wire;
use tests::process::{Broker, Deadline};

const TOPIC: &str = "cuts";
const PATIENCE_SECONDS: u64 = 60;
/// The longest election time-out: a leader that hears no majority for so long gives up. Twice,
/// since what was heard just before the cut may still count for the first; the rest is for a busy
/// machine, on which the time is printed and not a promise.
const GIVES_UP: Duration = Duration::from_millis(2 * 300 + 60);
const BUSY: Duration = Duration::from_secs(5);

/// What a producer gets over by waiting.
const MAY_PASS: [i16; 4] =
    [code::NONE, code::NOT_LEADER_OR_FOLLOWER, code::LEADER_NOT_AVAILABLE, code::NOT_ENOUGH_REPLICAS];

fn cluster() -> (Cluster, Wires) {
    let (cluster, wires) = Cluster::start_wired(&[1, 1, 1]);
    cluster.create(TOPIC, 1);
    (cluster, wires)
}

fn leader(cluster: &Cluster) -> usize {
    let deadline = Deadline::seconds(PATIENCE_SECONDS);
    deadline.wait_for("a leader", || cluster.leader(0, TOPIC, 0))
}

/// Who leads, as the others of `gone` see it.
fn next_leader(cluster: &Cluster, gone: usize) -> usize {
    let asked = (gone + 1) % 3;
    Deadline::seconds(PATIENCE_SECONDS)
        .wait_for("another leader", || cluster.leader(asked, TOPIC, 0).filter(|leader| *leader != gone))
}

fn connect(node: &Broker) -> Wire {
    Wire::connect(node.ports.kafka()).expect("accepted")
}

/// Produces one record; the error code and the base offset.
fn put(wire: &mut Wire, acks: i16) -> (i16, i64) {
    let response = wire.ask("cuts", PRODUCE_VERSION, &produce(TOPIC, acks, batch(&[b"one"])));
    let answer = &response.responses[0].partition_responses[0];
    (answer.error_code, answer.base_offset)
}

/// Produces until it is taken: a new leader may not have settled yet.
fn put_for_certain(wire: &mut Wire) -> i64 {
    Deadline::seconds(PATIENCE_SECONDS).wait_for("a record is taken", || {
        let (error, offset) = put(wire, -1);
        assert!(MAY_PASS.contains(&error), "error {error}");
        (error == code::NONE).then_some(offset)
    })
}

struct Fetched {
    error: i16,
    high_watermark: i64,
    leader_epoch: i32,
    diverging: (i32, i64),
    records_bytes: usize,
}

/// Fetches from `offset` on with the epochs that the client knows.
fn get(wire: &mut Wire, offset: i64, current_epoch: i32, last_fetched_epoch: i32) -> Fetched {
    let mut request = fetch(TOPIC, offset, 0);
    let partition = &mut request.topics[0].partitions[0];
    (partition.current_leader_epoch, partition.last_fetched_epoch) = (current_epoch, last_fetched_epoch);
    let response = wire.ask("cuts", FETCH_VERSION, &request);
    let answer = &response.responses[0].partitions[0];
    Fetched {
        error: answer.error_code,
        high_watermark: answer.high_watermark,
        leader_epoch: answer.current_leader.leader_epoch,
        diverging: (answer.diverging_epoch.epoch, answer.diverging_epoch.end_offset),
        records_bytes: answer.records.as_ref().map_or(0, |records| records.len()),
    }
}

/// OffsetForLeaderEpoch: error, epoch and where it ends.
fn epoch_end(wire: &mut Wire, epoch: i32) -> (i16, i32, i64) {
    let mut partition = offset_for_leader_epoch_request::OffsetForLeaderPartition::default();
    (partition.current_leader_epoch, partition.leader_epoch) = (-1, epoch);
    let mut topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default();
    topic.topic = StrBytes::from(TOPIC);
    topic.partitions = vec![partition];
    let mut request = OffsetForLeaderEpochRequest::default();
    request.replica_id = -1;
    request.topics = vec![topic];
    let response = wire.ask("cuts", 4, &request);
    let answer = &response.topics[0].partitions[0];
    (answer.error_code, answer.leader_epoch, answer.end_offset)
}

#[test]
fn a_leader_that_is_cut_off_refuses_writes_and_what_it_took_alone_is_cut_and_told() {
    let (mut cluster, wires) = cluster();
    let old = leader(&cluster);
    let mut cut_off = connect(&cluster.nodes[old]);
    let first = (0..5).map(|_| put_for_certain(&mut cut_off)).last().expect("five");
    let committed = first + 1;
    let described = cluster.described(0, TOPIC).expect("described");
    let old_epoch = described["partitions"][0]["leader_epoch"].as_i64().expect("an epoch") as i32;

    let mut parked = connect(&cluster.nodes[old]);
    wires.isolate(old, true, true);
    let since = Instant::now();
    parked.begin(1, PRODUCE_VERSION, &produce(TOPIC, -1, batch(&[b"alone"])));
    let mut alone = Vec::new();
    // acks=1 asks for this disk only: such records may be lost, and tell when it stops.
    let refused = loop {
        let (error, offset) = put(&mut cut_off, 1);
        if error != code::NONE {
            break error;
        }
        alone.push(offset);
        assert!(since.elapsed() < BUSY, "writes are taken {:?} after the cut", since.elapsed());
    };
    println!(
        "{} records with acks=1 in {:?}, then refused (expected within {GIVES_UP:?})",
        alone.len(),
        since.elapsed()
    );
    assert_eq!(refused, code::NOT_LEADER_OR_FOLLOWER);
    let (_, answer) = parked.answer::<ProduceRequest>(PRODUCE_VERSION);
    assert_eq!(error_of(&answer), code::NOT_LEADER_OR_FOLLOWER, "who waits for a quorum is told");
    assert!(!alone.is_empty(), "nothing was taken alone: the cut below has nothing to tell");
    assert_eq!(put(&mut cut_off, -1).0, code::NOT_LEADER_OR_FOLLOWER, "and goes on refusing");
    assert_eq!(get(&mut cut_off, committed, -1, -1).error, code::NOT_LEADER_OR_FOLLOWER);

    let new = next_leader(&cluster, old);
    let mut other = connect(&cluster.nodes[new]);
    let next = put_for_certain(&mut other);
    assert_eq!(next, committed, "what was not committed is not there");
    wires.heal();
    cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);

    // A client that read, from another leader, up to what was cut.
    let leads = leader(&cluster);
    let mut wire = connect(&cluster.nodes[leads]);
    put_for_certain(&mut wire);
    assert_eq!(epoch_end(&mut wire, old_epoch), (0, old_epoch, committed), "where the old epoch ends");
    let told = get(&mut wire, committed + alone.len() as i64, -1, old_epoch);
    assert_eq!((told.error, told.diverging), (0, (old_epoch, committed)), "where the logs part");
    let fenced = get(&mut wire, committed, old_epoch, -1);
    assert_eq!(fenced.error, code::FENCED_LEADER_EPOCH);
    let ahead = get(&mut wire, committed, i32::MAX - 1, -1);
    assert_eq!(ahead.error, code::UNKNOWN_LEADER_EPOCH);
    assert_eq!(get(&mut wire, 1 << 40, -1, -1).error, code::OFFSET_OUT_OF_RANGE);
    cluster.stop();
    cluster.assert_identical();
    assert!(
        cluster.nodes[old].log().contains("the leader's log goes on without these entries: they were cut")
    );
}

#[test]
fn a_stopped_leader_that_wakes_acks_and_shows_nothing_stale_and_names_the_new_leader() {
    let (mut cluster, _wires) = cluster();
    let old = leader(&cluster);
    let (mut acks_1, mut acks_all, mut reads) =
        (connect(&cluster.nodes[old]), connect(&cluster.nodes[old]), connect(&cluster.nodes[old]));
    let before = put_for_certain(&mut acks_1);
    cluster.nodes[old].freeze();
    // They wait in its sockets: it finds them the moment it wakes.
    acks_1.begin(1, PRODUCE_VERSION, &produce(TOPIC, 1, batch(&[b"stale"])));
    acks_all.begin(2, PRODUCE_VERSION, &produce(TOPIC, -1, batch(&[b"stale"])));
    reads.begin(3, FETCH_VERSION, &fetch(TOPIC, before + 1, 0));
    let new = next_leader(&cluster, old);
    let mut wire = connect(&cluster.nodes[new]);
    let next = put_for_certain(&mut wire);
    assert_eq!(next, before + 1);
    cluster.nodes[old].signal("CONT");
    for waiting in [&mut acks_1, &mut acks_all] {
        let (_, answer) = waiting.answer::<ProduceRequest>(PRODUCE_VERSION);
        assert_eq!(error_of(&answer), code::NOT_LEADER_OR_FOLLOWER, "a stale ack");
    }
    let (_, answer) = reads.answer::<FetchRequest>(FETCH_VERSION);
    let read = &answer.responses[0].partitions[0];
    // Refused, or nothing new: a read may be answered from before the sleep, as long as it shows no more.
    let is_refused = read.error_code == code::NOT_LEADER_OR_FOLLOWER;
    assert!(is_refused || read.high_watermark <= before + 1, "a stale read: {read:?}");
    assert!(read.records.as_ref().is_none_or(|records| records.is_empty()));
    // Who leads now is told with the refusal, once it is known there.
    Deadline::seconds(PATIENCE_SECONDS).wait_for("the refusal names the leader", || {
        let told = get(&mut reads, before, -1, -1);
        (told.error == code::NONE || told.leader_epoch > 0).then_some(())
    });
    cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);
    let leads = leader(&cluster);
    let fetched = get(&mut connect(&cluster.nodes[leads]), 0, -1, -1);
    assert_eq!((fetched.error, fetched.high_watermark), (0, before + 2), "nothing stale is in the log");
    cluster.stop();
    cluster.assert_identical();
}

#[test]
fn a_wire_that_is_silent_for_long_is_closed_and_made_again() {
    let (mut cluster, wires) = cluster();
    wires.hold(0, 1, true);
    wires.hold(1, 0, true);
    let deadline = Deadline::seconds(PATIENCE_SECONDS);
    for node in [0, 1] {
        deadline.wait_for("silence is noticed", || {
            cluster.nodes[node].log().contains("nothing was heard for").then_some(())
        });
    }
    // Node 3 hears both of the others: it knows who leads.
    let leads = deadline.wait_for("a leader", || cluster.leader(2, TOPIC, 0));
    put_for_certain(&mut connect(&cluster.nodes[leads]));
    wires.heal();
    deadline.wait_for("the link is there again", || {
        let links = |node: &Broker| {
            let page = node.metrics();
            page.lines().any(|line| line.starts_with("duramen_peer_links{") && line.ends_with(" 2"))
        };
        cluster.nodes.iter().all(links).then_some(())
    });
    cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);
    cluster.stop();
    cluster.assert_identical();
}

#[test]
fn what_is_not_committed_is_neither_shown_nor_out_of_range() {
    let (mut cluster, wires) = cluster();
    let deadline = Deadline::seconds(2 * PATIENCE_SECONDS);
    // On a busy machine the leader may give up before all was asked: then once more.
    let seen = deadline.wait_for("a leader that took what is not committed, and was asked", || {
        cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);
        let leads = leader(&cluster);
        let mut wire = connect(&cluster.nodes[leads]);
        let committed = put_for_certain(&mut wire) + 1;
        wires.isolate(leads, false, true);
        let taken: Vec<(i16, i64)> = (0..3).map(|_| put(&mut wire, 1)).collect();
        let last = taken[2].1;
        let between = get(&mut wire, last, -1, -1);
        let above = get(&mut wire, last + 10, -1, -1);
        wires.heal();
        let asked =
            taken.iter().all(|(error, _)| *error == 0) && between.error != code::NOT_LEADER_OR_FOLLOWER;
        // What waited in the wires may have committed some of it.
        (asked && between.high_watermark <= last).then_some((committed, last, between, above))
    });
    let (committed, last, between, above) = seen;
    assert_eq!(between.error, code::NONE, "offset {last}, committed to {committed}: it waits, empty");
    assert_eq!(between.records_bytes, 0);
    assert!(between.high_watermark >= committed);
    assert!(
        [code::OFFSET_OUT_OF_RANGE, code::NOT_LEADER_OR_FOLLOWER].contains(&above.error),
        "{}",
        above.error
    );
    cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);
    cluster.stop();
    cluster.assert_identical();
}

#[test]
fn fewer_in_sync_than_asked_for_is_said_on_arrival_and_while_waiting() {
    let mut cluster = Cluster::start(&[1, 1, 1]);
    let two = cluster.topic(0, &["create", "two", "--replication-factor", "2"]);
    let said = String::from_utf8_lossy(&two.stderr).into_owned();
    assert_eq!(two.status.code(), Some(5), "{said}");
    assert!(said.contains("INVALID_REPLICATION_FACTOR") && said.contains('2'), "{said}");
    let arguments = [
        "create",
        TOPIC,
        "--partitions",
        "1",
        "--replication-factor",
        "3",
        "--config",
        "min.insync.replicas=3",
    ];
    assert!(cluster.topic(0, &arguments).status.success());
    let leads = leader(&cluster);
    let mut wire = connect(&cluster.nodes[leads]);
    put_for_certain(&mut wire);
    let follower = (leads + 1) % 3;
    cluster.nodes[follower].signal("STOP");
    let mut waiting = connect(&cluster.nodes[leads]);
    let mut request = produce(TOPIC, -1, batch(&[b"waits"]));
    request.timeout_ms = 60_000;
    waiting.begin(1, PRODUCE_VERSION, &request);
    let since = Instant::now();
    let (_, answer) = waiting.answer::<ProduceRequest>(PRODUCE_VERSION);
    println!("told after {:?} that there are too few", since.elapsed());
    assert_eq!(error_of(&answer), code::NOT_ENOUGH_REPLICAS_AFTER_APPEND);
    assert_eq!(put(&mut wire, -1).0, code::NOT_ENOUGH_REPLICAS);
    assert_eq!(put(&mut wire, 1).0, code::NONE, "the leader's own disk is enough for acks=1");
    cluster.nodes[follower].signal("CONT");
    cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);
    put_for_certain(&mut wire);
    cluster.stop();
    cluster.assert_identical();
}
