//! Groups of the consumer protocol (KIP-848) by rdkafka: members come and go, topics come
//! by an expression, classic members stand beside the others, and the node with the coordinator is
//! killed with -9. No record is missed, and no committed offset is lost.

use rdkafka::config::ClientConfig;
use rdkafka::consumer::Consumer;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;
use tests::process::cluster::{Cluster, PATIENT};
use tests::process::members::{Member, committed, is_shared, settings};
use tests::process::records::{Load, client};
use tests::process::{Broker, BrokerOptions, Deadline, binary};

const PARTITIONS: i32 = 6;
const SECONDS: u64 = 90;
/// Members are told to send heartbeats so often, and are gone after so long: the defaults would make
/// these tests slow.
const QUICK: [&str; 4] = [
    "group.consumer.min.heartbeat.interval.ms=100",
    "group.consumer.heartbeat.interval.ms=200",
    "group.consumer.min.session.timeout.ms=1000",
    "group.consumer.session.timeout.ms=6000",
];

fn quick() -> Vec<String> {
    QUICK.iter().map(|setting| (*setting).to_owned()).collect()
}

/// Without what the broker decides in this protocol: librdkafka refuses it.
fn newer(bootstrap: &str) -> ClientConfig {
    let own = [
        ("group.id", "g"),
        ("group.protocol", "consumer"),
        ("enable.auto.commit", "false"),
        ("auto.offset.reset", "earliest"),
        ("topic.metadata.refresh.interval.ms", "500"),
    ];
    client(bootstrap, &own)
}

fn classic(bootstrap: &str) -> ClientConfig {
    let mut classic = settings(bootstrap, "g");
    classic.set("partition.assignment.strategy", "cooperative-sticky");
    classic
}

struct Scene {
    load: Load,
    sent: u64,
    members: Vec<Member>,
    seen: BTreeSet<(i32, u64)>,
}

impl Scene {
    fn new(bootstrap: &str) -> Self {
        let load = Load::new(bootstrap, &PATIENT);
        Self { load, sent: 0, members: Vec::new(), seen: BTreeSet::new() }
    }

    fn send(&mut self) {
        for partition in 0..PARTITIONS {
            let deadline = Deadline::seconds(SECONDS);
            let send = || self.load.send("t", partition, self.sent, 100).then_some(());
            deadline.wait_for("room in the queue", send);
        }
        self.sent += 1;
    }

    fn read(&mut self) {
        for member in &mut self.members {
            member.poll();
            if !member.seen.is_empty() {
                self.seen.extend(member.seen.drain(..));
                member.commit();
            }
        }
    }

    fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        Deadline::seconds(SECONDS).wait_for(what, || {
            self.send();
            self.read();
            is_so(self).then_some(())
        });
    }

    /// All members have some partitions, and read on.
    fn until_shared(&mut self) {
        self.until("all partitions are shared", |scene| {
            is_shared(scene.members.iter().map(Member::assigned), PARTITIONS)
        });
        let before = self.seen.len();
        self.until("records are read", |scene| scene.seen.len() >= before + 100);
    }

    /// Nothing more is sent; all is read and committed.
    fn finish(&mut self, bootstrap: &str) {
        self.load.flush(SECONDS);
        let all = self.sent * PARTITIONS as u64;
        Deadline::seconds(SECONDS).wait_for("every record is read", || {
            self.read();
            (self.seen.len() as u64 >= all).then_some(())
        });
        Deadline::seconds(SECONDS).wait_for("all is committed", || {
            self.members.iter().for_each(|member| drop(member.commit()));
            let is_done = |partition| committed(bootstrap, "g", ("t", partition)) == self.sent as i64;
            (0..PARTITIONS).all(is_done).then_some(())
        });
    }
}

fn create(broker: &Broker, topic: &str) {
    let mut command = Command::new(binary::duramen());
    command.args(["topic", "create", topic, "--partitions", &PARTITIONS.to_string()]);
    let made = command.args(["--brokers", &broker.bootstrap()]).output().expect("it runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn group(bootstrap: &str, arguments: &[&str]) -> Option<serde_json::Value> {
    let mut command = Command::new(binary::duramen());
    command.arg("group").args(arguments).args(["--json", "--brokers", bootstrap]);
    serde_json::from_slice(&command.output().ok()?.stdout).ok()
}

fn start() -> Broker {
    let broker = Broker::start(BrokerOptions { set: quick(), ..BrokerOptions::default() });
    create(&broker, "t");
    broker
}

#[test]
fn members_come_and_go_without_a_record_missed() {
    let broker = start();
    let bootstrap = broker.bootstrap();
    let mut scene = Scene::new(&bootstrap);
    let join = || Member::with(&newer(&bootstrap), "t");
    scene.members.push(join());
    scene.until_shared();
    scene.members.extend([join(), join()]);
    scene.until_shared();
    let described = group(&bootstrap, &["describe", "g"]).expect("it is told");
    assert_eq!((&described["state"], &described["assignor"]), (&"Stable".into(), &"uniform".into()));
    assert_eq!(described["members"].as_array().map(Vec::len), Some(3));
    let left = scene.members.remove(0);
    scene.seen.extend(left.leave());
    scene.until_shared();
    scene.finish(&bootstrap);
}

#[test]
fn an_expression_finds_topics_that_come_later() {
    let broker = start();
    let mut member = Member::with(&newer(&broker.bootstrap()), "^t.*");
    let has = |member: &Member, count| {
        let assigned = member.consumer.assignment().expect("an assignment");
        assigned.count() == count
    };
    for (topic, count) in [("", 6), ("t2", 12), ("other", 12), ("t3", 18)] {
        if !topic.is_empty() {
            create(&broker, topic);
        }
        Deadline::seconds(SECONDS).wait_for("the topics that match", || {
            member.poll();
            has(&member, count).then_some(())
        });
    }
}

#[test]
fn classic_members_and_others_share_a_group_in_both_directions() {
    let broker = start();
    let bootstrap = broker.bootstrap();
    let mut scene = Scene::new(&bootstrap);
    scene.members.extend([Member::with(&classic(&bootstrap), "t"), Member::with(&classic(&bootstrap), "t")]);
    scene.until_shared();
    scene.members.push(Member::with(&newer(&bootstrap), "t"));
    scene.until_shared();
    let kind = || group(&bootstrap, &["describe", "g"]).expect("it is told")["assignor"].clone();
    assert_eq!(kind(), "uniform");
    let old = scene.members.remove(0);
    scene.seen.extend(old.leave());
    scene.until_shared();
    let new = scene.members.pop().expect("the newer one");
    scene.seen.extend(new.leave());
    scene.until_shared();
    assert_eq!(kind(), "cooperative-sticky", "it is a classic group again");
    scene.finish(&bootstrap);
}

#[test]
fn members_go_on_while_coordinators_are_killed() {
    let mut cluster = Cluster::prepare(&[1, 1, 1]);
    cluster.nodes.iter_mut().for_each(|node| node.options.set.extend(quick()));
    cluster.run();
    cluster.create("t", PARTITIONS as u64);
    let bootstrap = cluster.bootstrap();
    let mut scene = Scene::new(&bootstrap);
    let join = || Member::with(&newer(&bootstrap), "t");
    scene.members.extend([join(), join(), join()]);
    scene.until_shared();
    for _ in 0..2 {
        let node = coordinator(&cluster);
        cluster.nodes[node].kill();
        let before = scene.seen.len();
        scene.until("the group goes on without the node", |scene| scene.seen.len() >= before + 300);
        scene.until_shared();
        // Somebody joins whoever coordinates now.
        scene.members.push(join());
        scene.until_shared();
        cluster.nodes[node].spawn();
        cluster.nodes[node].wait_ready();
        cluster.wait_in_sync("t", SECONDS);
        cluster.wait_in_sync("__consumer_offsets", SECONDS);
    }
    scene.until_shared();
    scene.finish(&bootstrap);
}

/// The number of the node that coordinates the group, from 0.
fn coordinator(cluster: &Cluster) -> usize {
    let broker = Deadline::after(Duration::from_secs(SECONDS)).wait_for("the group is listed", || {
        let listed = group(&cluster.nodes[0].bootstrap(), &["list"])?;
        let group = listed.as_array()?.iter().find(|group| group["group"] == "g")?;
        group["coordinator"].as_u64()
    });
    (broker / 1000 - 1) as usize
}
