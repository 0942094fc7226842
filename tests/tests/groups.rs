//! Consumer groups with real clients: members that come and go, a broker that is killed, commits
//! that stay, history that does not grow.

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::time::Duration;
use tests::process::members::{Member, committed, is_shared, settings};
use tests::process::records::Load;
use tests::process::{Broker, BrokerOptions, Deadline, foreign};

const TOPIC: &str = "shared";
const PARTITIONS: i32 = 6;

fn broker(set: &[&str]) -> Broker {
    let partitions = format!("num.partitions={PARTITIONS}");
    let set = set.iter().copied().chain([partitions.as_str(), "group.initial.rebalance.delay.ms=100"]);
    let set = set.map(str::to_owned).collect();
    Broker::start(BrokerOptions { set, ..BrokerOptions::default() })
}

fn wait_until_shared(members: &mut [Member]) {
    Deadline::seconds(60).wait_for("all partitions are shared", || {
        members.iter_mut().for_each(Member::poll);
        is_shared(members.iter().map(Member::assigned), PARTITIONS).then_some(())
    });
}

fn send(load: &Load, numbers: std::ops::Range<u64>) {
    for number in numbers {
        for partition in 0..PARTITIONS {
            let deadline = Deadline::seconds(60);
            deadline.wait_for("room in the queue", || load.send(TOPIC, partition, number, 60).then_some(()));
        }
    }
    load.flush(100);
    assert!(load.reports.take().iter().all(|report| report.offset == Ok(report.number as i64)));
}

#[test]
fn members_share_a_topic_and_a_killed_broker_loses_no_commit() {
    let mut broker = broker(&[]);
    let load = Load::new(&broker.bootstrap(), &[("enable.idempotence", "true")]);
    send(&load, 0..100);
    let mut members = vec![Member::join(&broker.bootstrap(), TOPIC, "g")];
    wait_until_shared(&mut members);
    members.extend([
        Member::join(&broker.bootstrap(), TOPIC, "g"),
        Member::join(&broker.bootstrap(), TOPIC, "g"),
    ]);
    wait_until_shared(&mut members);

    let mut promised: BTreeMap<i32, i64> = BTreeMap::new();
    let mut seen = Vec::new();
    for round in 1..4 {
        send(&load, round * 100..(round + 1) * 100);
        members.iter_mut().for_each(Member::poll);
        for member in &members {
            for (partition, offset) in member.commit() {
                let highest = promised.entry(partition).or_default();
                *highest = offset.max(*highest);
            }
        }
        broker.kill();
        broker.run();
        for (partition, offset) in &promised {
            let after = committed(&broker.bootstrap(), "g", (TOPIC, *partition));
            assert!(after >= *offset, "round {round}, partition {partition}: {after} of {offset}");
        }
        wait_until_shared(&mut members);
    }

    // One goes by itself, and the two that are left go on.
    let left = members.remove(0);
    seen.extend(left.leave());
    wait_until_shared(&mut members);
    send(&load, 400..500);
    let expected: BTreeSet<(i32, u64)> =
        (0..PARTITIONS).flat_map(|partition| (0..500).map(move |number| (partition, number))).collect();
    Deadline::seconds(60).wait_for("every record", || {
        for member in &mut members {
            member.poll();
            seen.append(&mut member.seen);
        }
        let found: BTreeSet<(i32, u64)> = seen.iter().copied().collect();
        (found == expected).then_some(())
    });
}

#[test]
fn a_static_member_is_back_in_its_place_after_a_restart() {
    let broker = broker(&[]);
    let load = Load::new(&broker.bootstrap(), &[]);
    send(&load, 0..1);
    let of = |instance: &str| {
        let mut settings = settings(&broker.bootstrap(), "static");
        settings.set("group.instance.id", instance).set("session.timeout.ms", "30000");
        settings
    };
    let mut members = vec![Member::with(&of("one"), TOPIC), Member::with(&of("two"), TOPIC)];
    wait_until_shared(&mut members);
    let before = members.iter().map(Member::assigned).collect::<Vec<_>>();
    // Closing a static member says nothing to the coordinator.
    drop(members.remove(0));
    members.insert(0, Member::with(&of("one"), TOPIC));
    Deadline::seconds(20).wait_for("it has what it had", || {
        members.iter_mut().for_each(Member::poll);
        assert_eq!(members[1].assigned(), before[1], "the other one's are its own all the time");
        (members[0].assigned() == before[0]).then_some(())
    });
}

#[test]
fn history_is_freed_and_what_lives_is_read_back() {
    let mut broker = broker(&["offsets.topic.segment.bytes=8192", "offsets.topic.num.partitions=1"]);
    let load = Load::new(&broker.bootstrap(), &[]);
    send(&load, 0..1);
    let consumer: BaseConsumer = settings(&broker.bootstrap(), "busy").create().expect("a consumer");
    for offset in 0..400 {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(TOPIC, 0, Offset::Offset(offset)).expect("a partition");
        consumer.commit(&offsets, CommitMode::Sync).expect("committed");
    }
    let bounds = || consumer.fetch_watermarks("__consumer_offsets", 0, Duration::from_secs(30));
    let (start, end) = bounds().expect("watermarks");
    // Less than two histories of 8 KiB, at some 130 bytes for each commit.
    assert!(start > 0 && end - start < 150, "{start}..{end}");
    broker.kill();
    broker.run();
    assert_eq!(committed(&broker.bootstrap(), "busy", (TOPIC, 0)), 399);
}

#[test]
fn kcat_goes_on_where_its_group_stopped() {
    let Some(kcat) = foreign::kcat("kcat_goes_on_where_its_group_stopped") else { return };
    let mut broker = broker(&[]);
    let load = Load::new(&broker.bootstrap(), &[]);
    send(&load, 0..100);
    let read = |broker: &Broker, more: &[&str]| {
        let mut command = Command::new("timeout");
        command.arg("60").arg(&kcat).args(["-b", &broker.bootstrap(), "-G", "kcat", "-q"]);
        command.args(["-X", "auto.offset.reset=earliest"]).args(more).arg(TOPIC).stdin(Stdio::null());
        let output = foreign::run(&mut command).stdout;
        String::from_utf8(output).expect("text").lines().map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let first = read(&broker, &["-c", "250"]);
    assert_eq!(first.len(), 250);
    broker.kill();
    broker.run();
    let second = read(&broker, &["-e"]);
    assert!(first.is_disjoint(&second), "nothing comes twice");
    assert_eq!(first.len() + second.len(), 600, "and nothing is missed");
}

#[test]
fn kafka_python_groups() {
    let broker = broker(&[]);
    foreign::run_script("kafka_python_groups", "kafka_python_groups.py", &broker.bootstrap());
}

#[test]
fn aiokafka_groups() {
    let broker = broker(&[]);
    foreign::run_script("aiokafka_groups", "aiokafka_groups.py", &broker.bootstrap());
}

#[test]
fn confluent_groups() {
    let broker = broker(&[]);
    foreign::run_script("confluent_groups", "confluent_groups.py", &broker.bootstrap());
}
